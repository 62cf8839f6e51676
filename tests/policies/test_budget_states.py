"""Operators see for each budget what is spent and left, and when it runs out: here from the ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from apps.audit.models import Adjustment
from apps.orgs.models import Organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.models import Attachment, Budget, Policy
from apps.policies.selectors.budgets import BudgetState, budget_state, budget_states, budgets_of
from apps.services.models import Token
from tests.support.spending import ACTOR, a_service, a_token, an_organization, spend

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 11, 12, tzinfo=UTC)  # a Wednesday


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


# --- What is spent ---


def test_a_budget_without_counters_is_told_from_the_ledger(organization: Organization, token: Token) -> None:
    spend(token, "12.345678901234", AT)
    state = state_of(budget_for(organization))
    assert (state.source, state.spent_usd, state.held_usd) == ("ledger", Decimal("12.345678901234"), None)
    assert state.remaining_usd == Decimal("87.654321098766")
    assert (state.starts_at, state.ends_at) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert f"{state.percent:.2f}" == "12.35"
    assert (state.label, state.subject) == (str(organization), "")


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
