"""What limits and budgets said of one call, as the page of its record shows it."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.audit.admin import Told, decision_tellers
from apps.core.numbers import separated
from apps.policies.decision import Decision, read_decision
from apps.policies.models import Budget, BudgetScope
from apps.policies.shown import limit_kind
from apps.policies.usd import nano_text


def tell(raw: dict[str, Any]) -> list[Told]:
    """A decision as tables: limits, budgets, and routes that were left out."""
    decision = read_decision(raw)
    told = []
    if decision.limits:
        told.append(_limits(decision))
    if decision.budgets:
        told.append(_budgets(decision))
    if decision.skipped:
        rows = [((label, reason), False) for label, reason in decision.skipped]
        told.append(Told(_("Routes that were left out"), (_("Credential"), _("Why")), rows))
    if decision.unasked:
        sentence = _("The counters could not be reached, and the policy lets calls pass then: nothing was counted.")
        told.append(Told(_("Limits and budgets"), ("",), [((sentence,), False)]))
    return told


def _limits(decision: Decision) -> Told:
    rows = [
        (
            (
                str(BudgetScope(limit.scope).label),
                limit_kind(limit.kind),
                separated(f"{limit.limit:,}"),
                separated(f"{limit.remaining:,}"),
            ),
            limit.refused,
        )
        for limit in decision.limits
    ]
    refused = any(row[1] for row in rows) or any(each.refused for each in decision.budgets)
    title = _("Limits, as the refused call found them") if refused else _("Limits, as the call left them")
    return Told(title, (_("For"), _("What"), _("Limit"), _("Remaining")), rows)


def _budgets(decision: Decision) -> Told:
    ids = [UUID(hex=each.budget_id) for each in decision.budgets]
    known = Budget.objects.select_related("service", "token", "policy").in_bulk(ids)
    rows = []
    for each, key in zip(decision.budgets, ids, strict=True):
        name = str(known[key]) if key in known else _("%(id)s (gone)") % {"id": key}
        amounts = tuple(f"${nano_text(nano)}" for nano in (each.limit, each.spent, each.held))
        rows.append(((name, *amounts), each.refused))
    if any(row[1] for row in rows) or any(limit.refused for limit in decision.limits):
        title = _("Budgets, as the refused call found them; it would have held $%(usd)s")
    else:
        title = _("Budgets, as the call left them; it held $%(usd)s")
    return Told(title % {"usd": nano_text(decision.hold)}, (_("Budget"), _("Limit"), _("Spent"), _("Held")), rows)


decision_tellers.append(tell)
