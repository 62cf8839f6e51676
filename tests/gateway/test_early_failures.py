"""Streams that are an error from their first event: nothing has been answered yet, so that another route is asked."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import bodies, contents, messages
from tests.support.gateway import GatewayProcess
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant, tenant

HELLO = [{"role": "user", "content": "Hello"}]
PARTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
BUSY = {"type": "error", "sequence_number": 0, "code": "server_error", "message": "Busy", "param": None}
# By the provider: where its clients ask, what, an error in the place of a stream, and a stream.
STREAMS: dict[str, tuple[str, dict[str, Any], bytes, list[bytes]]] = {
    "together": (
        "/v1/chat/completions",
        {"messages": HELLO, "stream": True},
        bodies.event(bodies.error("Busy")),
        [bodies.event(bodies.chunk({"content": "Hello"}, finish="stop")), bodies.event("[DONE]")],
    ),
    "openai": (
        "/v1/responses",
        {"input": "Hello", "stream": True},
        bodies.event(BUSY, name="error"),
        list(bodies.response_events()),
    ),
    "anthropic": (
        "/v1/messages",
        {"messages": HELLO, "max_tokens": 9, "stream": True},
        messages.named(messages.error("overloaded_error", "Busy")),
        list(messages.stream()),
    ),
    "gemini": (
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": PARTS},
        contents.event(contents.error(503, "UNAVAILABLE", "Busy")),
        list(contents.chunks("Hel", "lo")),
    ),
}
EVERY = pytest.mark.parametrize("provider", STREAMS)


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def made(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    with tenant(patient, upstream) as found:
        yield found


def routes(made: Tenant, provider: str, *priorities: int) -> str:
    """A model by as many credentials."""
    for priority in priorities:
        credential = made.add_credential(f"{made.upstream.url}/{priority}", provider=provider, priority=priority)
        made.add_model(f"{provider}-model", credential=credential, provider=provider)
    return f"{provider}-model"


def ask(made: Tenant, provider: str, model: str) -> Any:
    path, body, _, _ = STREAMS[provider]
    named = body if provider == "gemini" else {"model": model, **body}
    return made.http().post(path.replace("{model}", model), json=named)


@EVERY
def test_another_route_is_asked(made: Tenant, upstream: FakeProvider, provider: str) -> None:
    model = routes(made, provider, 1, 2)
    _, _, failure, stream = STREAMS[provider]
    upstream.streams_raw([failure])
    upstream.streams_raw(stream)
    answer = ask(made, provider, model)
    assert answer.status_code == 200
    assert "Busy" not in answer.text
    assert [request.path.split("/")[1] for request in upstream.requests] == ["1", "2"]
    record = made.record(answer.headers["x-request-id"])
    assert (record.status, len(record.attempts), record.error_code) == (200, 2, "")


@EVERY
def test_it_is_a_refusal_where_every_route_fails(made: Tenant, upstream: FakeProvider, provider: str) -> None:
    model = routes(made, provider, 1)
    upstream.streams_raw([STREAMS[provider][2]], always=True)
    answer = ask(made, provider, model)
    assert answer.status_code in (500, 502, 503, 529)
    assert answer.headers["content-type"].startswith("application/json")
    assert json.loads(answer.text)["error"]["message"] == "Busy"
    assert made.record(answer.headers["x-request-id"]).status == answer.status_code
