"""Clients of one dialect, answered by a provider that speaks another: what goes there, what comes back, what is recorded."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

from apps.providers.prices.actions import price_set
from tests.support import messages
from tests.support.governed import LONG_AGO, budget, ruled, settled
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider
from tests.support.tenant import ACTOR, SECRET, Tenant

CLAUDE = messages.MODEL
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def claude(acme: Tenant, upstream: FakeProvider) -> Tenant:
    """The tenant, with a model of Anthropic's behind the fake provider."""
    credential = acme.add_credential(upstream.url, provider="anthropic")
    acme.add_model(CLAUDE, credential=credential, provider="anthropic")
    return acme


@pytest.fixture
def by_anthropic(acme: Tenant) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=acme.token, base_url=acme.gateway.url, max_retries=0, timeout=20) as made:
        yield made


# --- OpenAI's client, Anthropic's model ---


def test_a_chat_is_answered_by_anthropic(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message(), headers={"request-id": "req_theirs"})
    reply = claude.client().chat.completions.with_raw_response.create(
        model=CLAUDE,
        messages=[{"role": "system", "content": "Be brief."}, *HELLO],
        max_completion_tokens=50,
        temperature=0.5,
        extra_headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "cookie": "a=b"},
    )
    answer = reply.parse()
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == CLAUDE
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 2)
    assert reply.headers["x-tollgate-upstream-request-id"] == "req_theirs"
    assert "x-tollgate-dropped" not in reply.headers

    got = upstream.next_request()
    assert got.path == "/v1/messages"
    assert (got.header("x-api-key"), got.header("anthropic-version")) == (SECRET, "2023-06-01")
    assert got.header("traceparent") is not None
    for absent in ("authorization", "cookie", "x-stainless-lang"):
        assert got.header(absent) is None
    assert got.json["system"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
    assert (got.json["max_tokens"], got.json["temperature"]) == (50, 0.5)

    record = claude.record(reply.headers["x-request-id"])
    assert (record.endpoint, record.dialect, record.provider) == ("chat_completions", "openai", "anthropic")
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (9, 2, False)
    assert record.attempts[0]["endpoint"] == "messages"


def said(chunks: Any) -> tuple[str, str | None, Any]:
    """Text, finish reason and usage of a streamed chat."""
    text, finish, usage = "", None, None
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    return text, finish, usage


@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_streamed_chat_is_answered_by_anthropic(claude: Tenant, upstream: FakeProvider, *, wants_usage: bool) -> None:
    upstream.streams_raw(messages.stream("Hel", "lo"))
    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    reply = claude.client().chat.completions.with_raw_response.create(
        model=CLAUDE, messages=HELLO, stream=True, **options
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    text, finish, usage = said(reply.parse())
    assert (text, finish) == ("Hello", "stop")
    assert (usage is not None) == wants_usage
    if wants_usage:
        assert (usage.prompt_tokens, usage.completion_tokens) == (9, 2)
    assert upstream.next_request().json["stream"] is True
    record = claude.record(reply.headers["x-request-id"])
    assert (record.status, record.stream, record.input_tokens, record.output_tokens) == (200, True, 9, 2)


def test_a_tool_is_called_through_both_dialects(claude: Tenant, upstream: FakeProvider) -> None:
    pieces = messages.tool_block("weather", '{"ci', 'ty":"Oslo"}')
    upstream.streams_raw([messages.start(), *pieces, *messages.end(stop="tool_use")])
    with claude.client().chat.completions.stream(model=CLAUDE, messages=HELLO, tools=[TOOL]) as stream:  # type: ignore[list-item]  # a plain dict
        answer = stream.get_final_completion()
    [call] = answer.choices[0].message.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    assert answer.choices[0].finish_reason == "tool_calls"
    (tool,) = upstream.next_request().json["tools"]
    assert tool["name"] == "weather"

    upstream.answers(messages.message(text="Rain"))
    turns = [
        *HELLO,
        answer.choices[0].message.model_dump(exclude_none=True, exclude={"parsed": True}),
        {"role": "tool", "tool_call_id": call.id, "content": "wet"},
    ]
    again = claude.client().chat.completions.create(model=CLAUDE, messages=turns, tools=[TOOL])  # type: ignore[list-item]  # a plain dict
    assert again.choices[0].message.content == "Rain"
    sent = upstream.next_request().json["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"][-1] == {"type": "tool_use", "id": "toolu_0", "name": "weather", "input": {"city": "Oslo"}}
    assert sent[2]["content"][0]["tool_use_id"] == "toolu_0"


# --- What is lost ---


def lossy(tenant: Tenant, **fields: Any) -> Any:
    body = {"model": CLAUDE, "messages": HELLO, "max_tokens": 5, **fields}
    return tenant.http().post("/v1/chat/completions", json=body)


def test_what_is_lost_without_harm_is_named(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message(), always=True)
    answer = lossy(claude, seed=7, verbosity="low")
    assert answer.status_code == 200
    assert set(answer.headers["x-tollgate-dropped"].split(", ")) == {"seed", "verbosity"}
    assert "seed" not in upstream.next_request().json


def test_what_would_change_the_meaning_is_refused_before_anything_is_asked(
    claude: Tenant, upstream: FakeProvider
) -> None:
    upstream.answers(messages.message(), always=True)
    answer = lossy(claude, n=2)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "n")
    assert not upstream.requests
    assert lossy(claude, n=1).status_code == 200
    record = claude.record(answer.headers["x-request-id"])
    assert (record.status, record.error_code, record.attempts) == (400, "unsupported_parameter", [])


def test_a_policy_decides_what_may_be_lost(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message(), always=True)
    ruled(claude, untranslatable="strict")
    answer = lossy(claude, seed=7)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "seed")
    ruled(claude, untranslatable="drop")
    answer = lossy(claude, seed=7, n=2)
    assert answer.status_code == 200
    assert "x-tollgate-dropped" not in answer.headers


def test_a_route_that_cannot_express_a_request_is_passed_over(acme: Tenant, upstream: FakeProvider) -> None:
    """One model by two providers: what the first cannot say goes to the second."""
    first = acme.add_credential(f"{upstream.url}/first", provider="anthropic", priority=1)
    acme.add_model("either", credential=first, provider="anthropic")
    acme.add_model("either")
    upstream.answers(messages.message())
    assert lossy(acme, model="either").status_code == 200
    assert upstream.next_request().path == "/first/v1/messages"
    assert lossy(acme, model="either", n=2).status_code == 200
    assert upstream.next_request().path == "/v1/chat/completions"


# --- Failures ---


def test_a_refusal_comes_in_the_clients_words(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.error("not_found_error", "model: no such"), status=404)
    with pytest.raises(openai.NotFoundError) as caught:
        claude.client().chat.completions.create(model=CLAUDE, messages=HELLO)
    assert "model: no such" in str(caught.value)
    assert caught.value.code == "not_found_error"
    record = claude.record()
    assert (record.status, record.error_code) == (404, "not_found_error")


def test_too_long_a_prompt_is_called_so(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.error("invalid_request_error", "prompt is too long: 9 tokens > 5 maximum"), status=400)
    with pytest.raises(openai.BadRequestError) as caught:
        claude.client().chat.completions.create(model=CLAUDE, messages=HELLO)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("status", "error"), [(429, openai.RateLimitError), (529, openai.InternalServerError)])
def test_overload_is_for_the_client_to_repeat(
    claude: Tenant, upstream: FakeProvider, status: int, error: type[openai.APIStatusError]
) -> None:
    upstream.answers(messages.error("overloaded_error", "Busy"), status=status, headers={"retry-after": "7"})
    with pytest.raises(error) as caught:
        claude.client().chat.completions.create(model=CLAUDE, messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.status_code == (503 if status == 529 else 429)


def test_a_stream_that_begins_with_an_error_gets_a_status(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([messages.named(messages.error("overloaded_error", "Busy"))])
    with pytest.raises(openai.InternalServerError) as caught:
        claude.client().chat.completions.create(model=CLAUDE, messages=HELLO, stream=True)
    assert caught.value.status_code == 503
    assert claude.record().status == 503


def test_an_error_in_the_midst_of_a_stream_is_an_error_of_the_clients_dialect(
    claude: Tenant, upstream: FakeProvider
) -> None:
    begun = [messages.start(), *list(messages.text_block("Hello there, traveller"))[:2]]
    upstream.streams_raw([*begun, messages.named(messages.error("overloaded_error", "Busy"))])
    with pytest.raises(openai.APIError) as caught:
        said(claude.client().chat.completions.create(model=CLAUDE, messages=HELLO, stream=True))
    assert "Busy" in caught.value.message
    record = claude.record()
    assert (record.status, record.error_code) == (200, "overloaded_error")
    assert record.usage_estimated


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_a_stream_that_breaks_off_does_not_look_whole(claude: Tenant, upstream: FakeProvider, ending: Any) -> None:
    upstream.streams_raw([messages.start(), *list(messages.text_block("Hel"))[:2], ending])
    with pytest.raises(openai.APIError) as caught:
        said(claude.client().chat.completions.create(model=CLAUDE, messages=HELLO, stream=True))
    assert caught.value.code == "upstream_disconnected"
    assert claude.record().status == 502


def test_an_answer_that_is_none_is_refused(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"hello": "world"})
    with pytest.raises(openai.InternalServerError) as caught:
        claude.client().chat.completions.create(model=CLAUDE, messages=HELLO)
    assert caught.value.code == "upstream_malformed"


def test_a_client_that_leaves_ends_the_providers_work(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([messages.start(), *list(messages.text_block("Hel"))[:2], HANG])
    stream = claude.client().chat.completions.create(model=CLAUDE, messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    assert upstream.hung_up.wait(5)
    assert claude.record().status == 499


# --- Money ---


def test_a_translated_call_costs_what_its_provider_charges(claude: Tenant, upstream: FakeProvider) -> None:
    price_set(
        organization=claude.organization,
        provider="anthropic",
        model=CLAUDE,
        prices={"input": Decimal(2), "output": Decimal(10), "cached_input": Decimal("0.5")},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    made = budget(claude, "1")
    usage = {**messages.USAGE, "cache_read_input_tokens": 100}
    upstream.answers(messages.message(usage=usage))
    reply = claude.client().chat.completions.with_raw_response.create(model=CLAUDE, messages=HELLO)
    told = reply.parse().usage
    assert told is not None
    assert told.prompt_tokens_details is not None
    assert (told.prompt_tokens, told.prompt_tokens_details.cached_tokens) == (109, 100)
    cost = Decimal("0.000088")  # 9 x 2 + 100 x 0.5 + 2 x 10 millionths
    assert Decimal(reply.headers["x-tollgate-cost-usd"]) == cost
    assert claude.record(reply.headers["x-request-id"]).cost_usd == cost
    assert settled(made).spent_usd == cost


def test_a_cap_of_output_holds_for_translated_calls(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message(), always=True)
    ruled(claude, max_output_tokens=7)
    assert lossy(claude, max_tokens=500).status_code == 200
    assert upstream.next_request().json["max_tokens"] == 7
    assert lossy(claude, max_tokens=3).status_code == 200
    assert upstream.next_request().json["max_tokens"] == 3


# --- Anthropic's client, a model of OpenAI's dialect ---


def test_a_message_is_answered_by_a_chat(
    acme: Tenant, upstream: FakeProvider, by_anthropic: anthropic.Anthropic
) -> None:
    reply = by_anthropic.messages.with_raw_response.create(
        model="gpt-test", max_tokens=20, system="Be brief.", messages=HELLO, metadata={"user_id": "ann"}
    )
    answer = reply.parse()
    assert [block.type for block in answer.content] == ["text"]
    assert answer.stop_reason == "end_turn"
    got = upstream.next_request()
    assert got.path == "/v1/chat/completions"
    assert [turn["role"] for turn in got.json["messages"]] == ["system", "user"]
    record = acme.record(reply.headers["request-id"])
    assert (record.endpoint, record.dialect, record.end_user) == ("messages", "anthropic", "ann")
    assert record.attempts[0]["endpoint"] == "chat_completions"


def test_a_streamed_message_is_answered_by_a_chat(
    acme: Tenant, upstream: FakeProvider, by_anthropic: anthropic.Anthropic
) -> None:
    upstream.streams("Hel", "lo")
    with by_anthropic.messages.stream(model="gpt-test", max_tokens=20, messages=HELLO) as stream:
        answer = stream.get_final_message()
    assert [block.text for block in answer.content if block.type == "text"] == ["Hello"]
    assert answer.usage.output_tokens > 0
    assert upstream.next_request().json["stream_options"] == {"include_usage": True}
    record = acme.record()
    assert (record.status, record.stream, record.usage_estimated) == (200, True, False)


def test_tokens_are_counted_by_us_where_the_provider_cannot(
    acme: Tenant, upstream: FakeProvider, by_anthropic: anthropic.Anthropic
) -> None:
    reply = by_anthropic.messages.with_raw_response.count_tokens(model="gpt-test", messages=HELLO)
    assert reply.parse().input_tokens > 0
    assert reply.headers["x-tollgate-estimated"] == "true"
    assert not upstream.requests


def test_models_of_other_dialects_are_listed_for_every_client(
    claude: Tenant, by_anthropic: anthropic.Anthropic
) -> None:
    assert {"gpt-test", CLAUDE} <= {model.id for model in by_anthropic.models.list()}
    assert {"gpt-test", CLAUDE} <= {model.id for model in claude.client().models.list()}


# --- Embeddings ---


def test_embeddings_of_openais_client_are_made_by_gemini(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("gemini-embedding-001", upstream.url, provider="gemini")
    upstream.answers({"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25, 2.0]}]})
    answer = acme.client().embeddings.create(model="gemini-embedding-001", input=["one", "two"], dimensions=2)
    assert [each.embedding for each in answer.data] == [[0.5, -1.0], [0.25, 2.0]]
    got = upstream.next_request()
    assert got.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert [each["outputDimensionality"] for each in got.json["requests"]] == [2, 2]
    record = acme.record()
    assert (record.endpoint, record.provider, record.usage_estimated) == ("embeddings", "gemini", True)


def test_embeddings_of_geminis_client_are_made_by_openais_kind(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"data": [{"index": 0, "embedding": [0.5, 2.0]}], "usage": {"prompt_tokens": 3}})
    got = acme.http().post(
        "/v1beta/models/embed-test:embedContent",
        json={"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 2},
    )
    assert got.json()["embedding"]["values"] == [0.5, 2.0]
    sent = upstream.next_request()
    assert (sent.path, sent.json["input"], sent.json["dimensions"]) == ("/v1/embeddings", ["one"], 2)
    assert acme.record().input_tokens == 3


# --- Servers that have no Responses ---


@pytest.mark.parametrize(
    ("status", "page"), [(404, '{"detail":"Not Found"}'), (405, ""), (404, "<html>Nothing</html>")]
)
def test_responses_of_a_server_that_has_none_are_made_of_chats(
    acme: Tenant, upstream: FakeProvider, status: int, page: str
) -> None:
    """It is asked once, and remembered."""
    kind = "text/html" if page.startswith("<") else "application/json"
    upstream.answers(page, status=status, headers={"content-type": kind})
    first = acme.client().responses.create(model="gpt-test", input="Hello")
    assert first.output_text == "Hello"
    assert first.store is False
    second = acme.client().responses.create(model="gpt-test", input="Hello")
    assert second.output_text == "Hello"
    paths = [request.path for request in upstream.requests]
    assert paths == ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]
    records = acme.records(2)
    assert [attempt["endpoint"] for attempt in records[0].attempts] == ["responses", "chat_completions"]
    assert [record.endpoint for record in records] == ["responses", "responses"]


def test_a_model_that_is_not_there_says_nothing_of_the_endpoint(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(404, "The model `gpt-test` does not exist", code="model_not_found")
    with pytest.raises(openai.NotFoundError):
        acme.client().responses.create(model="gpt-test", input="Hello")
    assert acme.client().responses.create(model="gpt-test", input="Hello").output_text == "Hello"
    assert [request.path for request in upstream.requests] == ["/v1/responses"] * 2


def test_what_a_request_goes_on_from_is_never_dropped(claude: Tenant, upstream: FakeProvider) -> None:
    """Under no policy: the answer would be to another question."""
    ruled(claude, untranslatable="drop")
    with pytest.raises(openai.BadRequestError) as caught:
        claude.client().responses.create(model=CLAUDE, input="More", conversation="conv_1")
    assert caught.value.param == "conversation"
    assert not upstream.requests
