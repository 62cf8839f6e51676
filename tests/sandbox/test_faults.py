"""Every model of the catalogue does what its description says, as the official client sees it."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from apps.providers.sandbox.catalogue import MODELS, find

HELLO: Any = [{"role": "user", "content": "Hello there"}]


def chat(client: openai.OpenAI, model: str) -> Any:
    return client.chat.completions.create(model=model, messages=HELLO)


def stream(client: openai.OpenAI, model: str) -> Iterator[Any]:
    yield from client.chat.completions.create(model=model, messages=HELLO, stream=True)


def text(chunks: Iterator[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def received(chunks: Iterator[Any], error: type[Exception]) -> str:
    """What arrived of a stream before it broke with that error."""
    seen: list[Any] = []
    with pytest.raises(error):
        for chunk in chunks:
            seen.append(chunk)  # noqa: PERF402  # list.extend would lose what came before the error
    return text(iter(seen))


def whole_text(client: openai.OpenAI) -> str:
    return str(chat(client, "sandbox-chat").choices[0].message.content)


def refuses(status: int, code: str | None) -> Callable[[openai.OpenAI, str], None]:
    def check(client: openai.OpenAI, model: str) -> None:
        for call in (lambda: chat(client, model), lambda: list(stream(client, model))):
            with pytest.raises(openai.APIStatusError) as refused:
                call()
            assert (refused.value.status_code, refused.value.code) == (status, code)
            assert "sandbox fails on request" in refused.value.message

    return check


def answers_well(client: openai.OpenAI, model: str) -> None:
    assert text(stream(client, model)) == chat(client, model).choices[0].message.content == whole_text(client)


def is_long(client: openai.OpenAI, model: str) -> None:
    assert len(list(stream(client, model))) == 2000 + 2
    assert len(chat(client, "sandbox-long-7").choices[0].message.content) == 7 * 4


def is_slow(client: openai.OpenAI, model: str) -> None:
    assert find(model).behaviour.first_byte == 5  # type: ignore[union-attr]  # it exists
    with pytest.raises(openai.APITimeoutError):
        chat(client.with_options(timeout=0.3), model)
    answers_well(client, "sandbox-slow-10ms")
    before = time.monotonic()
    chat(client, "sandbox-slow-400ms")
    assert time.monotonic() - before >= 0.4  # the promise is a pause, so the clock is what tells


def drips(client: openai.OpenAI, model: str) -> None:
    chunks = stream(client.with_options(timeout=0.5), model)
    assert received(chunks, openai.APITimeoutError) == ""  # the first chunk, the role, and then a second of silence
    answers_well(client, "sandbox-drip-1ms")


def hangs(client: openai.OpenAI, model: str) -> None:
    hasty = client.with_options(timeout=0.3)
    for call in (lambda: chat(hasty, model), lambda: list(stream(hasty, model))):
        with pytest.raises(openai.APITimeoutError):
            call()


def hangs_midway(client: openai.OpenAI, model: str) -> None:
    seen = received(stream(client.with_options(timeout=0.5), model), openai.APITimeoutError)
    assert seen
    assert whole_text(client).startswith(seen)
    with pytest.raises(openai.APITimeoutError):
        chat(client.with_options(timeout=0.3), model)


def dies(client: openai.OpenAI, model: str) -> None:
    for call in (lambda: chat(client, model), lambda: list(stream(client, model))):
        with pytest.raises(openai.APIConnectionError) as cut:
            call()
        assert not isinstance(cut.value, openai.APITimeoutError)


def dies_midway(client: openai.OpenAI, model: str) -> None:
    seen = received(stream(client, model), openai.APIConnectionError)
    assert whole_text(client).startswith(seen)
    with pytest.raises(openai.APIConnectionError):
        chat(client, model)


def errs_midway(client: openai.OpenAI, model: str) -> None:
    seen = received(stream(client, model), openai.APIError)
    assert seen
    assert whole_text(client).startswith(seen)
    with pytest.raises(openai.InternalServerError):
        chat(client, model)
    events = list(client.responses.create(model=model, input="Hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "error"


def does_not_end(client: openai.OpenAI, model: str) -> None:
    chunks = list(stream(client, model))
    assert 0 < len(text(iter(chunks))) < len(whole_text(client))
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    assert list(client.responses.create(model=model, input="Hello", stream=True))[-1].type != "response.completed"


def is_malformed(client: openai.OpenAI, model: str) -> None:
    assert received(stream(client, model), json.JSONDecodeError)
    with pytest.raises((openai.APIError, json.JSONDecodeError)):
        chat(client, model)


def is_oddly_framed(client: openai.OpenAI, model: str) -> None:
    answers_well(client, model)
    answer = httpx.post(f"{client.base_url}chat/completions", json={"model": model, "messages": HELLO, "stream": True})
    assert b"\r\n\r\n: an event follows\r\n\r\ndata:{" in answer.content
    assert list(client.responses.create(model=model, input="Hello", stream=True))[-1].type == "response.completed"


def is_gzipped(client: openai.OpenAI, model: str) -> None:
    answers_well(client, model)
    asked = {"json": {"model": model, "messages": HELLO}, "headers": {"accept-encoding": "identity"}}
    with httpx.stream("POST", f"{client.base_url}chat/completions", **asked) as answer:  # type: ignore[arg-type]  # a dict of mixed values
        assert json.loads(gzip.decompress(b"".join(answer.iter_raw())))["object"] == "chat.completion"


def reports_no_usage(client: openai.OpenAI, model: str) -> None:
    answers_well(client, model)
    assert chat(client, model).usage is None
    asked: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=asked))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert client.responses.create(model=model, input="Hello").usage is None
    embedded = client.embeddings.with_raw_response.create(model=model, input="Hello")
    assert "usage" not in json.loads(embedded.content)


def is_filtered(client: openai.OpenAI, model: str) -> None:
    choice = chat(client, model).choices[0]
    assert (choice.finish_reason, bool(choice.message.content)) == ("content_filter", True)
    assert list(stream(client, model))[-1].choices[0].finish_reason == "content_filter"
    response = client.responses.create(model=model, input="Hello")
    assert (response.status, response.incomplete_details and response.incomplete_details.reason) == (
        "incomplete",
        "content_filter",
    )


def is_rate_limited(client: openai.OpenAI, model: str) -> None:
    refuses(429, "rate_limit_exceeded")(client, model)
    with pytest.raises(openai.RateLimitError) as refused:
        chat(client, model)
    headers = refused.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "1000")


def is_a_broken_proxy(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client, model)
    assert (refused.value.status_code, refused.value.response.headers["content-type"]) == (502, "text/html")


def redirects(client: openai.OpenAI, model: str) -> None:
    answer = httpx.post(f"{client.base_url}chat/completions", json={"model": model, "messages": HELLO})
    assert (answer.status_code, answer.headers["location"]) == (307, "/v1/elsewhere")


def fails_every_other_time(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.InternalServerError):
        chat(client, model)
    chat(client, model)
    with pytest.raises(openai.InternalServerError):
        chat(client, model)
    chat(client.with_options(max_retries=1), "sandbox-flaky")


def embeds(client: openai.OpenAI, model: str) -> None:
    assert len(client.embeddings.create(model=model, input="Hello").data[0].embedding) == 1536


PROMISES: dict[str, Callable[[openai.OpenAI, str], None]] = {
    "sandbox-chat": answers_well,
    "sandbox-embed": embeds,
    "sandbox-long": is_long,
    "sandbox-slow": is_slow,
    "sandbox-drip": drips,
    "sandbox-hang": hangs,
    "sandbox-hang-mid-stream": hangs_midway,
    "sandbox-die": dies,
    "sandbox-die-mid-stream": dies_midway,
    "sandbox-error-mid-stream": errs_midway,
    "sandbox-no-end": does_not_end,
    "sandbox-malformed": is_malformed,
    "sandbox-odd-framing": is_oddly_framed,
    "sandbox-gzip": is_gzipped,
    "sandbox-no-usage": reports_no_usage,
    "sandbox-content-filter": is_filtered,
    "sandbox-prompt-filter": refuses(400, "content_filter"),
    "sandbox-context-length": refuses(400, "context_length_exceeded"),
    "sandbox-401": refuses(401, "invalid_api_key"),
    "sandbox-403": refuses(403, "model_not_found"),
    "sandbox-429": is_rate_limited,
    "sandbox-quota": refuses(429, "insufficient_quota"),
    "sandbox-500": refuses(500, None),
    "sandbox-503": refuses(503, None),
    "sandbox-html": is_a_broken_proxy,
    "sandbox-redirect": redirects,
    "sandbox-flaky": fails_every_other_time,
}


@pytest.mark.parametrize("model", [model.name for model in MODELS])
def test_a_model_does_what_it_promises(client: openai.OpenAI, model: str) -> None:
    PROMISES[model](client, model)


def test_failures_reach_every_surface(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model="sandbox-429", input="Hello")
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="sandbox-429", input="Hello")


async def test_one_client_hanging_keeps_nobody_waiting(async_client: openai.AsyncOpenAI) -> None:
    hanging = asyncio.create_task(async_client.chat.completions.create(model="sandbox-hang", messages=HELLO))
    try:
        answers = await asyncio.gather(
            *(async_client.chat.completions.create(model="sandbox-slow-50ms", messages=HELLO) for _ in range(20))
        )
        assert len(answers) == 20
        assert not hanging.done()
    finally:
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


def test_models_are_listed_and_found_by_name(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [model.name for model in MODELS]
    assert client.models.retrieve("sandbox-slow-20ms").owned_by == "sandbox"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-unknown")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    "name",
    [
        "sandbox-slow-",
        "sandbox-slow-5",
        "sandbox-slow-99999s",
        "sandbox-chat-5s",
        "sandbox-long-0",
        "sandbox-long-99999",
        "sandbox",
        "",
    ],
)
def test_a_suffix_must_make_sense(name: str) -> None:
    assert find(name) is None
