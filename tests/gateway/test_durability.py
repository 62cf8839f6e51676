"""What dies, and what is kept all the same: a killed gateway, a PostgreSQL that is away, a gateway told to stop."""

import json
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.gateway import GatewayProcess, eventually, test_database_url
from tests.support.load import Load
from tests.support.provider import FakeProvider
from tests.support.switch import DatabaseSwitch

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}

# How long PostgreSQL is away. Thirty seconds show nothing that four do not, and make the suite longer.
OUTAGE_SECONDS = float(os.environ.get("TOLLGATE_TEST_OUTAGE_SECONDS", "4"))


def _tenant(gateway: GatewayProcess, upstream: FakeProvider):
    from tests.support.tenant import tenant

    return tenant(gateway, upstream)


def _recorded(acme: "Tenant") -> Counter[str]:
    from tests.support.tenant import recorded_ids

    return Counter(recorded_ids(acme.organization.pk))


def test_every_answer_given_before_a_kill_is_recorded_once_after_a_restart(upstream: FakeProvider) -> None:
    with GatewayProcess() as gateway, _tenant(gateway, upstream) as acme:
        with Load(gateway.url, acme.token, callers=8) as load:
            eventually(load.has(150), timeout=60)
            gateway.kill()
        assert load.broken, "the kill came while calls were under way"
        gateway.start()
        answered = set(load.answered)
        eventually(lambda: answered <= set(_recorded(acme)), timeout=20, what="a record of every answer")
        assert set(_recorded(acme).values()) == {1}


def test_known_tokens_are_answered_while_postgresql_is_away_and_recorded_after(upstream: FakeProvider) -> None:
    with (
        DatabaseSwitch(test_database_url()) as wire,
        GatewayProcess({"DATABASE_URL": wire.url}) as gateway,
        _tenant(gateway, upstream) as acme,
    ):
        known = acme.http()
        assert known.post("/v1/chat/completions", json=CHAT).status_code == 200
        _, never_used = acme.issue_token()
        unknown = httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {never_used}"}, timeout=20)

        with unknown, Load(gateway.url, acme.token) as load:
            eventually(load.has(10), timeout=30)
            wire.off()
            eventually(lambda: httpx.get(gateway.url + "/readyz").json()["problems"], what="word of the outage")
            began, answered = time.monotonic(), load.has(10)
            refused = unknown.post("/v1/chat/completions", json=CHAT)
            while time.monotonic() - began < OUTAGE_SECONDS:
                assert httpx.get(gateway.url + "/readyz").status_code == 200  # it still answers those it knows
                threading.Event().wait(0.2)
            assert answered(), "callers went on being answered"
            wire.on()
            accepted = eventually(
                lambda: (reply := unknown.post("/v1/chat/completions", json=CHAT)).status_code == 200 and reply,
                what="the token that could not be checked before",
            )

        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "directory_unavailable")
        assert refused.headers["x-should-retry"] == "true"
        assert accepted.status_code == 200
        assert not load.refused
        assert not load.broken
        answered_ids = set(load.answered)
        eventually(lambda: answered_ids <= set(_recorded(acme)), timeout=20, what="the records of the outage")
        assert set(_recorded(acme).values()) == {1}


def test_a_token_that_was_revoked_during_an_outage_stops_when_it_ends(upstream: FakeProvider) -> None:
    from apps.services.actions import token_revoke
    from tests.support.tenant import ACTOR

    with (
        DatabaseSwitch(test_database_url()) as wire,
        GatewayProcess({"DATABASE_URL": wire.url}) as gateway,
        _tenant(gateway, upstream) as acme,
    ):
        client = acme.http()
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        wire.off()
        token_revoke(token=acme.token_row, actor=ACTOR)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200  # nobody could know
        wire.on()
        eventually(lambda: client.post("/v1/chat/completions", json=CHAT).status_code == 401, timeout=5)


def test_known_tokens_stop_when_postgresql_stays_away_longer_than_allowed(upstream: FakeProvider) -> None:
    with (
        DatabaseSwitch(test_database_url()) as wire,
        GatewayProcess({"DATABASE_URL": wire.url, "DIRECTORY_STALE_LIMIT": "1"}) as gateway,
        _tenant(gateway, upstream) as acme,
    ):
        client = acme.http()
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        wire.off()
        refused = eventually(
            lambda: (reply := client.post("/v1/chat/completions", json=CHAT)).status_code == 503 and reply, timeout=10
        )
        assert refused.json()["error"]["code"] == "directory_unavailable"
        assert httpx.get(gateway.url + "/readyz").status_code == 503
        wire.on()
        eventually(lambda: client.post("/v1/chat/completions", json=CHAT).status_code == 200)


def test_a_gateway_told_to_stop_ends_its_streams_and_records_them(upstream: FakeProvider) -> None:
    go_on = threading.Event()
    with GatewayProcess({"DRAIN_TIMEOUT": "20"}) as gateway, _tenant(gateway, upstream) as acme:
        upstream.streams("Hel", go_on, "lo")
        with acme.http().stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as reply:
            lines = reply.iter_lines()
            assert json.loads(next(lines).removeprefix("data: "))["choices"][0]["delta"]["content"] == "Hel"
            gateway.terminate()

            def refuses() -> bool:
                try:
                    httpx.get(gateway.url + "/healthz")
                except httpx.ConnectError:
                    return True
                return False

            eventually(refuses, what="new connections refused")
            go_on.set()
            assert list(lines)[-2:] == ["data: [DONE]", ""]
        gateway.wait()
        record = acme.record(reply.headers["x-request-id"])
        assert (record.status, record.error_code) == (200, "")


def test_a_stream_that_outlives_the_drain_limit_is_told_so_and_recorded(upstream: FakeProvider) -> None:
    with GatewayProcess({"DRAIN_TIMEOUT": "1"}) as gateway, _tenant(gateway, upstream) as acme:
        upstream.streams("Hel", threading.Event(), "lo")  # the event is never set
        with acme.http().stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as reply:
            lines = reply.iter_lines()
            next(lines)
            gateway.terminate()
            rest = [line for line in lines if line]
        assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "server_shutdown"
        assert "data: [DONE]" not in rest
        gateway.wait()
        gateway.start()  # whatever it could not deliver any more is adopted
        record = acme.record(reply.headers["x-request-id"])
        assert (record.status, record.error_code, record.usage_estimated) == (503, "server_shutdown", True)
        assert upstream.hung_up.wait(5)


@pytest.mark.parametrize("stream", [False, True])
def test_calls_are_refused_while_no_record_can_be_kept(upstream: FakeProvider, *, stream: bool) -> None:
    with (
        DatabaseSwitch(test_database_url()) as wire,
        GatewayProcess({"DATABASE_URL": wire.url, "SPOOL_MAX_BYTES": "1030K"}) as gateway,
        _tenant(gateway, upstream) as acme,
    ):
        client, body = acme.http(), {**CHAT, "stream": stream}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        wire.off()
        refused = eventually(
            lambda: (reply := client.post("/v1/chat/completions", json=body)).status_code != 200 and reply
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "record_unavailable")
        assert any("spool" in problem for problem in httpx.get(gateway.url + "/readyz").json()["problems"])
        wire.on()
        eventually(lambda: client.post("/v1/chat/completions", json=body).status_code == 200)
