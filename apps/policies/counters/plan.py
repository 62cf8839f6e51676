"""What a token's limits and budgets ask of the store, worked out once and used for every call. Pure; no Django."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.policies.counters import keys
from apps.policies.effective import Limit, Rules
from apps.policies.windows import Span, span

NANO = 1_000_000_000
_END_USER_SECONDS = 3600  # an end user's counters are forgotten after so long without a call
_NONE = -1

# What a call takes: everything; limits alone, as what lasts and is paid for piece by piece; or, as one of those pieces does, all
# but a slot among what runs at once.
type Part = Literal["all", "limits", "piece"]


@dataclass(frozen=True, slots=True)
class Place:
    """The limits of one place, or of each end user within it. None: not limited."""

    scope: str  # token, service, organization, end_user
    subject: str  # its id, 32 hexadecimal digits
    requests: int | None
    tokens: int | None
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """A budget as the data plane holds it. `subject`: which holder's, where a policy gives each its own; "-" where there is one."""

    id: UUID
    scope: str
    subject: str
    subject_id: UUID | None  # the service, token or holder whose spending counts; None: by end user or tag
    holder: str  # of a policy's budget: the layer it holds at; empty otherwise
    end_user: str
    tag: str
    window: str
    rolling_days: int | None
    timezone: str
    limit_nano: int
    blocks: bool

    @property
    def is_conditional(self) -> bool:
        """Whether it depends on the call: its end user or its tags."""
        return self.scope in {"end_user", "tag"}

    def subject_of(self, end_user: str, tags: Iterable[str]) -> str | None:
        """Which subject's budget a call counts for; None: it does not count."""
        if self.scope == "end_user":
            if self.end_user == "*":
                return keys.end_user_subject(end_user) if end_user else None
            return "-" if end_user == self.end_user else None
        if self.scope == "tag":
            return "-" if self.tag in tags else None
        return self.subject

    def key(self, subject: str) -> str:
        """Where the store keeps it."""
        return keys.budget(self.id, self.window, self.rolling_days, self.timezone, subject)

    def span(self, at: float) -> Span:
        """The window at a time (Unix seconds)."""
        return span(self.window, self.rolling_days, ZoneInfo(self.timezone), datetime.fromtimestamp(at, UTC))


@dataclass(frozen=True, slots=True)
class Counted:
    """A budget that a call counts for, in the window of that moment."""

    rule: BudgetRule
    key: str
    subject: str
    end_user: str
    span: Span

    @property
    def window(self) -> int:
        """How the store names the window: by its last day where it rolls, else by its first second."""
        return self.span.day if self.rule.rolling_days else int(self.span.starts)


@dataclass(frozen=True, slots=True)
class Request:
    """What calls of one kind ask of the store: the fixed part of the scripts' arguments."""

    places: tuple[Place, ...]
    budgets: tuple[Counted, ...]
    ends_at: float  # Unix seconds: from then on a window is over, and this is to be made anew
    blob: str  # what a lease remembers: organization; token; limits with slots; budgets with windows
    admit_keys: tuple[str, ...]
    admit_args: tuple[str, ...]
    settle_keys: tuple[str, ...]
    settle_args: tuple[str, ...]

    @property
    def more_keys(self) -> list[str]:
        """The keys for holding more in the budgets alone."""
        return [keys.HOLD, *(each.key for each in self.budgets)]

    @property
    def more_args(self) -> list[str]:
        """The budgets' arguments for that, which follow the call's own."""
        return [part for each in self.budgets for part in _budget_args(each)]


# The columns of policies_budget that budget_rules reads, and the statement for one token. Parameters: organization, service, token,
# policies (ids of those attached to it, its service or its organization).
BUDGET_COLUMNS = (
    "id", "scope", "service_id", "token_id", "policy_id", "end_user", "tag", "window", "rolling_days", "limit_usd", "action"
)  # fmt: skip
TOKEN_BUDGETS_SQL = f"""
SELECT {", ".join(f'"{name}"' for name in BUDGET_COLUMNS)} FROM policies_budget
WHERE enabled AND organization_id = %(organization)s AND (
    scope IN ('organization', 'end_user', 'tag') OR service_id = %(service)s OR token_id = %(token)s
    OR policy_id = ANY(%(policies)s)
) ORDER BY id
"""


def budget_rules(rows: Iterable[Mapping[str, Any]], layers: Sequence[Rules], timezone: str) -> tuple[BudgetRule, ...]:
    """The budgets of those rows that count for whoever the policies of `layers` hold for, widest first."""
    found = []
    for row in rows:
        if row["scope"] == "policy":
            holders = [each for each in layers if each.policy_id == row["policy_id"].hex]
            found += [budget_rule(row, timezone, holder=(each.layer, UUID(each.subject))) for each in holders]
        else:
            found.append(budget_rule(row, timezone))
    order = ("organization", "policy", "service", "token", "end_user", "tag")
    return tuple(sorted(found, key=lambda rule: order.index(rule.scope)))


def budget_rule(row: Mapping[str, Any], timezone: str, holder: tuple[str, UUID] | None = None) -> BudgetRule:
    """One budget. `holder` (layer and id of the token, service or organization): whose, if it is a policy's."""
    layer, holder_id = holder or ("", None)
    return BudgetRule(
        id=row["id"],
        scope=row["scope"],
        subject=holder_id.hex if holder_id is not None else "-",
        subject_id=holder_id or row["service_id"] or row["token_id"],
        holder=layer,
        end_user=row["end_user"],
        tag=row["tag"],
        window=row["window"],
        rolling_days=row["rolling_days"],
        timezone=timezone,
        limit_nano=int(row["limit_usd"] * NANO),
        blocks=row["action"] == "block",
    )


def places(limits: Sequence[Limit]) -> tuple[Place, ...]:
    """Limits by the place that they belong to, in the order given."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for limit in limits:
        found.setdefault((limit.scope, limit.subject), {})[limit.kind] = limit.limit
    return tuple(
        Place(scope, subject, kinds.get("requests"), kinds.get("tokens"), kinds.get("concurrency"))
        for (scope, subject), kinds in found.items()
    )


def without_slots(limited: Iterable[Place]) -> tuple[Place, ...]:
    """The same places, as far as they limit more than what runs at once."""
    return tuple(
        replace(place, concurrency=None) for place in limited if place.requests is not None or place.tokens is not None
    )


def request(
    organization: str,
    token: str,
    limited: Sequence[Place],
    budgets: Sequence[BudgetRule],
    *,
    end_user: str = "",
    tags: Sequence[str] = (),
    at: float,
) -> Request:
    """The fixed part of a call's questions. `at`: Unix seconds. Limits per end user count for calls that name one."""
    here = tuple(place for place in limited if place.scope != "end_user" or end_user)
    limit_keys = [
        keys.limits(place.scope, place.subject, end_user if place.scope == "end_user" else "") for place in here
    ]
    counted = tuple(
        Counted(rule, rule.key(subject), subject, end_user if rule.scope == "end_user" else "", rule.span(at))
        for rule in budgets
        if (subject := rule.subject_of(end_user, tags)) is not None
    )
    slots = ",".join(key for key, place in zip(limit_keys, here, strict=True) if place.concurrency is not None)
    held = ",".join(f"{each.key}={each.window}={each.rule.rolling_days or 0}" for each in counted)
    blob = f"{organization};{token};{slots};{held}"
    budget_keys = [each.key for each in counted]
    admit_args = [str(len(here)), str(len(counted)), blob]
    settle_args = admit_args[:2]
    for place in here:
        numbers = [_NONE if each is None else each for each in (place.requests, place.tokens, place.concurrency)]
        admit_args += [*map(str, numbers), str(_END_USER_SECONDS if place.scope == "end_user" else 0)]
        settle_args += [str(numbers[1]), str(numbers[2])]
    for each in counted:
        admit_args += _budget_args(each)
        settle_args += [str(each.window), str(each.rule.rolling_days or 0)]
    return Request(
        places=here,
        budgets=counted,
        ends_at=min((each.span.ends for each in counted), default=float("inf")),
        blob=blob,
        admit_keys=(keys.LEASE, keys.HOLD, *limit_keys, *budget_keys),
        admit_args=tuple(admit_args),
        settle_keys=(keys.LEASE, keys.HOLD, keys.EXPIRED, *limit_keys, *budget_keys),
        settle_args=tuple(settle_args),
    )


def _budget_args(each: Counted) -> tuple[str, str, str, str]:
    rule = each.rule
    return str(rule.limit_nano), str(each.window), str(rule.rolling_days or 0), "1" if rule.blocks else "0"
