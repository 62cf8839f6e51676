"""What the counters say right now, for people: the console, commands, explanations. Reads; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import redis

from apps.core import stores
from apps.core.logs import get_logger
from apps.policies.counters import keys
from apps.policies.counters.plan import BUDGET_COLUMNS, BudgetRule, Counted, budget_rule
from apps.policies.effective import Limit
from apps.policies.models import Attachment, Budget

log = get_logger(__name__)

store = stores.store
_UNITS = 60_000  # a request or token in a bucket: one a minute is one unit a millisecond


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit and what is left of it. `reset_seconds`: until all of it is there again, if nothing more is taken."""

    limit: Limit
    used: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class BudgetCounter:
    """What a budget's counters hold, in nano-USD."""

    spent: int
    held: int


def limit_states(limits: Sequence[Limit], end_user: str = "") -> list[LimitState] | None:
    """What is left of each limit; None if the store cannot be asked. Those per end user: of that one, or untouched."""
    try:
        with store().pipeline(transaction=False) as pipeline:
            pipeline.time()
            for limit in limits:
                of_end_user = limit.scope == "end_user"
                pipeline.hmget(
                    keys.limits(limit.scope, limit.subject, (end_user or "?") if of_end_user else ""),
                    ["r", "rt", "k", "kt", "c"],
                )
            (seconds, micros), *found = pipeline.execute()
    except redis.RedisError as why:
        log.warning("counters_unread", why=str(why))
        return None
    now = seconds * 1000 + micros // 1000
    return [_limit_state(limit, fields, now) for limit, fields in zip(limits, found, strict=True)]


def _limit_state(limit: Limit, fields: Sequence[str | None], now: int) -> LimitState:
    most = limit.limit
    if limit.kind == "concurrency":
        used = int(fields[4] or 0)
        return LimitState(limit, used, max(0, most - used), 0.0)
    level, at = (fields[0], fields[1]) if limit.kind == "requests" else (fields[2], fields[3])
    full = most * _UNITS
    left = full if not at or at == "0" else min(full, int(level or 0) + most * max(0, now - int(at)))
    remaining = max(0, left // _UNITS)
    return LimitState(limit, most - remaining, remaining, (full - left) / most / 1000 if most else 0.0)


def budget_counters(counted: Sequence[Counted]) -> list[BudgetCounter | None] | None:
    """What each budget's counters hold in its window; None for one that is not built (the ledger tells), or for all: no store."""
    try:
        run_id = store().info("server")["run_id"]
        with store().pipeline(transaction=False) as pipeline:
            for each in counted:
                pipeline.hmget(each.key, ["e", "w", "s", "h", "r"])
            found = pipeline.execute()
    except redis.RedisError as why:
        log.warning("counters_unread", why=str(why))
        return None
    return [_budget_counter(each, fields, run_id) for each, fields in zip(counted, found, strict=True)]


def _budget_counter(each: Counted, fields: Sequence[str | None], run_id: str) -> BudgetCounter | None:
    built_in, window, spent, held, rebuilding = fields
    if built_in != run_id or rebuilding:
        return None
    if int(window or 0) < each.window:
        # Nothing has been asked since the window began. Of rolling days only the ledger knows what remains.
        return None if each.rule.rolling_days else BudgetCounter(0, 0)
    return BudgetCounter(int(spent or 0), max(0, int(held or 0)))


def rules_of(budget: Budget) -> list[BudgetRule]:
    """A budget's rule; for a policy's budget, one for each place where the policy is attached."""
    row = {name: getattr(budget, name) for name in BUDGET_COLUMNS}
    timezone = budget.organization.timezone
    if budget.policy_id is None:
        return [budget_rule(row, timezone)]
    places = Attachment.objects.filter(policy_id=budget.policy_id)
    return [
        budget_rule(row, timezone, holder=(place.layer, _subject(place))) for place in places if place.organization_id
    ]


def counted(rule: BudgetRule, at: float, end_user: str = "") -> Counted:
    """A rule in the window of a time (Unix seconds); where it gives every end user a budget, that of `end_user`."""
    subject = keys.end_user_subject(end_user) if rule.scope == "end_user" and rule.end_user == "*" else rule.subject
    return Counted(rule, rule.key(subject), subject, end_user or rule.end_user, rule.span(at))


def _subject(place: Attachment) -> UUID:
    found = place.token_id or place.service_id or place.organization_id
    if found is None:
        raise ValueError("an installation's policy has no budgets")
    return found
