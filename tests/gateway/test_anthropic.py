"""Anthropic's official client, unmodified, to a provider that speaks as Anthropic does."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import pytest

from apps.providers.prices.actions import price_set
from tests.support import messages
from tests.support.gateway import GatewayProcess
from tests.support.governed import LONG_AGO, budget, ruled, settled
from tests.support.provider import CLOSE, HANG, FakeProvider
from tests.support.tenant import ACTOR, SECRET, Tenant

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
ASK: dict[str, Any] = {"model": messages.MODEL, "max_tokens": 100, "messages": HELLO}
TOOL: dict[str, Any] = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {}}}}


@pytest.fixture
def claude(acme: Tenant, upstream: FakeProvider) -> Tenant:
    """The tenant, with a model of Anthropic's behind the fake provider."""
    credential = acme.add_credential(upstream.url, provider="anthropic")
    acme.add_model(messages.MODEL, credential=credential, provider="anthropic")
    acme.add_model("renamed-claude", credential=credential, provider="anthropic", upstream_name="claude-upstream")
    return acme


@pytest.fixture
def client(claude: Tenant) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=claude.token, base_url=claude.gateway.url, max_retries=0, timeout=20) as made:
        yield made


def priced(tenant: Tenant, **prices: str) -> None:
    """The model's prices, USD per million."""
    price_set(
        organization=tenant.organization,
        provider="anthropic",
        model=messages.MODEL,
        prices={kind: Decimal(price) for kind, price in prices.items()},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )


def post(tenant: Tenant, path: str = "/v1/messages", **fields: Any) -> httpx.Response:
    return tenant.http().post(path, json={**ASK, **fields})


# --- Answers ---


def test_a_message(claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    upstream.answers(messages.message(), headers={"request-id": "req_theirs"})
    reply = client.messages.with_raw_response.create(**ASK, metadata={"user_id": "ann"})
    answer = reply.parse()

    assert [block.text for block in answer.content if block.type == "text"] == ["Hello"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 2)
    assert reply.headers["request-id"] == reply.headers["x-request-id"] == answer._request_id
    assert reply.headers["x-tollgate-upstream-request-id"] == "req_theirs"
    record = claude.record(reply.headers["request-id"])
    assert (record.endpoint, record.dialect, record.provider) == ("messages", "anthropic", "anthropic")
    assert (record.status, record.input_tokens, record.output_tokens, record.usage_estimated) == (200, 9, 2, False)
    assert (record.model_asked, record.model_served, record.end_user) == (messages.MODEL, messages.MODEL, "ann")


def test_what_the_provider_gets(claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    upstream.answers(messages.message())
    client.messages.create(**ASK, extra_headers={"anthropic-beta": "a-1,b-2", "x-app": "cli", "cookie": "a=b"})

    got = upstream.next_request()
    assert got.path == "/v1/messages"
    assert got.json == ASK
    assert got.header("x-api-key") == SECRET
    assert got.header("anthropic-version") == "2026-10-21"
    assert got.header("anthropic-beta") == "a-1,b-2"
    for absent in ("authorization", "cookie", "x-app"):
        assert got.header(absent) is None
    assert claude.token not in str(got.headers)


def test_a_client_that_names_no_version_gets_the_usual_one(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message())
    assert post(claude).status_code == 200
    got = upstream.next_request()
    assert [value for name, value in got.headers if name.lower() == "anthropic-version"] == ["2023-06-01"]


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/messages/", "/anthropic/v1/messages"])
def test_every_form_of_the_path(claude: Tenant, upstream: FakeProvider, path: str) -> None:
    upstream.answers(messages.message())
    assert post(claude, path).json()["content"][0]["text"] == "Hello"


def test_bodies_pass_byte_for_byte(claude: Tenant, upstream: FakeProvider) -> None:
    body = json.dumps({**ASK, "unknown": [1.0, "é"]}, indent=1).encode()
    answer = json.dumps({**messages.message(), "unknown": {"a": 1}}, indent=2).encode()
    upstream.answers(answer)

    got = claude.http().post("/v1/messages", content=body, headers={"content-type": "application/json"})

    assert got.content == answer
    assert upstream.next_request().body == body


def test_a_model_under_another_name_upstream(client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    upstream.answers(messages.message())
    client.messages.create(**{**ASK, "model": "renamed-claude"})
    assert upstream.next_request().json == {**ASK, "model": "claude-upstream"}


def test_a_turn_with_tools(client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    calls = [
        {"type": "tool_use", "id": f"toolu_{city}", "name": "weather", "input": {"city": city}}
        for city in ("Madrid", "Oslo")
    ]
    upstream.answers(messages.message(*calls, stop="tool_use"))
    first = client.messages.create(**ASK, tools=[TOOL])
    assert [block.input for block in first.content if block.type == "tool_use"] == [
        {"city": "Madrid"},
        {"city": "Oslo"},
    ]

    upstream.answers(messages.message(text="Sunny"))
    results: Any = [{"type": "tool_result", "tool_use_id": call["id"], "content": "sun"} for call in calls]
    turns: list[Any] = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    client.messages.create(**{**ASK, "messages": turns}, tools=[TOOL])

    upstream.next_request()
    sent = upstream.next_request().json["messages"]
    assert [block["id"] for block in sent[1]["content"]] == ["toolu_Madrid", "toolu_Oslo"]
    assert sent[2]["content"] == results


async def test_the_async_client_and_a_bearer_token(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw(messages.stream())
    async with (
        anthropic.AsyncAnthropic(auth_token=claude.token, base_url=claude.gateway.url) as client,
        client.messages.stream(**ASK) as stream,
    ):
        assert "".join([text async for text in stream.text_stream]) == "Hello"


def test_clients_of_before_2026_who_send_x_api_key(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message())
    headers = {"x-api-key": claude.token, "anthropic-version": "2023-06-01"}
    got = httpx.post(claude.gateway.url + "/v1/messages", json=ASK, headers=headers, timeout=20)
    assert got.status_code == 200
    assert upstream.next_request().header("anthropic-version") == "2023-06-01"


def test_of_two_tokens_x_api_key_counts_here_and_none_elsewhere(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(messages.message())
    headers = {"x-api-key": claude.token, "authorization": "Bearer sk-ant-oat-someones-own"}
    with httpx.Client(base_url=claude.gateway.url, headers=headers, timeout=20) as http:
        assert http.post("/v1/messages", json=ASK).status_code == 200
        assert http.post("/v1/chat/completions", json=ASK).status_code == 401
    assert "someones-own" not in str(upstream.next_request().headers)


# --- Streams ---


def test_a_stream_passes_as_it_is_and_its_usage_is_the_last_one_told(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    usage = {**messages.USAGE, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 30}
    steps = [
        messages.start(usage),
        *messages.text_block("Hel", "lo"),
        b'event: ping\ndata: {"type": "ping"}\n\n',
        *messages.tool_block("weather", '{"city": ', '"Madrid"}', index=1),
        *messages.end(41, stop="tool_use", server_tool_use={"web_search_requests": 2}),
    ]
    upstream.streams_raw(steps)
    got = post(claude, stream=True)
    assert got.content == b"".join(steps)
    assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
    record = claude.record(got.headers["request-id"])
    assert (record.status, record.stream, record.usage_estimated) == (200, True, False)
    assert (record.input_tokens, record.cache_read_tokens, record.cache_write_5m_tokens) == (9, 700, 30)
    assert (record.output_tokens, record.other_usage) == (41, {"searches": 2})

    upstream.streams_raw(steps)
    with client.messages.stream(**ASK, tools=[TOOL]) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["text", "tool_use"]
    assert final.content[1].input == {"city": "Madrid"}  # type: ignore[union-attr]  # a tool_use, as was just seen
    assert final.usage.output_tokens == 41


def test_events_come_when_the_provider_sends_them(client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    import threading

    more = threading.Event()
    upstream.streams_raw([messages.start(), more, *messages.text_block("Hello"), *messages.end()])
    stream = client.messages.create(**ASK, stream=True)
    assert next(stream).type == "message_start"
    more.set()
    assert [event.type for event in stream][-1] == "message_stop"


def test_a_stream_that_breaks_off_ends_in_an_error_event(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    upstream.streams_raw([messages.start(), *messages.text_block("Hel", "lo there, Ann"), CLOSE])
    stream = client.messages.create(**ASK, stream=True)
    seen = [next(stream).type for _ in range(5)]
    assert seen[-1] == "content_block_stop"
    with pytest.raises(anthropic.APIStatusError) as raised:
        next(stream)
    assert raised.value.type == "api_error"
    assert raised.value.error_code == "upstream_disconnected"
    record = claude.record()
    assert (record.status, record.error_code) == (500, "upstream_disconnected")
    assert (record.input_tokens, record.usage_estimated) == (9, True)
    assert 1 <= (record.output_tokens or 0) < 10


def test_the_gateways_error_event_is_whole_and_alone(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([messages.start(), b'event: content_block_delta\ndata: {"type": "content_bl', CLOSE])
    got = post(claude, stream=True)
    rest = got.content.removeprefix(messages.start())
    name, data = rest.removesuffix(b"\n\n").split(b"\n")
    assert name == b"event: error"
    told = json.loads(data.removeprefix(b"data: "))
    assert told["type"] == "error"
    assert told["request_id"] == got.headers["request-id"]


def test_a_providers_error_event_passes_and_is_recorded(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    failure = messages.named(messages.error("overloaded_error", "Overloaded"))
    upstream.streams_raw([messages.start(), *messages.text_block("Hel"), failure])
    with pytest.raises(anthropic.APIStatusError) as raised:
        list(client.messages.create(**ASK, stream=True))
    assert raised.value.type == "overloaded_error"
    record = claude.record()
    assert (record.status, record.error_code, record.usage_estimated) == (200, "overloaded_error", False)
    assert record.attempts[0]["error_code"] == "overloaded_error"


@pytest.mark.parametrize(("begun", "told"), [(b"", None), (messages.start(), 9)])
def test_a_stream_that_is_an_error_from_its_beginning_has_a_status(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider, begun: bytes, told: int | None
) -> None:
    failure = messages.error("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum")
    upstream.streams_raw([begun + messages.named(failure)])
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**ASK, stream=True)
    assert raised.value.body == failure
    record = claude.record()
    assert (record.status, record.error_code, record.input_tokens) == (400, "invalid_request_error", told)


def test_a_stream_that_is_overloaded_from_its_beginning_is_tried_again(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    upstream.streams_raw([messages.named(messages.error("overloaded_error", "Overloaded"))])
    upstream.streams_raw(messages.stream())
    with GatewayProcess() as patient, client.with_options(base_url=patient.url).messages.stream(**ASK) as stream:
        assert stream.get_final_text() == "Hello"
    record = claude.record()
    assert (record.status, record.output_tokens) == (200, 2)
    assert [(each["status"], each["error_code"]) for each in record.attempts] == [(529, "overloaded_error"), (200, "")]


def test_a_client_that_leaves_ends_the_call_upstream(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    upstream.streams_raw([messages.start(), *messages.text_block("Hello"), HANG])
    stream = client.messages.create(**ASK, stream=True)
    assert next(stream).type == "message_start"
    stream.close()
    assert upstream.hung_up.wait(timeout=5)
    record = claude.record()
    assert (record.status, record.error_code, record.input_tokens) == (499, "client_closed", 9)


# --- Errors: the class that the client raises ---


def refused(client: anthropic.Anthropic, **fields: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(**{**ASK, **fields})
    assert raised.value.request_id == raised.value.body["request_id"]  # type: ignore[index]  # an object, as the next line asserts
    assert raised.value.body["type"] == "error"  # type: ignore[index]  # see above
    return raised.value


def test_refusals_of_the_gateway(claude: Tenant, client: anthropic.Anthropic) -> None:
    no_one = client.with_options(api_key="tg_live_nobody")
    for error, kind, status, code in (
        (refused(no_one), anthropic.AuthenticationError, 401, "invalid_api_key"),
        (refused(client, model="nowhere"), anthropic.NotFoundError, 404, "model_not_found"),
        (refused(client, max_tokens=-1), anthropic.BadRequestError, 400, "invalid_value"),
        (refused(client, messages="Hello"), anthropic.BadRequestError, 400, "invalid_type"),
    ):
        assert type(error) is kind
        assert (error.status_code, error.error_code) == (status, code)


def test_max_tokens_is_required(claude: Tenant) -> None:
    fields = {name: value for name, value in ASK.items() if name != "max_tokens"}
    got = claude.http().post("/v1/messages", json=fields)
    assert got.status_code == 400
    assert got.json()["error"] == {
        "type": "invalid_request_error",
        "message": "Missing required parameter: 'max_tokens'.",
        "details": {"error_code": "missing_required_parameter", "param": "max_tokens"},
    }


def test_a_model_that_a_policy_forbids(claude: Tenant, client: anthropic.Anthropic) -> None:
    ruled(claude, denied_models=[messages.MODEL])
    error = refused(client)
    assert type(error) is anthropic.PermissionDeniedError
    assert (error.type, error.error_code) == ("permission_error", "model_not_allowed")
    assert error.request_id is not None
    assert error.request_id in error.message


@pytest.mark.parametrize("status", [401, 403])
def test_the_gateways_own_key_is_no_affair_of_the_clients(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider, status: int
) -> None:
    upstream.answers(messages.error("authentication_error", "invalid x-api-key"), status=status)
    error = refused(client)
    assert type(error) is anthropic.InternalServerError
    assert (error.status_code, error.type, error.error_code) == (500, "api_error", "upstream_auth_failed")
    assert error.response.headers["x-should-retry"] == "false"
    assert claude.record().error_code == "upstream_auth_failed"


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.ContentTooLargeError),
        (422, "invalid_request_error", anthropic.UnprocessableEntityError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_the_providers_errors_pass_as_they_are(
    claude: Tenant,
    client: anthropic.Anthropic,
    upstream: FakeProvider,
    status: int,
    type_: str,
    kind: type[anthropic.APIStatusError],
) -> None:
    body = messages.error(type_, "prompt is too long: 250000 tokens > 200000 maximum")
    upstream.answers(body, status=status, headers={"retry-after": "0"}, always=True)
    with pytest.raises(kind) as raised:
        client.messages.create(**ASK)
    assert raised.value.body == body
    record = claude.record(raised.value.request_id)
    assert (record.status, record.error_code) == (status, type_)


def test_a_provider_that_cannot_be_reached(claude: Tenant, client: anthropic.Anthropic) -> None:
    claude.add_route("claude-gone", "http://127.0.0.1:1", provider="anthropic")
    error = refused(client, model="claude-gone")
    assert (error.status_code, error.type, error.error_code) == (500, "api_error", "upstream_unavailable")


@pytest.mark.parametrize("method_path", [("GET", "/v1/messages"), ("POST", "/anthropic/v1/nothing")])
def test_paths_and_verbs_that_are_not_served(claude: Tenant, method_path: tuple[str, str]) -> None:
    got = claude.http().request(*method_path)
    assert got.json()["type"] == "error"
    assert got.json()["error"]["type"] in ("invalid_request_error", "not_found_error")
    assert claude.record(got.headers["request-id"]).dialect == "anthropic"


# --- Policies, limits, budgets, prices ---


def test_a_policy_caps_max_tokens(claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    ruled(claude, max_output_tokens=50)
    upstream.answers(messages.message(), always=True)
    client.messages.create(**ASK)
    client.messages.create(**{**ASK, "max_tokens": 20})
    assert [request.json["max_tokens"] for request in upstream.requests] == [50, 20]


def test_limits_are_told_in_anthropics_headers_and_waited_for(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    ruled(claude, requests_per_minute=60)
    upstream.answers(messages.message(), headers={"anthropic-ratelimit-requests-limit": "9999"}, always=True)
    headers = client.messages.with_raw_response.create(**ASK).headers
    assert headers["anthropic-ratelimit-requests-limit"] == "60"
    assert headers["anthropic-ratelimit-requests-remaining"] == "59"
    reset = datetime.strptime(headers["anthropic-ratelimit-requests-reset"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert -5 < (reset - datetime.now(UTC)).total_seconds() < 5
    assert not [name for name in headers if name.startswith("x-ratelimit")]


def test_a_limit_reached_is_429_and_the_client_comes_again(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    ruled(claude, requests_per_minute=1)
    upstream.answers(messages.message(), always=True)
    client.messages.create(**ASK)
    error = refused(client)
    assert type(error) is anthropic.RateLimitError
    assert error.type == "rate_limit_error"
    assert 1 <= int(error.response.headers["retry-after"]) <= 60
    ruled(claude, requests_per_minute=600)  # the next one comes in time for the client's own retries
    assert client.with_options(max_retries=5).messages.create(**ASK).content


def test_cost_of_cache_reads_writes_and_searches(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    priced(
        claude,
        input="5",
        cached_input="0.5",
        cache_write_5m="6.25",
        cache_write_1h="10",
        output="25",
        per_search="10000",
    )
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 40,
        "server_tool_use": {"web_search_requests": 3},
    }
    upstream.answers(messages.message(usage=usage))
    client.messages.create(**ASK)
    record = claude.record()
    assert (record.cache_write_5m_tokens, record.cache_write_1h_tokens) == (100, 200)
    micro = 10 * 5 + Decimal(1000) / 2 + 100 * Decimal("6.25") + 200 * 10 + 40 * 25 + 3 * 10000
    assert record.cost_usd == micro / 1_000_000
    assert record.flags == []


def test_a_budget_without_room_is_402_and_settles_to_what_was_spent(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    priced(claude, input="0", output="1000")
    made = budget(claude, "0.15")
    upstream.answers(messages.message(usage={**messages.USAGE, "output_tokens": 60}), always=True)
    client.messages.create(**ASK)  # holds 0.10 and costs 0.06
    assert settled(made).spent_usd == Decimal("0.06")
    error = refused(client)
    assert type(error) is anthropic.PaymentRequiredError
    assert (error.type, error.error_code) == ("billing_error", "budget_exceeded")
    assert error.body["error"]["details"]["scope"] == "organization"  # type: ignore[index]  # an object, as `refused` saw
    assert error.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in error.response.headers


# --- Counting ---


def test_counting_tokens_is_free(claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider) -> None:
    priced(claude, input="1000000", output="1000000")
    budget(claude, "0.01")
    upstream.answers({"input_tokens": 2095})
    counted = client.messages.with_raw_response.count_tokens(model=messages.MODEL, messages=HELLO)
    assert counted.parse().input_tokens == 2095
    assert upstream.next_request().path == "/v1/messages/count_tokens"
    record = claude.record(counted.headers["request-id"])
    assert (record.endpoint, record.status) == ("count_tokens", 200)
    assert (record.cost_usd, record.input_tokens, record.decision) == (None, None, None)


def test_a_provider_that_cannot_count_is_counted_for(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"detail": "Not Found"}, status=404)
    got = post(claude, "/v1/messages/count_tokens")
    assert got.json() == {"input_tokens": (len(json.dumps(ASK, separators=(",", ":"))) + 3) // 4}
    assert got.headers["x-tollgate-estimated"] == "true"


def test_counting_for_a_model_that_the_provider_has_not_is_refused_by_it(
    client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    upstream.answers(messages.error("not_found_error", "model: claude-test"), status=404)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model=messages.MODEL, messages=HELLO)


def test_a_token_for_messages_may_count_and_one_without_may_neither(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"input_tokens": 1}, always=True)
    for scopes, status in ((["messages"], 200), (["chat_completions"], 403)):
        _, token = claude.issue_token(scopes=scopes)
        headers = {"authorization": f"Bearer {token}"}
        got = httpx.post(claude.gateway.url + "/v1/messages/count_tokens", json=ASK, headers=headers, timeout=20)
        assert got.status_code == status


# --- Models ---


def test_models_are_listed_whatever_their_provider_speaks(claude: Tenant, client: anthropic.Anthropic) -> None:
    claude.add_route("text-embedding-3-small", claude.upstream.url, provider="openai")
    listed = {model.id: model for model in client.models.list()}
    assert {messages.MODEL, "renamed-claude", "gpt-test"} <= listed.keys()
    assert not {"text-embedding-3-small", "sandbox-chat"} & listed.keys()
    assert listed["claude-haiku-4-5"].max_tokens == 64_000
    assert client.models.retrieve(messages.MODEL).lifecycle == "active"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("text-embedding-3-small")
    names = {model.id for model in claude.client().models.list()}
    assert {"gpt-test", "text-embedding-3-small", messages.MODEL, "renamed-claude"} <= names


def test_models_page_by_page(client: anthropic.Anthropic) -> None:
    names = [model.id for model in client.models.list()]
    first = client.models.list(limit=3)
    assert (first.has_more, first.first_id, first.last_id) == (True, names[0], names[2])
    assert [model.id for model in first] == names, "the client fetches page after page"
    back = client.models.list(before_id=names[2], limit=1)
    assert ([model.id for model in back.data], back.has_more) == ([names[1]], True)
    with pytest.raises(anthropic.BadRequestError):
        client.models.list(limit=1, after_id="nothing")


def test_one_name_that_two_dialects_serve_is_asked_in_the_operators_order(
    claude: Tenant, client: anthropic.Anthropic, upstream: FakeProvider
) -> None:
    """Whoever asks: what needs no translation does not come first for that."""
    claude.add_model(messages.MODEL)  # at the OpenAI-compatible credential, which is older
    first = claude.add_credential(upstream.url, provider="anthropic", priority=1)
    claude.add_model("both", credential=first, provider="anthropic")
    claude.add_model("both")
    assert claude.client().chat.completions.create(model=messages.MODEL, messages=HELLO).choices
    assert client.messages.create(**ASK).content
    upstream.answers(messages.message(), always=True)
    assert client.messages.create(**{**ASK, "model": "both"}).content
    assert claude.client().chat.completions.create(model="both", messages=HELLO).choices
    assert [request.path for request in upstream.requests] == ["/v1/chat/completions"] * 2 + ["/v1/messages"] * 2


def test_one_list_two_forms(claude: Tenant) -> None:
    http = claude.http()
    assert http.get("/v1/models").json()["object"] == "list"
    assert "has_more" in http.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert "has_more" in http.get("/anthropic/v1/models").json()


def test_a_model_of_anthropics_is_refused_for_what_anthropic_has_not(claude: Tenant) -> None:
    got = claude.http().post("/v1/embeddings", json={"model": messages.MODEL, "input": "Hello"})
    assert got.status_code == 400
    assert got.json()["error"]["code"] == "dialect_mismatch"
    assert "/v1/messages" in got.json()["error"]["message"]
