"""However a session ends, both sides are told why, and what was said in it is recorded and charged once."""

import base64
import json
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from apps.audit.models import RequestRecord
from apps.policies.counters.control import holds
from tests.gateway.realtime import COST, by_endpoint, voiced, voiced_tenant
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import budget, settled, spent
from tests.support.realtime import RealtimeProvider, session
from tests.support.tenant import Tenant

SECOND = base64.b64encode(bytes(48_000)).decode()


@pytest.fixture
def provider() -> Iterator[RealtimeProvider]:
    with RealtimeProvider() as made:
        yield made


@pytest.fixture
def acme(acme: Tenant, provider: RealtimeProvider) -> Tenant:
    return voiced(acme, provider)


@pytest.fixture(scope="module")
def hasty() -> Iterator[GatewayProcess]:
    """A gateway whose sessions are short and whose events are small."""
    with GatewayProcess(
        {
            "REALTIME_IDLE_TIMEOUT": "1",
            "REALTIME_TOTAL_TIMEOUT": "3",
            "REALTIME_MAX_EVENT_BYTES": "100K",
            "UPSTREAM_FIRST_BYTE_TIMEOUT": "1",
        }
    ) as process:
        yield process


def whole(acme: Tenant, count: int = 1) -> RequestRecord:
    """The session's own record."""
    (found,) = by_endpoint(acme, count)["realtime"]
    return found


# --- Closes ---


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1000, "Grüße"), (4001, "mine"), (1001, "tab closed")])
def test_a_clients_farewell_reaches_the_provider(
    acme: Tenant, provider: RealtimeProvider, code: int, reason: str
) -> None:
    with session(acme) as client:
        line = provider.line
        client.socket.close(code, reason)
    assert eventually(lambda: line.closed) == (code, reason)
    assert (whole(acme).status, whole(acme).error_code) == (101, "")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "overloaded"), (4000, "session expired")])
def test_a_providers_farewell_reaches_the_client(
    acme: Tenant, provider: RealtimeProvider, code: int, reason: str
) -> None:
    with session(acme) as client:
        provider.line.close(code, reason)
        assert client.ended() == (code, reason)
    assert (whole(acme).status, whole(acme).error_code) == (101, "")


def test_a_provider_that_breaks_off_is_told_of_by_an_event(acme: Tenant, provider: RealtimeProvider) -> None:
    made = budget(acme, "1000")
    provider.answers = False
    with session(acme) as client:
        client.say("input_audio_buffer.append", audio=SECOND)
        line = provider.line
        line.asked("input_audio_buffer.append")
        id_ = line.begin()
        line.say({"type": "response.output_audio.delta", "response_id": id_, "delta": SECOND})
        client.until("response.output_audio.delta")
        line.cut()
        assert client.ended() == (1011, "upstream_disconnected")
    assert client.heard[-1]["error"]["code"] == "upstream_disconnected"
    found = by_endpoint(acme, 2)
    assert (found["realtime"][0].status, found["realtime"][0].error_code) == (502, "upstream_disconnected")
    (response,) = found["realtime_response"]
    assert (response.status, response.error_code, response.usage_estimated) == (502, "upstream_disconnected", True)
    # A second heard and a second said, at ten and twenty tokens.
    assert (response.audio_input_tokens, response.audio_output_tokens) == (10, 20)
    assert settled(made).spent_usd == spent(acme) == response.cost_usd


def test_a_client_that_vanishes_ends_the_session_upstream(acme: Tenant, provider: RealtimeProvider) -> None:
    made = budget(acme, "1000")
    provider.answers = False
    with session(acme) as client:
        line = provider.line
        id_ = line.begin()
        line.say({"type": "response.output_audio_transcript.delta", "response_id": id_, "delta": "x" * 400})
        client.until("response.output_audio_transcript.delta")
        client.socket.socket.shutdown(2)
        assert eventually(lambda: line.closed)[0] == 1001
    found = by_endpoint(acme, 2)
    assert (found["realtime"][0].status, found["realtime"][0].error_code) == (499, "client_closed")
    (response,) = found["realtime_response"]
    assert (response.status, response.error_code, response.output_tokens) == (499, "client_closed", 100)
    assert settled(made).spent_usd == spent(acme) == response.cost_usd
    assert not holds(organization=acme.organization)


def test_a_client_that_leaves_in_the_middle_of_a_response_pays_for_what_came(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    provider.answers = False
    with session(acme) as client:
        line = provider.line
        id_ = line.begin()
        line.say({"type": "response.output_text.delta", "response_id": id_, "delta": "x" * 40})
        client.until("response.output_text.delta")
    found = by_endpoint(acme, 2)
    assert found["realtime"][0].status == 101
    assert (found["realtime_response"][0].status, found["realtime_response"][0].output_tokens) == (499, 10)


def test_bytes_are_no_events(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        client.socket.send(b"\x00\x01")
        assert client.ended() == (1003, "events are text")
        assert eventually(lambda: provider.line.closed) == (1000, "")
    with session(acme) as client:
        provider.line.send_bytes(b"\x00")
        assert client.ended() == (1011, "upstream_malformed")


# --- Sizes and times ---


def test_an_event_that_is_too_large_ends_the_session(hasty: GatewayProcess, provider: RealtimeProvider) -> None:
    with voiced_tenant(hasty, provider) as acme:
        with session(acme) as client:
            client.say("input_audio_buffer.append", audio="A" * 90_000)
            provider.line.asked("input_audio_buffer.append")
            client.say("input_audio_buffer.append", audio="A" * 110_000)
            assert client.ended()[0] == 1009
        assert (whole(acme).status, whole(acme).error_code) == (413, "request_too_large")
        with session(acme) as client:
            provider.line.say({"type": "large", "data": "A" * 110_000})
            assert client.ended() == (1011, "upstream_malformed")
            assert eventually(lambda: provider.line.closed)[0] == 1009


def test_silence_ends_a_session_and_talk_does_not(hasty: GatewayProcess, provider: RealtimeProvider) -> None:
    with voiced_tenant(hasty, provider) as acme:
        began = time.monotonic()
        with session(acme) as client:
            assert client.ended() == (1008, "upstream_idle_timeout")
        assert 0.9 < time.monotonic() - began < 2.5
        assert (whole(acme).status, whole(acme).error_code) == (504, "upstream_idle_timeout")
        began = time.monotonic()
        with session(acme) as client:
            with pytest.raises(ConnectionClosed):
                while True:
                    client.say("input_audio_buffer.append", audio="AAAA")
                    threading.Event().wait(0.1)
            assert client.ended() == (1008, "upstream_total_timeout")
        assert 2.9 < time.monotonic() - began < 4.5


def test_a_provider_that_opens_and_says_nothing_is_given_up(hasty: GatewayProcess, provider: RealtimeProvider) -> None:
    provider.greets = False
    with voiced_tenant(hasty, provider) as acme:
        with session(acme, greeted=False) as client:
            assert client.ended() == (1011, "upstream_first_byte_timeout")
        assert whole(acme).error_code == "upstream_first_byte_timeout"


# --- Nothing piles up ---


def test_a_client_that_does_not_read_stops_the_provider(acme: Tenant, provider: RealtimeProvider) -> None:
    gateway = acme.gateway
    event = json.dumps({"type": "filler", "data": "x" * 50_000})
    total = 60 << 20
    sent = 0
    with session(acme, max_queue=1) as client:
        before = gateway.memory
        line = provider.line
        done = threading.Event()

        def flood() -> None:
            nonlocal sent
            while sent < total:
                line.say(event)
                sent += len(event)
            done.set()

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        eventually(lambda: sent and not _grows(lambda: sent), timeout=20, what="an end of what is taken")
        assert sent < total
        assert gateway.memory - before < 8 << 20
        while not done.is_set():  # and nothing is lost
            client.next()
        thread.join()
    assert sent >= total


def test_a_provider_that_does_not_read_stops_the_client(acme: Tenant, provider: RealtimeProvider) -> None:
    gateway = acme.gateway
    total = 60 << 20
    with session(acme) as client:
        before = gateway.memory
        provider.line.stop_reading()
        sent = 0
        done = threading.Event()

        def flood() -> None:
            nonlocal sent
            try:
                while sent < total:
                    client.say("input_audio_buffer.append", audio="A" * 50_000)
                    sent += 50_000
            except ConnectionClosed:
                return
            done.set()

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        eventually(lambda: sent and not _grows(lambda: sent), timeout=20, what="an end of what is taken")
        assert not done.is_set()
        assert gateway.memory - before < 8 << 20
        provider.line.cut()
        thread.join(10)


def _grows(size: Any) -> bool:
    before = size()
    threading.Event().wait(0.5)
    return bool(size() > before)


# --- The gateway's own end ---


def test_a_gateway_that_stops_lets_a_response_end_and_says_so(provider: RealtimeProvider) -> None:
    provider.answers = False
    with GatewayProcess({"DRAIN_TIMEOUT": "10"}) as gateway, voiced_tenant(gateway, provider) as acme:
        with session(acme) as idle, session(acme) as client:
            line = provider.line
            id_ = line.begin()
            client.until("response.created")
            gateway.terminate()
            assert idle.ended() == (1001, "the gateway is restarting")
            client.say("input_audio_buffer.append", audio="AAAA")  # nothing new is begun
            line.say({"type": "response.output_audio.delta", "response_id": id_, "delta": SECOND})
            client.until("response.output_audio.delta")
            line.end(id_)
            client.until("response.done")
            assert client.ended() == (1001, "the gateway is restarting")
        assert gateway.wait(10) in (0, -signal.SIGTERM)
        found = by_endpoint(acme, 3)
        assert [record.cost_usd for record in found["realtime_response"]] == [COST]
        assert {(record.status, record.error_code) for record in found["realtime"]} == {(503, "server_shutdown")}
        assert not [event for event in line.received if event["type"] == "input_audio_buffer.append"]


def test_a_response_that_takes_too_long_does_not_hold_up_the_end(provider: RealtimeProvider) -> None:
    provider.answers = False
    with GatewayProcess({"DRAIN_TIMEOUT": "2"}) as gateway, voiced_tenant(gateway, provider) as acme:
        with session(acme) as client:
            provider.line.begin()
            client.until("response.created")
            gateway.terminate()
            assert client.ended() == (1001, "the gateway is restarting")
        assert gateway.wait(10) in (0, -signal.SIGTERM)
        (response,) = by_endpoint(acme, 2)["realtime_response"]
        assert (response.status, response.error_code) == (503, "server_shutdown")


def test_what_was_said_before_a_kill_is_recorded_and_charged_once(provider: RealtimeProvider) -> None:
    with GatewayProcess({"HOLD_LEASE": "2"}) as gateway, voiced_tenant(gateway, provider) as acme:
        made = budget(acme, "1000")
        with session(acme) as client:
            for _ in range(5):
                client.respond()
            gateway.kill()
            with pytest.raises(ConnectionClosed):
                client.next()
        assert eventually(lambda: provider.line.closed)
        gateway.start()
        found = by_endpoint(acme, 5)
        assert [record.cost_usd for record in found["realtime_response"]] == [COST] * 5
        assert settled(made, timeout=30).spent_usd == 5 * COST  # and what was held for a sixth is free
        with session(acme) as client:
            client.respond()
        assert settled(made).spent_usd == 6 * COST
        eventually(lambda: Decimal(6) * COST == spent(acme), what="the last record")


def test_open_sessions_are_counted(acme: Tenant) -> None:
    def count() -> float:
        return acme.gateway.metrics()["tollgate_realtime_sessions"]

    before = count()
    with session(acme), session(acme):
        assert count() == before + 2
    eventually(lambda: count() == before, what="an end of both")
