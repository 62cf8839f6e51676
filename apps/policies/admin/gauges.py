"""Budgets and limits as gauges: a bar, and the same in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from apps.audit.readable import money
from apps.core.numbers import separated
from apps.policies.counters.reading import LimitState
from apps.policies.models import Budget
from apps.policies.selectors.budgets import BudgetState
from apps.policies.shown import limit_kind

_NEAR, _FULL = 80, 100  # percent


@dataclass(frozen=True, slots=True)
class Gauge:
    """One bar: per cent of its width that are used and held, a colour, and words that say the same."""

    label: str
    used: float
    held: float
    tone: str  # good, warn or bad
    text: str  # what a screen reader says
    percent: str


def tone(percent: float | Decimal) -> str:
    """Green, then orange from 80 %, then red from 100 %."""
    return "bad" if percent >= _FULL else "warn" if percent >= _NEAR else "good"


def percent_words(percent: Decimal) -> str:
    """99 %, 3.4 %: cut, so that only what is reached reads as 100 %."""
    if 0 < percent < Decimal("0.1"):
        return f"<{separated('0.1')} %"
    places = Decimal(1) if abs(percent) >= 10 or not percent else Decimal("0.1")
    return separated(f"{percent.quantize(places, ROUND_DOWN):,f}") + " %"


def budget_gauge(state: BudgetState) -> Gauge:
    """What is spent and held of a budget."""
    held = state.held_usd or Decimal(0)
    both = (state.spent_usd + held) * 100 / state.limit_usd if state.limit_usd else Decimal(100)
    used = min(max(state.percent, Decimal(0)), Decimal(100))
    words = {"spent": money(state.spent_usd), "held": money(held), "limit": money(state.limit_usd)}
    text = _("%(spent)s of %(limit)s spent") if not held else _("%(spent)s of %(limit)s spent, %(held)s held")
    return Gauge(
        label=_("Budget of %(who)s") % {"who": state.label},
        used=float(used),
        held=float(min(max(both - used, Decimal(0)), 100 - used)),
        tone=tone(both),
        text=text % words,
        percent=percent_words(state.percent),
    )


def limit_gauge(state: LimitState) -> Gauge:
    """What is used of a limit."""
    most = state.limit.limit
    percent = min(100 * state.used / most, 100.0) if most else 100.0
    return Gauge(
        label=limit_kind(state.limit.kind),
        used=percent,
        held=0,
        tone=tone(percent),
        text=_("%(used)s of %(limit)s used") % {"used": separated(f"{state.used:,}"), "limit": separated(f"{most:,}")},
        percent=f"{percent:.0f} %",
    )


def budget_rows(states: Iterable[BudgetState]) -> list[dict[str, Any]]:
    """Budgets for a table of gauges."""
    return [
        {
            "state": state,
            "budget": state.budget,
            "gauge": budget_gauge(state),
            "window": state.budget.window_words(),
            "resets": local_time(state.ends_at, state.budget),
            "runs_out": runs_out(state),
        }
        for state in states
    ]


def runs_out(state: BudgetState) -> str:
    """When the limit is reached at the pace so far; empty if not in this window, or nobody can say."""
    if state.spent_usd >= state.limit_usd:
        return _("used up")
    if state.remaining_usd <= 0:
        return _("all of it is held")
    return local_time(state.projected_exhaustion, state.budget)


def local_time(moment: datetime | None, budget: Budget) -> str:
    """A moment on the organization's clock; empty for none."""
    if moment is None:
        return ""
    return f"{moment.astimezone(ZoneInfo(budget.organization.timezone)):%Y-%m-%d %H:%M}"
