"""What operators' tools ask: is it alive, is it ready, what does it count, and what does a call cost."""

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}


def test_health_and_readiness(gateway: GatewayProcess) -> None:
    assert httpx.get(gateway.url + "/healthz").json() == {"status": "alive"}
    assert httpx.get(gateway.url + "/readyz").json() == {"status": "ready", "problems": []}
    assert httpx.head(gateway.url + "/healthz").status_code == 200
    assert httpx.post(gateway.url + "/healthz").headers["allow"] == "GET, HEAD"


def test_metrics_count_what_happened_under_bounded_labels(acme: "Tenant", gateway: GatewayProcess) -> None:
    before = gateway.metrics()
    client = acme.http()
    for body in (CHAT, {**CHAT, "stream": True}, {**CHAT, "model": "gpt-unheard-of"}):
        client.post("/v1/chat/completions", json=body)
    after = gateway.metrics()

    def grown(sample: str) -> float:
        return after.get(sample, 0) - before.get(sample, 0)

    assert grown('tollgate_requests_total{endpoint="chat_completions",status="200"}') == 2
    assert grown('tollgate_errors_total{code="model_not_found",endpoint="chat_completions"}') == 1
    assert grown('tollgate_first_byte_seconds_count{endpoint="chat_completions",stream="true"}') == 1
    assert grown('tollgate_request_seconds_count{endpoint="chat_completions",stream="false"}') == 2
    assert {"tollgate_requests_in_flight", "tollgate_spool_pending_records", "tollgate_directory_connected"} <= set(
        after
    )
    # Routes that fail are shown by their model, and never more than some hundreds of them.
    shown = " ".join(sample for sample in after if not sample.startswith("tollgate_route_open"))
    for unbounded in ("gpt-test", "gpt-unheard-of", acme.organization.slug, acme.token[-8:]):
        assert unbounded not in shown


def test_metrics_ask_for_their_token_when_there_is_one() -> None:
    with GatewayProcess({"METRICS_TOKEN": "let-me-in"}) as gateway:
        assert httpx.get(gateway.url + "/metrics").status_code == 401
        assert httpx.get(gateway.url + "/metrics", headers={"authorization": "Bearer let-me-out"}).status_code == 401
        assert gateway.metrics(headers={"authorization": "Bearer let-me-in"})


def test_workers_sum_their_metrics_up_and_forget_those_that_died(upstream: FakeProvider) -> None:
    from tests.support.tenant import tenant

    with GatewayProcess(workers=2) as gateway, tenant(gateway, upstream) as acme:
        for _ in range(20):
            with httpx.Client() as client:  # a connection each, so that both workers get some
                client.post(
                    gateway.url + "/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {acme.token}"}
                )
        sample = 'tollgate_requests_total{endpoint="chat_completions",status="200"}'
        assert {gateway.metrics().get(sample) for _ in range(10)} == {20.0}
        eventually(lambda: gateway.metrics()["tollgate_directory_connected"] == 1)
        acme.records(20)


def test_a_console_alone_answers_health_checks_and_no_calls() -> None:
    with GatewayProcess(plane="console") as console:
        assert httpx.get(console.url + "/healthz").json() == {"status": "alive"}
        assert httpx.get(console.url + "/readyz").json() == {"status": "ready", "problems": []}
        assert httpx.get(console.url + "/sign-in/", follow_redirects=True).status_code == 200
        assert httpx.post(console.url + "/v1/chat/completions", json=CHAT).status_code in {403, 404}


def test_a_gateway_alone_serves_no_console() -> None:
    with GatewayProcess(plane="gateway") as gateway:
        assert httpx.get(gateway.url + "/sign-in/").json()["error"]["code"] == "unknown_url"
        assert httpx.get(gateway.url + "/v1/models").status_code == 401


@pytest.mark.parametrize("stream", [False, True])
def test_a_known_token_costs_no_query(upstream: FakeProvider, *, stream: bool) -> None:
    """Counted by PostgreSQL itself: what transactions there are follow changes and deliver records, in batches."""
    import psycopg

    from apps.core.databases import libpq_url
    from tests.support.gateway import test_database_url
    from tests.support.tenant import tenant

    calls = 200
    with (
        GatewayProcess() as gateway,
        tenant(gateway, upstream) as acme,
        psycopg.connect(libpq_url(test_database_url()), autocommit=True) as watch,
    ):

        def loads() -> int:
            """Queries by the directory's own connections so far, told by when each began its last one."""
            rows = watch.execute(
                "SELECT count(DISTINCT query_start) FROM pg_stat_activity WHERE application_name = 'tollgate-directory'"
                " AND datname = current_database() AND query_start > now() - interval '1 hour'"
            ).fetchone()
            return int(rows[0]) if rows else 0

        def last_load() -> object:
            return watch.execute(
                "SELECT max(query_start) FROM pg_stat_activity WHERE application_name = 'tollgate-directory'"
            ).fetchone()

        client, body = acme.http(), {**CHAT, "stream": stream}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        assert loads() >= 1
        before = last_load()
        for _ in range(calls):
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        assert last_load() == before
        acme.records(calls + 1)


def test_the_clients_address_is_what_trusted_proxies_say(upstream: FakeProvider) -> None:
    from tests.support.tenant import tenant

    forwarded = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
    with GatewayProcess({"TRUSTED_PROXIES": "127.0.0.0/8"}) as behind, tenant(behind, upstream) as acme:
        reply = acme.http().post("/v1/chat/completions", json=CHAT, headers=forwarded)
        assert str(acme.record(reply.headers["x-request-id"]).client_address) == "198.51.100.7"


def test_the_clients_address_is_its_own_where_no_proxy_is_trusted(acme: "Tenant") -> None:
    forwarded = {"x-forwarded-for": "203.0.113.9"}
    reply = acme.http().post("/v1/chat/completions", json=CHAT, headers=forwarded)
    assert str(acme.record(reply.headers["x-request-id"]).client_address) == "127.0.0.1"


def test_last_used_is_written_soon_and_once_a_minute(acme: "Tenant") -> None:
    from apps.services.models import Token

    client = acme.http()
    client.post("/v1/chat/completions", json=CHAT)

    def used() -> object:
        return Token.objects.get(pk=acme.token_row.pk).last_used_at

    first = eventually(used)
    client.post("/v1/chat/completions", json=CHAT)
    acme.records(2)
    assert used() == first
