"""Operators see what running calls hold, free it, and compare the counters with the ledger."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.core.ids import uuid7
from apps.core.rows import one_sentence
from apps.orgs.models import Organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.holds import hold_release
from apps.policies.alerts import budgets_watch
from apps.policies.counters import reading, scripts
from apps.policies.counters.control import forget_budgets, holds, rebuild_now
from apps.policies.counters.plan import request as planned
from apps.policies.models import Budget, BudgetAlert
from apps.policies.selectors.budgets import BudgetState, budget_states
from apps.services.models import Token
from tests.control.conftest import Run
from tests.support.gateway import test_database_url
from tests.support.spending import ACTOR, a_service, a_token, an_organization, spend


@pytest.fixture(autouse=True)
def db(django_db_setup: None, django_db_blocker: Any, settings: Any) -> Iterator[None]:
    """Written to for good, as counters are built over a connection of their own; each test has its own organization."""
    with django_db_blocker.unblock():
        settings.DATABASE_URL = test_database_url()
        yield


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def token(organization: Organization) -> Token:
    return a_token(a_service(organization))


def budget_for(organization: Organization, usd: str = "100", **fields: Any) -> Budget:
    subject = fields.pop("subject", Subject("organization"))
    return budget_create(
        organization=organization, subject=subject, window="month", limit_usd=Decimal(usd), actor=ACTOR, **fields
    )


def state_of(budget: Budget) -> BudgetState:
    (state,) = budget_states([budget])
    return state


def hold(budget: Budget, token: Token, usd: str) -> UUID:
    """Admit a call that holds so much of the budget. Returns the request's id."""
    (rule,) = reading.rules_of(budget)
    asked = planned(token.organization_id.hex, token.pk.hex, (), (rule,), at=time.time())
    request = uuid7()
    nano = int(Decimal(usd).scaleb(9))
    run = reading.store().info("server")["run_id"]
    args = [*asked.admit_args, request.hex, 60_000, nano, nano, 0, run]
    answer: Any = reading.store().eval(scripts.ADMIT.source, len(asked.admit_keys), *asked.admit_keys, *map(str, args))
    assert answer[0] == 1, answer
    return request


# --- How budgets stand ---


def test_what_running_calls_hold_is_shown(organization: Organization, token: Token) -> None:
    spend(token, "12.345678901234", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    hold(budget, token, "0.5")
    hold(budget, token, "0.25")
    state = state_of(budget)
    assert (state.source, state.held_usd) == ("counters", Decimal("0.75"))
    assert state.spent_usd == Decimal("12.345678902")  # rounded up, as the store counts
    assert state.remaining_usd == 100 - Decimal("13.095678902")


def test_a_hold_is_released_once_and_noted(organization: Organization, token: Token) -> None:
    budget = budget_for(organization)
    rebuild_now(organization)
    request = hold(budget, token, "0.5")
    kept = hold(budget, token, "0.25")
    assert {each.request_id for each in holds(organization)} == {request, kept}
    released = hold_release(request=request, actor=ACTOR)
    assert released is not None
    assert released.held_nano == 500_000_000
    assert hold_release(request=request, actor=ACTOR) is None
    assert hold_release(request=uuid4(), actor=ACTOR) is None
    assert state_of(budget).held_usd == Decimal("0.25")
    (event,) = AdminEvent.objects.filter(organization_id=organization.pk, action="hold.released")
    assert event.before == {"request": f"req_{request.hex}", "held_usd": "0.50"}


def test_an_adjustment_has_the_counters_built_anew(organization: Organization, token: Token) -> None:
    spend(token, "5", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    adjustment_record(organization=organization, amount_usd=Decimal(-2), reason="refund", actor=ACTOR)
    state = state_of(budget)
    assert (state.source, state.spent_usd) == ("ledger", 3)
    rebuild_now(organization)
    state = state_of(budget)
    assert (state.source, state.spent_usd) == ("counters", 3)


def test_an_end_users_counter_is_theirs_alone(organization: Organization, token: Token) -> None:
    named = budget_for(organization, subject=Subject("end_user", end_user="ana"))
    spend(token, "5", now(), end_user="ana")
    rebuild_now(organization)
    state = state_of(named)
    assert (state.source, state.spent_usd) == ("counters", 5)


def test_a_counter_that_the_store_lost_is_no_error(organization: Organization, token: Token) -> None:
    budget = budget_for(organization)
    rebuild_now(organization)
    assert forget_budgets(organization) == 1
    assert state_of(budget).source == "ledger"


def test_a_level_is_noticed_from_the_counters(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, "10", alert_at=[50])
    rebuild_now(organization)
    hold(budget, token, "9")
    budgets_watch()
    assert not BudgetAlert.objects.filter(budget=budget).exists()  # held is not spent
    (rule,) = reading.rules_of(budget)
    reading.store().hset(reading.counted(rule, time.time()).key, "s", 5_000_000_000)
    budgets_watch()
    alert = BudgetAlert.objects.get(budget=budget)
    assert (alert.level, alert.spent_usd) == (50, 5)


def test_without_a_store_everything_is_told_from_the_ledger(
    organization: Organization, token: Token, settings: Any
) -> None:
    spend(token, "5", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    assert state_of(budget).source == "counters"
    settings.REDIS_URL = "redis://127.0.0.1:1"
    reading.store.cache_clear()
    try:
        state = state_of(budget)
    finally:
        reading.store.cache_clear()
    assert (state.source, state.spent_usd, state.held_usd) == ("ledger", 5, None)


# --- The commands ---


def test_holds_are_listed_and_released(organization: Organization, token: Token, run: Run) -> None:
    budget = budget_for(organization)
    rebuild_now(organization)
    request = f"req_{hold(budget, token, '0.5').hex}"
    title, line = run("release_hold", "--list", "--org", organization.slug).out.splitlines()
    assert title.split()[:4] == ["REQUEST", "ORG", "TOKEN", "USD"]
    assert line.split()[:4] == [request, organization.slug, str(token.pk), "0.50"]
    assert run("release_hold", request).out == f"Released 0.50 USD of {request}.\n"
    assert run("release_hold", request).code == 1
    assert run("release_hold", "--list", "--org", organization.slug).out == ""


def test_counters_are_compared_with_the_ledger_and_built_anew(
    organization: Organization, token: Token, run: Run
) -> None:
    budget = budget_for(organization)
    spend(token, "1.5", now())
    check = ("rebuild_counters", "--org", organization.slug, "--check")
    unbuilt = run(*check)
    assert (unbuilt.code, unbuilt.out) == (0, "Compared 0 counters with the ledger: no difference.\n")
    assert "not built" in unbuilt.err
    assert run("rebuild_counters", "--org", organization.slug).out == "Built 1 counter.\n"
    assert run(*check).out == "Compared 1 counter with the ledger: no difference.\n"
    (rule,) = reading.rules_of(budget)
    key = reading.counted(rule, time.time()).key
    reading.store().hincrby(key, "s", -250_000_000)
    wrong = run(*check)
    assert wrong.code == 1
    assert wrong.out.splitlines()[1].split()[-3:] == ["1.25", "1.50", "-0.25"]
    assert reading.store().hget(key, "s") == "1250000000"
    run("rebuild_counters", "--org", organization.slug)
    assert run(*check).code == 0


def test_counters_of_every_end_user_are_forgotten_to_be_built_anew(organization: Organization, run: Run) -> None:
    budget = budget_for(organization, subject=Subject("end_user", end_user="*"))
    (rule,) = reading.rules_of(budget)
    key = reading.counted(rule, time.time(), "ana").key
    reading.store().hset(key, "s", 1)
    assert run("rebuild_counters", "--org", organization.slug).code == 0
    assert not reading.store().exists(key)


# --- Two at once ---


def test_of_two_who_make_the_same_budget_one_is_told_that_there_is_one(organization: Organization) -> None:
    barrier = threading.Barrier(2)

    def make() -> str:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            budget_for(organization)
        except ValidationError as refusal:
            return one_sentence(refusal)
        else:
            return "made"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        told = sorted(done.result() for done in [pool.submit(make) for _ in range(2)])
    assert "change that one" in told[0]
    assert told[1] == "made"
    assert Budget.objects.filter(organization=organization).count() == 1
