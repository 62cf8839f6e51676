"""An explanation: every question that a call is asked, in order, who answers, and what follows. Plain values and their text.

`apps.policies.selectors.explain` fills it in. `as_json` is for programs, `lines` for people at a terminal.

Questions, outcomes, statuses and codes are the same in every language; sentences (`title`, `says`, `skipped`, `source`, `notes`,
`verdict`) are in the language that was active when they were made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from apps.policies.effective import Rules, Source, set_fields
from apps.policies.shown import field_name, field_value, rule_lines
from apps.policies.usd import usd_text

Outcome = Literal["passes", "refuses", "open"]  # open: what was asked does not decide it
_MARKS = {"passes": "ok", "refuses": "REFUSED", "open": "-"}
_SECONDS = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The call to explain. What is empty or None was not said."""

    endpoint: str
    at: datetime
    model: str = ""
    address: str = ""
    end_user: str = ""
    tags: tuple[str, ...] = ()  # key=value
    input_bytes: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One question and its answer. `status` and `code`: what a client gets if it refuses."""

    question: str
    outcome: Outcome
    says: str
    status: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSeen:
    """A limit and what is left of it; None: not known. Numbers are of the moment named in the explanation."""

    scope: str
    subject: str  # the place's id, 32 hexadecimal digits
    kind: str
    limit: int
    used: int | None
    remaining: int | None
    reset_seconds: float | None
    source: str
    refuses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSeen:
    """A budget that the call counts for; None: not known."""

    id: str
    label: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal | None
    remaining_usd: Decimal
    resets_at: datetime | None  # None: never, or the budget is gone
    action: str
    refuses: bool


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """A credential that could serve the model. `skipped`: why it does not; empty if it may be asked."""

    credential: str
    provider: str
    upstream_model: str
    skipped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole of it."""

    title: str
    zone: ZoneInfo
    asked: Asked
    layers: tuple[Rules, ...]
    held: tuple[tuple[str, Any, Source], ...]  # what holds: field, value, where it comes from
    steps: tuple[Step, ...]
    limits: tuple[LimitSeen, ...]
    budgets: tuple[BudgetSeen, ...]
    routes: tuple[RouteSeen, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)  # of a recorded request
    notes: tuple[str, ...] = ()

    @property
    def refusal(self) -> Step | None:
        """The first question that refuses."""
        return next((step for step in self.steps if step.outcome == "refuses"), None)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.facts:
            return _recorded_verdict(self.facts)
        refusal = self.refusal
        if refusal is not None:
            words = {"status": refusal.status, "code": refusal.code, "why": refusal.says}
            return _("Refused with %(status)d %(code)s: %(why)s.") % words
        unanswered = [step.question for step in self.steps if step.outcome == "open"]
        if unanswered:
            return _("Allowed, as far as asked: %(questions)s not decided.") % {"questions": ", ".join(unanswered)}
        return _("Allowed.")


def as_json(explanation: Explanation) -> dict[str, Any]:
    """For programs. Amounts are texts, to the last digit; times ISO 8601 with their zone."""
    refusal = explanation.refusal
    asked = explanation.asked
    return {
        "title": explanation.title,
        "asked": {name: _plain(getattr(asked, name)) for name in Asked.__dataclass_fields__},
        "layers": [
            {
                "layer": rules.layer,
                "policy": rules.name or None,
                "policy_id": rules.policy_id,
                "inline": rules.inline,
                "fields": {name: _plain(value) for name, value in set_fields(rules).items()},
            }
            for rules in explanation.layers
        ],
        "holds": {
            name: {"value": _plain(value), "layer": source.layer, "policy": source.policy or None}
            for name, value, source in explanation.held
        },
        "steps": [_fields(step) for step in explanation.steps],
        "limits": [_fields(limit) for limit in explanation.limits],
        "budgets": [_fields(budget) for budget in explanation.budgets],
        "routes": [_fields(route) for route in explanation.routes],
        **(
            {"request": {name: _plain(value) for name, value in explanation.facts.items()}} if explanation.facts else {}
        ),
        "notes": list(explanation.notes),
        "verdict": {
            "sentence": explanation.verdict,
            **(
                {}
                if explanation.facts
                else {
                    "allowed": refusal is None,
                    "status": None if refusal is None else refusal.status,
                    "code": None if refusal is None else refusal.code,
                }
            ),
        },
    }


def lines(explanation: Explanation) -> Iterator[str]:
    """For people, at a terminal."""
    yield explanation.title
    for name, value in explanation.facts.items():
        yield f"  {name:<12}{_shown(value, explanation.zone)}"
    yield ""
    yield "Policies, strongest first:"
    for rules in explanation.layers:
        yield f"  {Source(rules.layer, rules.name).describe()}"
        yield from (f"    {line}" for line in rule_lines(rules) or ["nothing is set"])
    if not explanation.layers:
        yield "  none"
    if explanation.held:
        yield "What holds of them:"
        for name, value, source in explanation.held:
            yield f"  {field_name(name):<22}{field_value(name, value):<24}{source.describe()}"
    yield "Questions, in order:"
    for step in explanation.steps:
        yield f"  {_MARKS[step.outcome]:<9}{step.question:<12}{step.says}"
    yield from _limit_lines(explanation.limits)
    yield from _budget_lines(explanation.budgets, explanation.zone)
    if explanation.routes:
        yield "Routes:"
        position = 0
        for route in explanation.routes:
            position += not route.skipped
            mark = "-" if route.skipped else f"{position}."
            why = f": {route.skipped}" if route.skipped else ""
            yield f"  {mark:<4}{route.credential} ({route.provider}) as {route.upstream_model}{why}"
    yield ""
    yield from explanation.notes
    yield explanation.verdict


def _limit_lines(limits: Sequence[LimitSeen]) -> Iterator[str]:
    if limits:
        yield "Limits:"
        yield f"  {'place':<14}{'kind':<13}{'limit':>12}{'used':>12}{'left':>12}{'reset':>10}  from"
    for limit in limits:
        unit = {"requests": "requests/min", "tokens": "tokens/min"}.get(limit.kind, "at once")
        reset = "—" if limit.reset_seconds is None else f"{Decimal(limit.reset_seconds).quantize(_SECONDS)} s"
        full = "  FULL" if limit.refuses else ""
        yield (
            f"  {limit.scope:<14}{unit:<13}{limit.limit:>12,}{_count(limit.used):>12}{_count(limit.remaining):>12}"
            f"{reset:>10}  {limit.source}{full}"
        )


def _budget_lines(budgets: Sequence[BudgetSeen], zone: ZoneInfo) -> Iterator[str]:
    if budgets:
        yield "Budgets (USD):"
    for budget in budgets:
        held = "not known" if budget.held_usd is None else usd_text(budget.held_usd)
        ends = _shown(budget.resets_at, zone)
        full = "  FULL" if budget.refuses else ""
        yield f"  {budget.label} ({budget.action}){full}"
        yield (
            f"    limit {usd_text(budget.limit_usd)}, spent {usd_text(budget.spent_usd)}, held {held}, "
            f"remaining {usd_text(budget.remaining_usd)}, resets {ends}"
        )


def _recorded_verdict(facts: Mapping[str, Any]) -> str:
    words = {"status": facts["status"], "code": facts["error"]}
    return _("Ended with %(status)s %(code)s.") % words if facts["error"] else _("Answered with %(status)s.") % words


def _count(number: int | None) -> str:
    return "—" if number is None else f"{number:,}"


def _fields(row: Any) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in row.__dataclass_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "—"
    if value is None or value == "":
        return "—"
    return usd_text(value) if isinstance(value, Decimal) else str(value)
