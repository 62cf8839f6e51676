"""However an answer ends: the client leaving, the provider dying, time running out, nobody reading."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support import bodies
from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider, unreachable

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "Tell me a story"}]}
STREAM = {**CHAT, "stream": True}
ASKED = {"model": "gpt-test", "input": "Tell me a story", "stream": True}

# The promise is 100 ms from the client's leaving to the provider's seeing it. A busy test machine gets more.
CANCELLED_WITHIN = 1.0


def send(acme: "Tenant", body: Any) -> socket.socket:
    """Send one call and keep the socket, which no HTTP client would let go of so abruptly."""
    url = httpx.URL(acme.gateway.url)
    raw = json.dumps(body).encode()
    client = socket.create_connection((url.host, url.port or 80), timeout=10)
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s"
        % (acme.token.encode(), len(raw), raw)
    )
    return client


def read_until(client: socket.socket, text: bytes) -> bytes:
    data = b""
    while text not in data:
        piece = client.recv(65536)
        assert piece, f"closed before {text!r}: {data!r}"
        data += piece
    return data


def events(text: str) -> list[Any]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


# --- The client leaves ---


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["buffered", "streamed"])
def test_a_client_that_leaves_before_the_answer_ends_the_call_upstream(
    acme: "Tenant", upstream: FakeProvider, body: dict[str, Any]
) -> None:
    upstream.hangs()
    client = send(acme, body)
    upstream.next_request()
    left = time.monotonic()
    client.close()
    assert upstream.hung_up.wait(10)
    assert upstream.hung_up_at is not None
    assert upstream.hung_up_at - left < CANCELLED_WITHIN
    record = acme.record()
    assert (record.status, record.error_code) == (499, "client_closed")
    assert record.usage_estimated
    assert record.input_tokens
    assert record.output_tokens == 256  # what such calls usually have, where nothing else is known


def test_a_client_that_leaves_pays_for_no_more_output_than_it_asked_for(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.hangs()
    client = send(acme, {**CHAT, "max_tokens": 10, "n": 2})
    upstream.next_request()
    client.close()
    assert acme.record().output_tokens == 20


def test_a_client_that_leaves_in_the_middle_of_a_stream_is_charged_for_what_passed(
    acme: "Tenant", upstream: FakeProvider
) -> None:
    upstream.streams("Once", " upon", " a", " time", HANG)
    client = send(acme, STREAM)
    read_until(client, b" time")
    left = time.monotonic()
    client.close()
    assert upstream.hung_up.wait(10)
    assert upstream.hung_up_at is not None
    assert upstream.hung_up_at - left < CANCELLED_WITHIN
    record = acme.record()
    assert (record.status, record.error_code, record.stream) == (499, "client_closed", True)
    assert record.usage_estimated
    assert 3 <= (record.output_tokens or 0) <= 8
    assert record.first_byte_us is not None


def test_a_client_that_leaves_after_the_last_byte_had_its_answer(acme: "Tenant", upstream: FakeProvider) -> None:
    client = send(acme, STREAM)
    read_until(client, b"[DONE]")
    client.close()
    record = acme.record()
    assert (record.status, record.error_code, record.usage_estimated) == (200, "", False)
    assert record.output_tokens == bodies.USAGE["completion_tokens"]
    assert not upstream.hung_up.is_set()


def test_a_client_that_leaves_while_it_sends_is_recorded_and_calls_nobody(
    acme: "Tenant", upstream: FakeProvider
) -> None:
    url = httpx.URL(acme.gateway.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: 1000\r\n\r\n{"
            % acme.token.encode()
        )
    record = acme.record()
    assert (record.status, record.error_code, record.attempts) == (499, "client_closed", [])
    assert upstream.requests == []


# --- The provider dies ---


@pytest.mark.parametrize("ending", [CLOSE, RESET], ids=["closed", "reset"])
def test_a_stream_that_breaks_off_ends_in_an_error_event_and_no_done(
    acme: "Tenant", upstream: FakeProvider, ending: Any
) -> None:
    upstream.streams("Once", " upon", ending)
    reply = acme.http().post("/v1/chat/completions", json=STREAM)
    assert reply.status_code == 200
    got = events(reply.text)
    assert "Once" in got[0]
    assert json.loads(got[-1])["error"]["code"] == "upstream_disconnected"
    assert "[DONE]" not in reply.text
    record = acme.record(reply.headers["x-request-id"])
    assert (record.status, record.error_code, record.usage_estimated) == (502, "upstream_disconnected", True)
    assert record.output_tokens


def test_a_stream_that_just_stops_is_not_taken_for_an_answer(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.streams_raw([bodies.event(bodies.chunk({"role": "assistant", "content": "Once"}))])
    reply = acme.http().post("/v1/chat/completions", json=STREAM)
    assert json.loads(events(reply.text)[-1])["error"]["code"] == "upstream_disconnected"

    # With a finish reason it is whole, though some providers leave the `[DONE]` out.
    upstream.streams_raw(
        [bodies.event(bodies.chunk({"content": "Once"})), bodies.event(bodies.chunk({}, finish="stop"))]
    )
    reply = acme.http().post("/v1/chat/completions", json=STREAM)
    assert "error" not in reply.text
    assert acme.record(reply.headers["x-request-id"]).status == 200


def test_an_error_event_never_lands_inside_another_event(acme: "Tenant", upstream: FakeProvider) -> None:
    whole = bodies.event(bodies.chunk({"role": "assistant", "content": "Once"}))
    upstream.streams_raw([whole, whole[: len(whole) // 2], CLOSE])
    reply = acme.http().post("/v1/chat/completions", json=STREAM)
    parsed = [json.loads(event) for event in events(reply.text)]
    assert [("error" in event) for event in parsed] == [False, True]

    huge = bodies.event(bodies.chunk({"content": "x" * 200_000}))
    upstream.streams_raw([huge[:150_000], CLOSE])  # too large to be held back until it is whole
    reply = acme.http().post("/v1/chat/completions", json=STREAM)
    assert json.loads(reply.text.split("\n\n")[-2].removeprefix("data: "))["error"]["code"] == "upstream_disconnected"


def test_the_official_client_raises_on_a_stream_that_breaks_off(acme: "Tenant", upstream: FakeProvider) -> None:
    import openai

    upstream.streams("Once", CLOSE)
    stream = acme.client().chat.completions.create(**STREAM)
    assert next(stream).choices[0].delta.content == "Once"
    with pytest.raises(openai.APIError) as raised:
        next(stream)
    assert raised.value.code == "upstream_disconnected"


def test_a_responses_stream_that_breaks_off_ends_in_its_own_error_event(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.streams_raw([*list(bodies.response_events())[:5], CLOSE])
    reply = acme.http().post("/v1/responses", json=ASKED)
    last = json.loads(events(reply.text)[-1])
    assert (last["type"], last["code"], last["sequence_number"]) == ("error", "upstream_disconnected", 5)
    assert "event: error\n" in reply.text
    assert "response.completed" not in reply.text


# --- Time runs out ---


@pytest.fixture
def impatient(acme: "Tenant", upstream: FakeProvider) -> "Tenant":
    """Models whose credentials have one short timeout each."""
    for name, timeouts in {
        "first": {"first_byte_timeout": 0.3},
        "idle": {"idle_timeout": 0.3},
        "total": {"total_timeout": 0.8, "idle_timeout": 60},
    }.items():
        acme.add_route(f"gpt-{name}", upstream.url + "/v1", **timeouts)
    return acme


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["buffered", "streamed"])
def test_a_provider_that_does_not_begin_in_time_is_a_504(
    impatient: "Tenant", upstream: FakeProvider, body: dict[str, Any]
) -> None:
    upstream.hangs()
    reply = impatient.http().post("/v1/chat/completions", json={**body, "model": "gpt-first"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_first_byte_timeout")
    assert reply.json()["error"]["type"] == "timeout_error"
    assert upstream.hung_up.wait(5)
    assert impatient.record(reply.headers["x-request-id"]).usage_estimated

    assert impatient.http().post("/v1/chat/completions", json={**body, "model": "gpt-first"}).status_code == 200


def test_a_provider_that_falls_silent_is_told_apart_from_one_that_never_began(
    impatient: "Tenant", upstream: FakeProvider
) -> None:
    upstream.streams("Once", HANG)
    reply = impatient.http().post("/v1/chat/completions", json={**STREAM, "model": "gpt-idle"})
    assert json.loads(events(reply.text)[-1])["error"]["code"] == "upstream_idle_timeout"
    assert upstream.hung_up.wait(5)
    record = impatient.record(reply.headers["x-request-id"])
    assert (record.status, record.error_code) == (504, "upstream_idle_timeout")


def test_an_answer_that_never_ends_is_ended(impatient: "Tenant", upstream: FakeProvider) -> None:
    stop = threading.Event()

    def endlessly() -> Iterator[Any]:
        while not stop.wait(0.05):
            yield bodies.event(bodies.chunk({"content": "and "}))

    upstream.streams_raw(endlessly())
    reply = impatient.http().post("/v1/chat/completions", json={**STREAM, "model": "gpt-total"})
    stop.set()
    assert json.loads(events(reply.text)[-1])["error"]["code"] == "upstream_total_timeout"
    assert len(events(reply.text)) > 3


def test_a_provider_that_does_not_accept_connections_in_time_is_a_504(acme: "Tenant") -> None:
    with unreachable() as url:
        acme.add_route("gpt-unreachable", url + "/v1", connect_timeout=0.3)
        reply = acme.http().post("/v1/chat/completions", json={**CHAT, "model": "gpt-unreachable"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_connect_timeout")
    record = acme.record(reply.headers["x-request-id"])
    assert record.input_tokens is None  # nothing was sent, so nothing was used
    assert [attempt["error_code"] for attempt in record.attempts] == ["upstream_connect_timeout"]


# --- Nobody reads ---


def test_a_client_that_does_not_read_fills_no_memory(upstream: FakeProvider) -> None:
    from tests.support.tenant import tenant

    chunk = bodies.event(bodies.chunk({"content": "x" * 60_000}))
    sent = 0

    def endlessly() -> Iterator[Any]:
        nonlocal sent
        while True:
            sent += len(chunk)
            yield chunk

    with GatewayProcess() as gateway, tenant(gateway, upstream) as acme:
        acme.http().post("/v1/chat/completions", json=CHAT)
        upstream.streams_raw(endlessly())
        before = gateway.memory
        client = send(acme, STREAM)
        try:
            read_until(client, b"data: ")
            eventually(_is_still(lambda: sent), what="the provider kept from sending")
            assert gateway.memory - before < 20 * 2**20
            held = sent
            received = 0
            while received < held + 2**20:  # once the client reads, more comes
                received += len(client.recv(1 << 20))
        finally:
            client.close()
        assert upstream.hung_up.wait(10)


def _is_still(measure: Any) -> Any:
    """Whether a figure has not moved for half a second."""
    last, since = measure(), time.monotonic()

    def look() -> bool:
        nonlocal last, since
        now = measure()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    return look
