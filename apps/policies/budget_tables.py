"""How budgets are printed: as a table for people, as facts for programs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from apps.policies.models import BudgetAction
from apps.policies.selectors.budgets import BudgetState
from apps.policies.usd import usd_text

_TITLES = ("ORG", "BUDGET", "WINDOW", "LIMIT", "SPENT", "HELD", "REMAINING", "%", "RESETS", "RUNS OUT", "STATE")
_RIGHT = frozenset({"LIMIT", "SPENT", "HELD", "REMAINING", "%"})
_LABEL_MOST = 48  # characters
_CENT = Decimal("0.0001")


def window_text(state: BudgetState) -> str:
    """As `set_budget --window` takes it."""
    budget = state.budget
    return f"rolling:{budget.rolling_days}" if budget.rolling_days else budget.window


def state_facts(state: BudgetState) -> dict[str, Any]:
    """A state as JSON takes it. Amounts are text, exact; times are ISO 8601 in the organization's time zone."""
    budget = state.budget
    zone = ZoneInfo(budget.organization.timezone)
    return {
        "budget_id": str(budget.pk),
        "organization": budget.organization.slug,
        "scope": budget.scope,
        "subject": state.label,
        "window": window_text(state),
        "window_start": None if state.ends_at is None else state.starts_at.astimezone(zone).isoformat(),
        "resets_at": None if state.ends_at is None else state.ends_at.astimezone(zone).isoformat(),
        "limit_usd": usd_text(state.limit_usd),
        "spent_usd": usd_text(state.spent_usd),
        "held_usd": None if state.held_usd is None else usd_text(state.held_usd),
        "remaining_usd": usd_text(state.remaining_usd),
        "percent": f"{state.percent:.1f}",
        "projected_exhaustion": (
            None
            if state.projected_exhaustion is None
            else state.projected_exhaustion.astimezone(zone).isoformat(timespec="seconds")
        ),
        "action": budget.action,
        "alert_at": budget.alert_at,
        "enabled": budget.enabled,
        "source": state.source,
    }


def budget_table(states: Iterable[BudgetState]) -> list[str]:
    """A title and one line for each. Amounts are rounded to a hundredth of a cent; times are the organization's."""
    return table(_TITLES, [_cells(state) for state in states], right=_RIGHT)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, right: Iterable[str] = ()) -> list[str]:
    """Columns as wide as what is in them."""
    widths = [max(len(row[index]) for row in (titles, *rows)) for index in range(len(titles))]
    aligned = [title in right for title in titles]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, aligned, strict=True)
        ).rstrip()
        for row in (titles, *rows)
    ]


def _cells(state: BudgetState) -> Sequence[str]:
    budget = state.budget
    zone = ZoneInfo(budget.organization.timezone)
    label = f"{budget.scope} {state.label}"
    return (
        budget.organization.slug,
        label if len(label) <= _LABEL_MOST else f"{label[: _LABEL_MOST - 1]}…",
        window_text(state),
        usd_text(state.limit_usd),
        _amount(state.spent_usd),
        "-" if state.held_usd is None else _amount(state.held_usd),
        _amount(state.remaining_usd),
        f"{state.percent:.0f}",
        _time(state.ends_at, zone),
        "reached" if state.spent_usd >= state.limit_usd else _time(state.projected_exhaustion, zone),
        "disabled" if not budget.enabled else "blocks" if budget.action == BudgetAction.BLOCK else "alerts",
    )


def _amount(usd: Decimal) -> str:
    return usd_text(usd.quantize(_CENT, rounding=ROUND_HALF_UP))


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return "-" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
