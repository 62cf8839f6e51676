"""An attempt that its provider charges for, and that another one is to follow: budgets hold for both, or there is no other."""

import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from tests.support import bodies
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, EACH, budget, priced, ruled, settled
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant, tenant

# A stream that begins by telling what it used, and is an error.
FAILS = bodies.event(bodies.chunk({}, choices=[], usage=bodies.USAGE)) + bodies.event(
    bodies.error("Busy", kind="server_error")
)
UNSAID = {
    "model": "gpt-test",
    "usage": bodies.USAGE,
    "choices": [{"index": 0, "finish_reason": "content_filter", "message": {"role": "assistant"}}],
}
RULES_KNOWN = 1.5  # seconds until every gateway goes by new prices, budgets and policies


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def both(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    """A tenant whose model has two routes, at EACH a call."""
    with tenant(patient, upstream) as made:
        made.add_route("gpt-test", upstream.url + "/v1", label="spare", priority=200)
        priced(made)
        yield made


def ask(made: Tenant, **fields: object) -> httpx.Response:
    return made.http().post("/v1/chat/completions", json={**BODY, **fields})


def known(made: Tenant, upstream: FakeProvider) -> Decimal:
    """The rules hold when this returns; what was spent until then."""
    time.sleep(RULES_KNOWN)
    assert ask(made).status_code == 200
    upstream.reset()
    return EACH


def test_where_there_is_room_both_are_charged_and_held_for(both: Tenant, upstream: FakeProvider) -> None:
    made = budget(both, str(EACH * 3))
    known(both, upstream)
    upstream.streams_raw([FAILS])
    response = ask(both, stream=True)
    assert (response.status_code, len(upstream.requests)) == (200, 2)
    record = both.record(response.headers["x-request-id"])
    assert record.cost_usd == 2 * EACH
    assert record.decision["hold"] == 2 * EACH * 10**9
    assert "over_hold" not in record.flags
    assert settled(made).spent_usd == 3 * EACH


@pytest.mark.parametrize("room", [Decimal(1), Decimal("1.9")])
def test_where_there_is_none_the_failure_stands(both: Tenant, upstream: FakeProvider, room: Decimal) -> None:
    made = budget(both, str(EACH + EACH * room))
    known(both, upstream)
    upstream.streams_raw([FAILS])
    response = ask(both, stream=True)
    assert (response.status_code, len(upstream.requests)) == (502, 1)
    assert response.json()["error"]["message"] == "Busy"
    record = both.record(response.headers["x-request-id"])
    assert (record.cost_usd, len(record.attempts)) == (EACH, 1)
    assert settled(made).spent_usd == 2 * EACH <= made.limit_usd


def test_an_attempt_that_told_nothing_needs_no_more_room(both: Tenant, upstream: FakeProvider) -> None:
    made = budget(both, str(EACH * 2))
    known(both, upstream)
    upstream.streams_raw([bodies.event(bodies.error("Busy", kind="server_error"))])
    response = ask(both, stream=True)
    assert (response.status_code, len(upstream.requests)) == (200, 2)
    assert settled(made).spent_usd == 2 * EACH


def test_answers_that_a_filter_has_emptied_are_held_for_one_by_one(both: Tenant, upstream: FakeProvider) -> None:
    ruled(both, fallback_on=["content_filter"])
    made = budget(both, str(EACH * 2))
    known(both, upstream)  # which would have had no room, were two held for
    upstream.answers(UNSAID)
    response = ask(both)
    assert (response.status_code, len(upstream.requests)) == (200, 1)
    assert response.json()["choices"][0]["finish_reason"] == "content_filter"
    assert settled(made).spent_usd == 2 * EACH


def test_a_crowd_that_is_tried_again_does_not_overspend(both: Tenant, upstream: FakeProvider) -> None:
    made = budget(both, str(EACH * 11))
    known(both, upstream)
    hold = threading.Event()
    for _ in range(8):  # all of them are held for before the first of them fails
        upstream.streams_raw([hold, FAILS])
    done: list[int] = []
    callers = [threading.Thread(target=lambda: done.append(ask(both, stream=True).status_code)) for _ in range(8)]
    for caller in callers:
        caller.start()
    eventually(lambda: len(upstream.requests) == 8, what="all eight")
    hold.set()
    for caller in callers:
        caller.join()
    assert sorted(done) == [200, 200, *[502] * 6]
    assert settled(made).spent_usd == made.limit_usd
