"""Providers at their worst, for clients of every dialect: none is left without a clear end, and no call without its record."""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apps.providers.prices.actions import price_set
from tests.support import bodies, messages
from tests.support.crowd import Ask, crowd, statuses
from tests.support.gateway import GatewayProcess
from tests.support.governed import LONG_AGO, budget, settled, spent
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider, Received, Script
from tests.support.tenant import ACTOR, Tenant, tenant

HELLO = [{"role": "user", "content": "Hello"}]
_PARTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
# By the client's dialect: where it asks, what, and what ends a stream of it that is whole.
CLIENTS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "chat": ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 9, "stream": True}, "data: [DONE]"),
    "responses": ("/v1/responses", {"input": "Hello", "stream": True}, '"type":"response.completed"'),
    "messages": ("/v1/messages", {"messages": HELLO, "max_tokens": 9, "stream": True}, '"type":"message_stop"'),
    "gemini": ("/v1beta/models/wild:streamGenerateContent?alt=sse", {"contents": _PARTS}, '"finishReason"'),
}
EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS)
BEGUN = [messages.start(), *list(messages.text_block("Hello there, traveller"))[:2]]
REST = [*list(messages.text_block("x"))[2:], *messages.end()]


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def wild(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    """A tenant whose model is Anthropic's, with little patience and a budget."""
    with tenant(patient, upstream) as made:
        options = {"first_byte_timeout": 0.5, "idle_timeout": 0.5, "total_timeout": 5}
        made.add_route("wild", upstream.url, provider="anthropic", **options)
        yield made


def ask(made: Tenant, client: str) -> httpx.Response:
    """One call; what breaks off raises httpx.TransportError."""
    path, body, _ = CLIENTS[client]
    return made.http().post(path, json={"model": "wild", **body})


def ended_badly(made: Tenant, client: str) -> tuple[int, str]:
    """Ask, and see that the end is an error that the client's dialect has words for; returns status and text."""
    answer = ask(made, client)
    text = answer.text
    assert CLIENTS[client][2] not in text, "an answer that broke off must not look whole"
    if answer.status_code == 200:
        last = next(line for line in reversed(text.splitlines()) if line.startswith("data:"))
        data = json.loads(last[5:])
        failed = data.get("error") or data.get("response", {}).get("error") or data.get("type") == "error"
        assert failed, last
    else:
        assert answer.json()["error"]
    record = made.record(answer.headers["x-request-id"])
    assert record.status == answer.status_code or answer.status_code == 200
    assert record.error_code
    return answer.status_code, text


def drip(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


@EVERY_CLIENT
@pytest.mark.parametrize("gzip", [False, True])
def test_a_stream_that_comes_byte_by_byte_is_whole(
    wild: Tenant, upstream: FakeProvider, client: str, *, gzip: bool
) -> None:
    upstream.streams_raw(drip(b"".join([*BEGUN, *REST])), gzip=gzip)
    answer = ask(wild, client)
    assert answer.status_code == 200
    assert CLIENTS[client][2] in answer.text
    assert "traveller" in answer.text


@EVERY_CLIENT
def test_an_event_of_megabytes_passes(wild: Tenant, upstream: FakeProvider, client: str) -> None:
    text = "x" * 3_000_000
    upstream.streams_raw([messages.start(), *messages.text_block(text), *messages.end()])
    answer = ask(wild, client)
    assert answer.status_code == 200
    assert answer.text.count("x") >= len(text)


@EVERY_CLIENT
@pytest.mark.parametrize("ending", [HANG, CLOSE, RESET])
@pytest.mark.parametrize("begun", [False, True])
def test_a_provider_that_stops(wild: Tenant, upstream: FakeProvider, client: str, ending: Any, *, begun: bool) -> None:
    for _ in range(3):  # as often as it may be tried
        upstream.streams_raw([*(BEGUN if begun else []), ending])
    status, text = ended_badly(wild, client)
    assert (status == 200) == begun
    if begun:
        assert "traveller" in text


GARBAGE: Mapping[str, Callable[[], bytes]] = {
    "noise": lambda: b"data: " + random.Random(7).randbytes(5000).replace(b"\n", b" ") + b"\n\n",
    "no-events": lambda: os.urandom(2000).replace(b"\n", b" "),
    "not-json": lambda: b"event: message_start\ndata: {not json\n\n" * 20,
    "another-dialect": lambda: b"".join(bodies.event(bodies.chunk({"content": "Hi"})) for _ in range(5)),
    "lists-for-objects": lambda: b'event: message_start\ndata: {"type":"message_start","message":[1]}\n\n' * 3,
    "nothing": lambda: b"",
    "comments": lambda: b": here\n\n" * 100,
}


@EVERY_CLIENT
@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_provider_that_sends_garbage(wild: Tenant, upstream: FakeProvider, client: str, garbage: str) -> None:
    for _ in range(3):
        upstream.streams_raw([GARBAGE[garbage]()])
    ended_badly(wild, client)


@EVERY_CLIENT
def test_a_page_with_status_200(wild: Tenant, upstream: FakeProvider, client: str) -> None:
    for _ in range(3):
        upstream.answers("<html>Hello</html>", headers={"content-type": "text/html"})
    status, _ = ended_badly(wild, client)
    assert status >= 500


@EVERY_CLIENT
def test_an_error_event_with_status_200_is_tried_again(wild: Tenant, upstream: FakeProvider, client: str) -> None:
    upstream.streams_raw([messages.named(messages.error("overloaded_error", "Busy"))])
    upstream.streams_raw([*BEGUN, *REST])
    answer = ask(wild, client)
    assert answer.status_code == 200
    assert (answer.headers["x-tollgate-attempts"], len(upstream.requests)) == ("2", 2)
    assert CLIENTS[client][2] in answer.text


def test_whatever_happens_nothing_stays_held(wild: Tenant, upstream: FakeProvider) -> None:
    price_set(
        organization=wild.organization,
        provider="anthropic",
        model="wild",
        prices={"input": Decimal(1), "output": Decimal(5)},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    made = budget(wild, "5")
    for ending in (HANG, CLOSE, RESET):
        for client in CLIENTS:
            upstream.streams_raw([*BEGUN, ending])
            status, _ = ended_badly(wild, client)
            assert status == 200
    state = settled(made)
    assert state.held_usd == 0
    assert state.spent_usd == spent(wild) > 0


def test_failover_under_load_loses_no_call_that_had_not_begun(patient: GatewayProcess, upstream: FakeProvider) -> None:
    """The first provider dies in every way that there is; each of 200 callers has its answer from the second."""
    dice = random.Random(3)

    def dying(request: Received) -> Script:
        del request
        return Script(None, [dice.choice((CLOSE, RESET))])

    with FakeProvider() as other, tenant(patient, upstream) as made:
        upstream.replies(dying, always=True)
        made.add_model("wild")
        made.add_route("wild", f"{other.url}/v1", priority=900)
        body = {"model": "wild", "messages": HELLO, "max_tokens": 9}
        answers = crowd([patient.url], [Ask(body, made.token) for _ in range(200)])
        assert statuses(answers) == {200: 200}
        assert all(answer.whole for answer in answers)
        assert len(other.requests) == 200
        assert {record.status for record in made.records(200)} == {200}
