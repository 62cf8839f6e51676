"""Completions: a prompt instead of a conversation, with everything that chat has."""

from decimal import Decimal
from functools import partial
from typing import Any

import openai
import pytest

from tests.gateway.test_refusals import refused
from tests.support.bodies import CREATED, Json, event
from tests.support.governed import budget, priced, ruled
from tests.support.provider import CLOSE, FakeProvider
from tests.support.tenant import Tenant

USAGE: Json = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def completion(*texts: str, finish: str | None = "stop", **extra: Any) -> Json:
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": finish} for index, text in enumerate(texts)
    ]
    head = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": "gpt-test"}
    return {**head, "choices": choices, **extra}


def stream(*texts: str) -> list[bytes]:
    return [event(completion(text, finish=None)) for text in texts]


END = [event(completion("")), event(completion(usage=USAGE)), event("[DONE]")]


def test_a_completion(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, input=Decimal("1.5"), output=Decimal(2))
    upstream.answers(completion("there was a model", usage=USAGE))
    answer = acme.client().completions.create(model="gpt-test", prompt="Once", max_tokens=5, user="ada")
    assert answer.choices[0].text == "there was a model"
    assert upstream.requests[0].path == "/v1/completions"
    record = acme.record()
    assert (record.endpoint, record.dialect, record.end_user) == ("completions", "openai", "ada")
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (3, 2, False)
    assert record.cost_usd == Decimal("0.0000085")  # 3 x 1.5 + 2 x 2 millionths


@pytest.mark.parametrize("asks", [True, False])
def test_a_stream_tells_its_usage_to_who_asks_and_always_to_the_record(
    acme: Tenant, upstream: FakeProvider, asks: bool
) -> None:
    upstream.streams_raw([*stream("Hel", "lo"), *END], headers={"Content-Type": "text/event-stream"})
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks else {}
    chunks = list(acme.client().completions.create(model="gpt-test", prompt="Once", stream=True, **options))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Hello"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([5] if asks else [])
    assert upstream.requests[0].json["stream_options"] == {"include_usage": True}
    record = acme.record()
    assert (record.stream, record.input_tokens, record.output_tokens) == (True, 3, 2)


def test_a_stream_that_breaks_off_is_not_free(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([*stream(*["word " * 20] * 5), CLOSE], headers={"Content-Type": "text/event-stream"})
    with pytest.raises(openai.APIError):
        list(acme.client().completions.create(model="gpt-test", prompt="Once", stream=True))
    record = acme.record()
    assert record.usage_estimated
    assert (record.output_tokens, record.error_code) == (125, "upstream_disconnected")


def test_a_hold_is_for_every_answer_that_is_written(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, input=Decimal(0), output=Decimal(1_000_000))  # a USD a token
    budget(acme, "10")
    client = acme.client()
    for wider in (
        {"best_of": 3},
        {"n": 3},
        {"prompt": ["Once"] * 3},
        {"prompt": [[1, 2]] * 3},
        {"prompt": ["Once", "Twice"], "n": 2},
        {"max_tokens": None, "extra_body": {"max_completion_tokens": 1}},  # no provider heeds that here
    ):
        asked: Any = {"model": "gpt-test", "prompt": "Once", "max_tokens": 5, **wider}
        call = partial(client.completions.create, **asked)
        error = refused(call, openai.APIStatusError, "budget_exceeded")
        assert error.status_code == 402, wider
    assert upstream.requests == []
    upstream.answers(completion("a", "b", usage=USAGE))
    tokens: list[int] = [1, 2, 3, 4]
    client.completions.create(model="gpt-test", prompt=tokens, max_tokens=5, n=2, best_of=2)


def test_a_cap_goes_under_the_only_name_there_is(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, max_output_tokens=7)
    client = acme.client()
    for asked, sent in ((None, 7), (100, 7), (5, 5)):
        upstream.answers(completion("a", usage=USAGE))
        client.completions.create(model="gpt-test", prompt="Once", max_tokens=asked)
        assert upstream.next_request().json["max_tokens"] == sent
        assert "max_completion_tokens" not in upstream.requests[-1].json
