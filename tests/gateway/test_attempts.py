"""A call survives a provider's failure: another route, or the same one again, while nothing has been answered."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.gateway import GatewayProcess, eventually, free_port
from tests.support.provider import CLOSE, RESET, FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

BODY = {"model": "routed", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider that serves the same model."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def acme(patient: GatewayProcess, upstream: FakeProvider) -> "Iterator[Tenant]":
    from tests.support.tenant import tenant

    with tenant(patient, upstream) as made:
        made.add_model("routed")
        yield made


@pytest.fixture
def both(acme: "Tenant", spare: FakeProvider) -> "Tenant":
    """The model is served by `upstream` first, and by `spare`."""
    acme.add_route("routed", spare.url + "/v1", label="spare", priority=200)
    return acme


def ask(tenant: "Tenant", **fields: Any) -> httpx.Response:
    return tenant.http().post("/v1/chat/completions", json={**BODY, **fields})


def served(provider: FakeProvider) -> int:
    return len(provider.requests)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_failure_that_may_pass_is_answered_by_the_next_route_at_once(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider, status: int
) -> None:
    upstream.fails(status)
    response = ask(both)
    assert response.status_code == 200
    assert response.headers["x-tollgate-attempts"] == "2"
    assert (served(upstream), served(spare)) == (1, 1)
    record = both.record()
    assert [attempt["status"] for attempt in record.attempts] == [status, 200]
    assert [attempt["credential"] for attempt in record.attempts] == ["fake provider", "spare"]
    assert record.credential.label == "spare"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_the_caller_did_wrong_is_not_tried_again(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider, status: int
) -> None:
    upstream.fails(status)
    assert ask(both).status_code == status
    assert (served(upstream), served(spare)) == (1, 0)


def test_a_refused_credential_is_passed_over_and_not_tried_again(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.fails(401)
    spare.fails(500)
    spare.fails(500)
    response = ask(both)
    assert response.status_code == 500
    assert (served(upstream), served(spare)) == (1, 2)
    assert response.headers["x-should-retry"] == "false"


def test_a_credential_that_alone_serves_the_model_and_is_refused_is_asked_once(
    acme: "Tenant", upstream: FakeProvider
) -> None:
    upstream.fails(401)
    assert ask(acme).json()["error"]["code"] == "upstream_auth_failed"
    assert served(upstream) == 1


def test_a_provider_that_cannot_be_reached_is_replaced(acme: "Tenant", upstream: FakeProvider) -> None:
    acme.add_route("routed", f"http://127.0.0.1:{free_port()}/v1", label="gone", priority=1)
    response = ask(acme)
    assert response.status_code == 200
    assert served(upstream) == 1
    assert [attempt["error_code"] for attempt in acme.record().attempts] == ["upstream_unavailable", ""]


def test_the_only_route_is_tried_again_after_a_pause_and_no_more_than_three_times(
    acme: "Tenant", upstream: FakeProvider
) -> None:
    upstream.fails(503, always=True)
    response = ask(acme)
    assert response.status_code == 503
    assert served(upstream) == 3
    assert response.headers["x-should-retry"] == "false"
    record = acme.record()
    starts = [attempt["started_us"] for attempt in record.attempts]
    assert starts[1] - starts[0] >= 125_000
    assert starts[2] - starts[1] >= 250_000


def test_a_call_that_succeeds_at_its_second_attempt_looks_like_any_other(
    acme: "Tenant", upstream: FakeProvider
) -> None:
    upstream.fails(500)
    assert ask(acme).json()["choices"][0]["message"]["content"] == "Hello"
    record = acme.record()
    assert (record.status, record.error_code, record.output_tokens) == (200, "", 2)


def test_the_pause_that_a_provider_asks_for_is_kept(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.fails(429, headers={"retry-after-ms": "700"})
    begun = time.monotonic()
    assert ask(acme).status_code == 200
    assert time.monotonic() - begun >= 0.7


def test_a_pause_longer_than_the_time_left_is_the_clients_to_make(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.fails(429, headers={"retry-after": "60"})
    response = ask(acme)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert "x-should-retry" not in response.headers
    assert served(upstream) == 1


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_a_connection_that_breaks_before_the_answer_is_replaced(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider, ending: Any
) -> None:
    upstream.sends(ending)
    assert ask(both).status_code == 200
    assert (served(upstream), served(spare)) == (1, 1)


def test_a_stream_that_breaks_before_its_first_event_begins_anew_elsewhere(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.streams_raw([CLOSE])
    response = ask(both, stream=True)
    assert response.text.endswith("data: [DONE]\n\n")
    assert (served(upstream), served(spare)) == (1, 1)


def test_a_stream_that_has_begun_is_not_begun_again(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.streams("Hel", CLOSE)
    response = ask(both, stream=True)
    assert '"code":"upstream_disconnected"' in response.text
    assert (served(upstream), served(spare)) == (1, 0)


def test_an_answer_that_the_provider_has_charged_for_is_not_asked_for_again(
    both: "Tenant", upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.answers("<html>", headers={"content-type": "text/html"})
    assert ask(both).json()["error"]["code"] == "upstream_malformed"
    assert served(spare) == 0


def test_a_client_that_leaves_in_the_pause_ends_the_attempts(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.fails(429, headers={"retry-after": "2"}, always=True)
    with pytest.raises(httpx.ReadTimeout):
        acme.http().post("/v1/chat/completions", json=BODY, timeout=1)
    record = acme.record()
    assert (record.status, len(record.attempts)) == (499, 1)
    time.sleep(1.5)
    assert served(upstream) == 1


def test_a_route_that_keeps_failing_is_asked_last(both: "Tenant", upstream: FakeProvider, spare: FakeProvider) -> None:
    upstream.fails(500, always=True)
    for _ in range(3):
        assert ask(both).status_code == 200
    assert (served(upstream), served(spare)) == (3, 3)
    assert ask(both).status_code == 200
    assert (served(upstream), served(spare)) == (3, 4)
    metrics = both.http().get("/metrics").text
    assert float(re.search(r"^tollgate_routes_cooling (.+)$", metrics, re.MULTILINE)[1]) >= 1


def test_a_budget_must_have_room_for_the_dearest_route(both: "Tenant", upstream: FakeProvider) -> None:
    from apps.policies.actions.budgets import Subject, budget_create, budget_update
    from apps.providers.prices.actions import price_set
    from tests.support.tenant import ACTOR

    both.add_route("routed", upstream.url + "/v1", label="dear", priority=300, upstream_name="dear")
    for model, price in (("routed", 100), ("dear", 1000)):
        price_set(
            organization=both.organization,
            provider="openai_compatible",
            model=model,
            prices={"input": Decimal(0), "output": Decimal(0), "per_request": Decimal(price)},
            effective_from=datetime(2020, 1, 1, tzinfo=UTC),
            actor=ACTOR,
        )
    made = budget_create(
        organization=both.organization,
        subject=Subject("organization"),
        window="month",
        limit_usd=Decimal("0.0009"),
        actor=ACTOR,
    )
    assert ask(both).status_code == 402
    budget_update(budget=made, limit_usd=Decimal("0.001"), actor=ACTOR)
    eventually(lambda: ask(both).status_code == 200, timeout=3, what="the larger budget")
    assert both.records(2)[-1].cost_usd == Decimal("0.0001")
