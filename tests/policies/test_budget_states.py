"""Operators see for each budget what is spent, held and left, and when it runs out: from the counters, else from the ledger."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils.timezone import now

from apps.audit.models import Adjustment, AdminEvent
from apps.core.ids import uuid7
from apps.orgs.models import Organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.holds import hold_release
from apps.policies.alerts import budgets_watch
from apps.policies.counters import reading, scripts
from apps.policies.counters.control import forget_budgets, holds, rebuild_now
from apps.policies.counters.plan import request as planned
from apps.policies.models import Attachment, Budget, BudgetAlert, Policy
from apps.policies.selectors.budgets import BudgetState, budget_state, budget_states, budgets_of
from apps.services.models import Token
from tests.control.conftest import Run
from tests.support.gateway import test_database_url
from tests.support.spending import ACTOR, a_service, a_token, an_organization, spend

AT = datetime(2026, 11, 11, 12, tzinfo=UTC)  # a Wednesday


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


def budget_for(organization: Organization, usd: str = "100", window: str = "month", **fields: Any) -> Budget:
    subject = fields.pop("subject", Subject("organization"))
    return budget_create(
        organization=organization, subject=subject, window=window, limit_usd=Decimal(usd), actor=ACTOR, **fields
    )


def state_of(budget: Budget, at: datetime = AT) -> BudgetState:
    (state,) = budget_states([budget], at=at)
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


# --- From the ledger ---


def test_a_budget_without_counters_is_told_from_the_ledger(organization: Organization, token: Token) -> None:
    spend(token, "12.345678901234", AT)
    state = state_of(budget_for(organization))
    assert (state.source, state.spent_usd, state.held_usd) == ("ledger", Decimal("12.345678901234"), None)
    assert state.remaining_usd == Decimal("87.654321098766")
    assert (state.starts_at, state.ends_at) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert f"{state.percent:.2f}" == "12.35"
    assert (state.label, state.subject) == (str(organization), "")


def test_without_a_store_everything_is_told_from_the_ledger(
    organization: Organization, token: Token, settings: Any
) -> None:
    spend(token, "5", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    assert state_of(budget, now()).source == "counters"
    settings.REDIS_URL = "redis://127.0.0.1:1"
    reading.store.cache_clear()
    try:
        state = state_of(budget, now())
    finally:
        reading.store.cache_clear()
    assert (state.source, state.spent_usd, state.held_usd) == ("ledger", 5, None)


def test_each_scope_counts_its_own_spending(organization: Organization, token: Token) -> None:
    neighbor = a_token(token.service)
    spend(token, "1", AT, end_user="ana", tags=["team=search", "tier=gold"])
    spend(neighbor, "2", AT, end_user="ben", tags=["team=search"])
    spend(a_token(a_service(organization)), "4", AT)
    subjects = {
        Subject("organization"): 7,
        Subject("service", service=token.service): 3,
        Subject("token", token=token): 1,
        Subject("end_user", end_user="ben"): 2,
        Subject("tag", tag="team=search"): 3,
    }
    budgets = [budget_for(organization, subject=subject) for subject in subjects]
    assert [state.spent_usd for state in budget_states(budgets, at=AT)] == list(subjects.values())
    assert list(budgets_of(organization)) == budgets  # widest first
    assert {budget.pk for budget in budgets} <= {budget.pk for budget in budgets_of()}


def test_a_policys_budget_has_a_state_for_every_holder(organization: Organization, token: Token) -> None:
    policy = Policy.objects.create(organization=organization, name="interns")
    other = a_service(organization)
    Attachment.objects.create(organization=organization, policy=policy, layer="token", token=token)
    Attachment.objects.create(organization=organization, policy=policy, layer="service", service=other)
    spend(token, "3", AT)
    spend(a_token(token.service), "50", AT)
    spend(a_token(other), "4", AT)
    states = budget_states([budget_for(organization, subject=Subject("policy", policy=policy))], at=AT)
    assert {(state.label, state.scope, state.subject, state.spent_usd) for state in states} == {
        (f"interns · {token}", "token", token.pk.hex, 3),
        (f"interns · {other}", "service", other.pk.hex, 4),
    }


def test_a_budget_of_every_end_user_shows_who_spent_most(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, subject=Subject("end_user", end_user="*"))
    assert budget_state(budget, at=AT) is None
    for number in range(60):
        spend(token, str(number + 1), AT, end_user=f"user-{number}")
    states = budget_states([budget], at=AT)
    assert len(states) == 50
    assert (states[0].subject, states[0].spent_usd) == ("user-59", 60)
    most = budget_state(budget, at=AT)
    assert most is not None
    assert most.label == "user-59"


def test_a_window_is_the_organizations_own() -> None:
    organization = an_organization("Asia/Kathmandu")
    token = a_token(a_service(organization))
    midnight = datetime(2026, 11, 10, 18, 15, tzinfo=UTC)
    spend(token, "1", midnight - timedelta(milliseconds=1))
    spend(token, "2", midnight)
    state = state_of(budget_for(organization, window="day"))
    assert (state.starts_at, state.spent_usd) == (midnight, 2)


def test_adjustments_count(organization: Organization, token: Token) -> None:
    spend(token, "5", now())
    budget = budget_for(organization, subject=Subject("token", token=token))
    adjustment_record(
        organization=organization, token=token, amount_usd=Decimal("-1.25"), reason="charged twice", actor=ACTOR
    )
    assert state_of(budget, now()).spent_usd == Decimal("3.75")


# --- From the counters ---


def test_what_running_calls_hold_is_shown(organization: Organization, token: Token) -> None:
    spend(token, "12.345678901234", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    hold(budget, token, "0.5")
    hold(budget, token, "0.25")
    state = state_of(budget, now())
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
    assert state_of(budget, now()).held_usd == Decimal("0.25")
    (event,) = AdminEvent.objects.filter(organization_id=organization.pk, action="hold.released")
    assert event.before == {"request": f"req_{request.hex}", "held_usd": "0.50"}


def test_an_adjustment_has_the_counters_built_anew(organization: Organization, token: Token) -> None:
    spend(token, "5", now())
    budget = budget_for(organization)
    rebuild_now(organization)
    adjustment_record(organization=organization, amount_usd=Decimal(-2), reason="refund", actor=ACTOR)
    state = state_of(budget, now())
    assert (state.source, state.spent_usd) == ("ledger", 3)
    rebuild_now(organization)
    state = state_of(budget, now())
    assert (state.source, state.spent_usd) == ("counters", 3)


def test_an_end_users_counter_is_theirs_alone(organization: Organization, token: Token) -> None:
    named = budget_for(organization, subject=Subject("end_user", end_user="ana"))
    spend(token, "5", now(), end_user="ana")
    rebuild_now(organization)
    state = state_of(named, now())
    assert (state.source, state.spent_usd) == ("counters", 5)


def test_a_counter_that_the_store_lost_is_no_error(organization: Organization, token: Token) -> None:
    budget = budget_for(organization)
    rebuild_now(organization)
    assert forget_budgets(organization) == 1
    assert state_of(budget, now()).source == "ledger"


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


# --- When it runs out ---


def projected(budget: Budget, at: datetime = AT) -> datetime | None:
    return state_of(budget, at).projected_exhaustion


def test_a_pace_that_lasts_longer_than_the_window_runs_out_never(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, "30")
    spend(token, "10.4", AT - timedelta(days=2))  # of 10.5 days: a dollar a day lasts thirty
    assert projected(budget) is None


def test_the_pace_so_far_tells_the_hour(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, "30")
    spend(token, "21", AT - timedelta(days=2))  # two dollars a day
    assert projected(budget) == AT + timedelta(days=4.5)


def test_a_window_that_has_just_begun_says_nothing(organization: Organization, token: Token) -> None:
    daily, monthly = (budget_for(organization, "30", window=window) for window in ("day", "month"))
    first = datetime(2026, 11, 1, tzinfo=UTC)
    spend(token, "20", first)
    assert projected(daily, first + timedelta(minutes=59)) is None
    assert projected(daily, first + timedelta(minutes=60)) == first + timedelta(minutes=90)
    assert projected(monthly, first + timedelta(hours=21)) is None  # of 21.6
    assert projected(monthly, first + timedelta(hours=22)) == first + timedelta(hours=33)


def test_what_is_used_up_runs_out_now(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, "30")
    spend(token, "30", AT)
    assert projected(budget) == AT
    assert projected(budget_for(organization, "0", window="week")) == AT


def test_nothing_spent_runs_out_never(organization: Organization) -> None:
    assert [projected(budget_for(organization, window=window)) for window in ("day", "month", "total")] == [None] * 3


def test_a_rolling_budget_goes_by_today(organization: Organization, token: Token) -> None:
    budget = budget_for(organization, "30", window="rolling", rolling_days=7)
    spend(token, "20", AT - timedelta(days=3))
    assert projected(budget) is None  # nothing today
    spend(token, "8", AT)
    assert projected(budget, AT + timedelta(hours=1)) == AT + timedelta(hours=1) + timedelta(hours=13) / 4
    # At that pace what is left lasts beyond midnight, when another day drops out.
    Adjustment.objects.create(organization_id=organization.pk, at=AT, amount_usd=Decimal("-7.9"), reason="test")
    assert projected(budget, AT + timedelta(hours=1)) is None


def test_a_total_budget_goes_by_the_last_seven_days(organization: Organization, token: Token) -> None:
    Organization.objects.filter(pk=organization.pk).update(created_at=datetime(2025, 1, 1, tzinfo=UTC))
    organization.refresh_from_db()
    budget = budget_for(organization, "100", window="total")
    spend(token, "50", AT - timedelta(days=200))
    spend(token, "14", AT - timedelta(days=1))  # two dollars a day
    assert projected(budget) == AT + timedelta(days=18)
