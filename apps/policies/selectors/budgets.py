"""Named reads of budgets: how each stands, from the counters, or from the ledger where there are none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Case, QuerySet, When
from django.utils.timezone import now

from apps.orgs.models import Organization
from apps.policies import ledger
from apps.policies.counters.plan import NANO, BudgetRule, Counted
from apps.policies.counters.reading import BudgetCounter, budget_counters, counted, rules_of
from apps.policies.models import Budget, BudgetScope, Window
from apps.policies.windows import Span, span
from apps.services.models import Service, Token

TOP_END_USERS = 50
_WIDEST_FIRST = ("organization", "service", "token", "policy", "end_user", "tag")
_SETTLED = timedelta(hours=1)  # a younger window says nothing about its end
_SETTLED_SHARE = Decimal("0.03")  # nor does one of which less has passed
_RECENT = timedelta(days=7)  # a total budget's pace is that of so many days
_FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How a budget stands for one of its subjects, in the window of that moment."""

    budget: Budget
    scope: str  # whose spending it is: organization, service, token, end_user or tag
    subject: (
        str  # which holder of a policy (32 hexadecimal digits) or end user, where the budget has several; else empty
    )
    label: str
    starts_at: datetime
    ends_at: datetime | None  # None: never
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal | None  # None: not known
    projected_exhaustion: datetime | None  # None: not before the window ends, or too early to say
    source: Literal["counters", "ledger"]

    @property
    def remaining_usd(self) -> Decimal:
        """What is neither spent nor held; below 0 where more was spent than the limit."""
        return self.limit_usd - self.spent_usd - (self.held_usd or 0)

    @property
    def percent(self) -> Decimal:
        """The share of the limit that is spent. A limit of 0 is always used up."""
        return self.spent_usd * 100 / self.limit_usd if self.limit_usd else Decimal(100)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One budget of one subject, before anybody has been asked."""

    budget: Budget
    scope: str
    subject: str
    label: str
    subject_id: UUID | str | None  # for the ledger
    counted: Counted  # for the store

    @property
    def span(self) -> Span:
        """The window at that moment."""
        return self.counted.span


def budgets_of(organization: Organization | None = None) -> QuerySet[Budget]:
    """Its budgets, or with None everybody's, widest scope first, with what they name."""
    widest_first = Case(*(When(scope=scope, then=place) for place, scope in enumerate(_WIDEST_FIRST)))
    budgets = Budget.objects.select_related("organization", "service", "token", "policy")
    if organization is not None:
        budgets = budgets.filter(organization=organization)
    return budgets.order_by("organization__slug", widest_first, "window", "rolling_days", "id")


def budget_states(
    budgets: Iterable[Budget],
    *,
    at: datetime | None = None,
    projected: bool = True,
    active_since: datetime | None = None,
) -> list[BudgetState]:
    """How budgets stand, in their order: one state each, but for these.

    A policy's budget has one for every place the policy is attached at; one of every end user (`*`) for those who spent most, up
    to TOP_END_USERS, or with `active_since` for those whose calls were recorded since then. Without a reachable store, or where
    it keeps no counter yet, the ledger tells what was spent, and what is held is not known. `projected` False leaves that out.
    """
    moment = now() if at is None else at
    asked = [one for budget in budgets for one in _asked(budget, moment, active_since)]
    # One round trip for all of them.
    counters = (budget_counters([one.counted for one in asked]) if asked else None) or [None] * len(asked)
    return [_state(one, counter, moment, projected=projected) for one, counter in zip(asked, counters, strict=True)]


def budget_state(budget: Budget, *, at: datetime | None = None) -> BudgetState | None:
    """How a budget stands, for the subject that has spent most of it; None if it has no subject yet."""
    return max(budget_states([budget], at=at), key=lambda state: state.spent_usd, default=None)


def ledger_spent(scope: str, organization_id: UUID, subject: UUID | str | None, window: Span) -> Decimal:
    """USD spent in a window according to PostgreSQL, exact."""
    values = ledger.parameters(organization_id, subject, window)
    ((spent,),) = _rows(ledger.spent_sql(scope), values)
    return Decimal(spent)


def _asked(budget: Budget, at: datetime, active_since: datetime | None) -> Iterator[_Asked]:
    rules = rules_of(budget)
    seconds = at.timestamp()
    match budget.scope:
        case BudgetScope.POLICY:
            yield from _holders(budget, rules, seconds)
        case BudgetScope.END_USER if budget.end_user == "*":
            for end_user in _end_users(budget, rules[0].span(seconds), active_since):
                yield _Asked(budget, budget.scope, end_user, end_user, end_user, counted(rules[0], seconds, end_user))
        case _:
            named = {
                BudgetScope.SERVICE: budget.service_id,
                BudgetScope.TOKEN: budget.token_id,
                BudgetScope.END_USER: budget.end_user,
                BudgetScope.TAG: budget.tag,
            }
            label = str(budget.service or budget.token or budget.end_user or budget.tag or budget.organization)
            yield _Asked(
                budget, budget.scope, "", label, named.get(BudgetScope(budget.scope)), counted(rules[0], seconds)
            )


def _holders(budget: Budget, rules: Sequence[BudgetRule], seconds: float) -> Iterator[_Asked]:
    ids = [rule.subject_id for rule in rules if rule.subject_id is not None]
    names = {budget.organization_id: str(budget.organization)}
    names |= {row.pk: str(row) for row in Service.objects.filter(pk__in=ids)}
    names |= {row.pk: str(row) for row in Token.objects.filter(pk__in=ids)}
    for rule in rules:
        if rule.subject_id in names:
            label = f"{budget.policy} · {names[rule.subject_id]}"
            subject = rule.subject_id.hex
            yield _Asked(budget, rule.holder, subject, label, rule.subject_id, counted(rule, seconds))


def _end_users(budget: Budget, window: Span, active_since: datetime | None) -> list[str]:
    if active_since is not None:
        values: dict[str, Any] = {"organization": budget.organization_id, "since": active_since}
        return [row[0] for row in _rows(ledger.ACTIVE_END_USERS_SQL, values)]
    values = ledger.parameters(budget.organization_id, None, window)
    return [row[0] for row in _rows(ledger.TOP_END_USERS_SQL, {**values, "most": TOP_END_USERS})]


def _state(one: _Asked, counter: BudgetCounter | None, at: datetime, *, projected: bool) -> BudgetState:
    budget = one.budget
    spent, held = (
        (ledger_spent(one.scope, budget.organization_id, one.subject_id, one.span), None)
        if counter is None
        else (Decimal(counter.spent) / NANO, Decimal(counter.held) / NANO)
    )
    return BudgetState(
        budget=budget,
        scope=one.scope,
        subject=one.subject,
        label=one.label,
        starts_at=datetime.fromtimestamp(one.span.starts, UTC),
        ends_at=None if one.span.ends == float("inf") else datetime.fromtimestamp(one.span.ends, UTC),
        limit_usd=budget.limit_usd,
        spent_usd=spent,
        held_usd=held,
        projected_exhaustion=_exhaustion(one, spent, at) if projected else None,
        source="ledger" if counter is None else "counters",
    )


def _exhaustion(one: _Asked, spent: Decimal, at: datetime) -> datetime | None:
    """When the limit is reached at the pace so far; None: not before the window ends, or too early to say.

    The pace of a calendar window is its own; of a rolling one, today's, until the next midnight moves it on; of a total, that of
    the last seven days.
    """
    left = one.budget.limit_usd - spent
    if left <= 0:
        return at
    since, used = _pace(one, spent, at)
    passed = at - since
    if used <= 0 or passed < _least_age(one):
        return None
    ahead = left * Decimal(passed.total_seconds()) / used  # seconds; an estimate, so the float's rounding is nothing
    if ahead > Decimal(_FAR.total_seconds()):
        return None
    runs_out = at + timedelta(seconds=float(ahead))
    return runs_out if runs_out.timestamp() < one.span.ends else None


def _pace(one: _Asked, spent: Decimal, at: datetime) -> tuple[datetime, Decimal]:
    """Since when, and how much was spent since."""
    budget = one.budget
    if budget.window not in {Window.ROLLING, Window.TOTAL}:
        return datetime.fromtimestamp(one.span.starts, UTC), spent
    if budget.window == Window.ROLLING:
        zone = ZoneInfo(budget.organization.timezone)
        since = first = datetime.fromtimestamp(span(Window.DAY, None, zone, at).starts, UTC)
    else:
        since = max(at - _RECENT, budget.organization.created_at)
        # Spending is kept by quarter hours: the first one whole.
        first = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
    recently = Span(first.timestamp(), at.timestamp(), 0)
    return since, ledger_spent(one.scope, budget.organization_id, one.subject_id, recently)


def _least_age(one: _Asked) -> timedelta:
    if one.budget.window in {Window.ROLLING, Window.TOTAL}:
        return _SETTLED
    share = timedelta(seconds=float(Decimal(one.span.ends - one.span.starts) * _SETTLED_SHARE))
    return max(_SETTLED, share)


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
