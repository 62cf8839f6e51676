"""Comments and pings before an answer are no beginning of it: the call may still go elsewhere, or fail with a status."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.support import bodies, contents, messages
from tests.support.gateway import GatewayProcess
from tests.support.provider import CLOSE, HANG, FakeProvider
from tests.support.tenant import Tenant, tenant

HELLO = [{"role": "user", "content": "Hello"}]
_PARTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
# By the client's dialect: where it asks, and what.
CLIENTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 9}),
    "responses": ("/v1/responses", {"input": "Hello"}),
    "messages": ("/v1/messages", {"messages": HELLO, "max_tokens": 9}),
    "gemini": ("/v1beta/models/quiet:streamGenerateContent?alt=sse", {"contents": _PARTS}),
    "gemini-array": ("/v1beta/models/quiet:streamGenerateContent", {"contents": _PARTS}),
}
COMMENT = b": OPENROUTER PROCESSING\n\n"
PING = messages.named({"type": "ping"})
# By the provider: what it sends before it answers, an error instead of an answer, and an answer.
PROVIDERS: Mapping[str, tuple[list[bytes], bytes, list[bytes]]] = {
    "together": (
        [b": OPEN", b"ROUTER PROCESSING\n\n", COMMENT, b"\n", b"data:\n\n"],
        bodies.event(bodies.error("Busy", kind="server_error")),
        [bodies.event(bodies.chunk({"content": "Hello"}, finish="stop")), bodies.event("[DONE]")],
    ),
    "anthropic": (
        [COMMENT, PING],
        messages.named(messages.error("overloaded_error", "Busy")),
        list(messages.stream("Hello")),
    ),
    "openai": (
        [COMMENT, bodies.event({"type": "keepalive", "sequence_number": 0}, name="keepalive")],
        bodies.event({"type": "error", "code": "server_error", "message": "Busy", "param": None}, name="error"),
        list(bodies.response_events()),
    ),
    "gemini": (
        [b": here\r\n\r\n"],
        contents.event(contents.error(503, "UNAVAILABLE", "Busy")),
        list(contents.chunks("Hello")),
    ),
}
EVERY_PAIR = [
    pytest.param(client, provider, id=f"{client}-{provider}")
    for client in CLIENTS
    for provider in PROVIDERS
    # OpenAI's own is asked for chats as such.
    if not (client == "chat" and provider == "openai")
]


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def made(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    with tenant(patient, upstream) as found:
        yield found


def routes(made: Tenant, client: str, provider: str, count: int) -> None:
    """The model by as many credentials; of OpenAI's those that have Responses alone."""
    options = {"upstream_name": "gpt-5-pro"} if provider == "openai" and client != "responses" else {}
    for priority in range(1, count + 1):
        credential = made.add_credential(f"{made.upstream.url}/{priority}", provider=provider, priority=priority)
        made.add_model("quiet", credential=credential, provider=provider, **options)


def asked(made: Tenant, client: str) -> httpx.Response:
    path, body = CLIENTS[client]
    named = body if client.startswith("gemini") else {"model": "quiet", "stream": True, **body}
    return made.http().post(path, json=named)


@pytest.mark.parametrize(("client", "provider"), EVERY_PAIR)
def test_another_route_is_asked_after_an_end_or_an_error(
    made: Tenant, upstream: FakeProvider, client: str, provider: str
) -> None:
    routes(made, client, provider, 3)
    before, failure, answer = PROVIDERS[provider]
    upstream.streams_raw([*before, CLOSE])
    upstream.streams_raw([*before, failure])
    upstream.streams_raw([*before, *answer])
    got = asked(made, client)
    assert got.status_code == 200, got.text
    assert "Hel" in got.text
    assert "Busy" not in got.text
    assert [request.path.split("/")[1] for request in upstream.requests] == ["1", "2", "3"]
    record = made.record(got.headers["x-request-id"])
    assert (record.status, record.error_code, len(record.attempts)) == (200, "", 3)
    assert not any("usage" in attempt for attempt in record.attempts)


@pytest.mark.parametrize(("client", "provider"), EVERY_PAIR)
def test_an_error_has_its_status_and_costs_nothing(
    made: Tenant, upstream: FakeProvider, client: str, provider: str
) -> None:
    routes(made, client, provider, 1)
    before, failure, _ = PROVIDERS[provider]
    upstream.streams_raw([*before, failure], always=True)
    got = asked(made, client)
    assert got.status_code in (500, 502, 503, 529)
    assert got.headers["content-type"].startswith("application/json")
    assert got.json()["error"]["message"] == "Busy"
    record = made.record(got.headers["x-request-id"])
    assert (record.status, record.input_tokens) == (got.status_code, None)


@pytest.mark.parametrize("client", ["chat", "responses", "gemini"])
def test_an_empty_message_is_no_answer_to_clients_of_other_dialects(
    made: Tenant, upstream: FakeProvider, client: str
) -> None:
    routes(made, client, "anthropic", 2)
    upstream.streams_raw([messages.start(), PING, messages.named(messages.error("overloaded_error", "Busy"))])
    upstream.streams_raw([messages.start(), PING, *list(messages.stream("Hello"))[1:]])
    got = asked(made, client)
    assert (got.status_code, len(upstream.requests)) == (200, 2)
    record = made.record(got.headers["x-request-id"])
    first, _ = record.attempts
    assert (first["error_code"], first["usage"]["input_tokens"]) == ("overloaded_error", 9)  # as it was told
    assert record.cost_usd is None  # rather than nothing: there is no price


@pytest.mark.parametrize(
    ("client", "provider"), [("chat", "together"), ("messages", "anthropic"), ("gemini", "gemini")]
)
def test_a_client_of_the_same_dialect_gets_every_byte(
    made: Tenant, upstream: FakeProvider, client: str, provider: str
) -> None:
    routes(made, client, provider, 1)
    before, _, answer = PROVIDERS[provider]
    upstream.streams_raw([*before, *answer])
    assert asked(made, client).content == b"".join([*before, *answer])


@pytest.mark.parametrize("client", ["chat", "messages"])
def test_nothing_waits_once_the_answer_has_begun(made: Tenant, upstream: FakeProvider, client: str) -> None:
    routes(made, client, "together", 1)
    said, more = threading.Event(), threading.Event()
    first, second = (bodies.event(bodies.chunk({"content": text})) for text in ("Hello", "again"))
    upstream.streams_raw([COMMENT, first, said, COMMENT, more, second, bodies.event("[DONE]")])
    path, body = CLIENTS[client]
    with made.http().stream("POST", path, json={"model": "quiet", "stream": True, **body}) as got:
        pieces = got.iter_bytes()
        text = b""
        while b"Hello" not in text:
            text += next(pieces)
        said.set()
        assert next(pieces)  # the comment, or what it is to the client
        more.set()
        assert b"again" in b"".join(pieces)


def test_signs_of_life_do_not_fill_the_memory(made: Tenant, upstream: FakeProvider) -> None:
    routes(made, "chat", "together", 1)
    upstream.streams_raw([*[b": %b\n\n" % (b"x" * 4000)] * 300, HANG])
    path, body = CLIENTS["chat"]
    with made.http().stream("POST", path, json={"model": "quiet", "stream": True, **body}) as got:
        assert got.status_code == 200
