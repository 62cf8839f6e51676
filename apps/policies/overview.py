"""The console's first page: the day's requests, what they cost, and the budgets nearest to their limit."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.http import HttpRequest
from django.utils.timezone import now

from apps.audit.dashboard import dashboard as requests_dashboard
from apps.policies.admin.gauges import budget_rows
from apps.policies.counters.control import known_counters
from apps.policies.counters.reading import budget_counters
from apps.policies.models import Budget, BudgetAlert
from apps.policies.selectors.budgets import budget_states

_BUDGETS_SHOWN = 6
_BUDGETS_ASKED = 5000  # of which the counters are asked, in one go; beyond that the alerts tell

# Of all organizations; days and months of UTC, as organizations may lie in several time zones.
_COSTS = """
SELECT COALESCE(sum(cost_usd) FILTER (WHERE at >= %(day)s), 0), COALESCE(sum(cost_usd), 0)
FROM audit_spend WHERE at >= %(month)s
"""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What `admin/index.html` shows, added to admin's own context. Called by the console's theme."""
    shown = requests_dashboard(request, context)
    if "figures" not in shown:
        return shown
    return {**shown, "costs": costs(now()), "nearest": budget_rows(nearest_budgets())}


def costs(at: datetime) -> dict[str, Decimal]:
    """What was spent on the day and in the month of `at`, of UTC."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_COSTS, {"day": day, "month": day.replace(day=1)})
        today, month = cursor.fetchone()
    return {"today": today, "month": month}


def nearest_budgets() -> list[Any]:
    """The states of the enabled budgets of which the largest share is used, at most a few.

    Their counters are asked in one round trip, and only the budgets found are looked at closely. Without counters, the latest
    alerts tell which ones.
    """
    rows = Budget.objects.filter(enabled=True).exclude(end_user="*").select_related("organization")
    budgets = list(rows.filter(policy=None).select_related("service", "token")[:_BUDGETS_ASKED])
    shares: dict[Any, float] = {}
    counted = known_counters(budgets)
    for each, counter in zip(counted, budget_counters(counted) or (), strict=False):
        if counter is not None and (counter.spent or counter.held):
            share = (counter.spent + counter.held) / each.rule.limit_nano if each.rule.limit_nano else 1.0
            shares[each.rule.id] = max(share, shares.get(each.rule.id, 0.0))
    first = sorted(shares, key=lambda key: shares[key], reverse=True)[:_BUDGETS_SHOWN]
    if len(first) < _BUDGETS_SHOWN:
        latest = BudgetAlert.objects.order_by("-id").values_list("budget_id", flat=True)[:50]
        first += list(dict.fromkeys(key for key in latest if key not in first))
    chosen = {budget.pk: budget for budget in budgets if budget.pk in first[:_BUDGETS_SHOWN]}
    states = budget_states(chosen.values())
    return sorted(states, key=lambda state: state.percent, reverse=True)[:_BUDGETS_SHOWN]
