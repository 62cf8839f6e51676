"""What a record says of its request: limits and budgets as they were, and what has been changed since."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.audit.models import AdminEvent
from apps.core.ids import uuid7_floor
from apps.policies.decision import Decision
from apps.policies.effective import EffectivePolicy, Source
from apps.policies.explanation import BudgetSeen, LimitSeen
from apps.policies.models import Attachment, Budget, Policy
from apps.policies.windows import span
from apps.services.models import Token

_EVENTS_SHOWN = 5
_NANO = Decimal(1_000_000_000)


def limits_then(decision: Decision, policy: EffectivePolicy) -> Iterator[LimitSeen]:
    """The limits that were asked. `policy`: as it is now, which tells where they come from if they have not changed."""
    sources = {
        (limit.scope, limit.subject, limit.kind, limit.limit): Source(limit.layer, limit.policy_name).describe(_)
        for limit in policy.limits
    }
    for limit in decision.limits:
        yield LimitSeen(
            scope=limit.scope,
            subject=limit.subject,
            kind=limit.kind,
            limit=limit.limit,
            used=max(0, limit.limit - limit.remaining),
            remaining=limit.remaining,
            reset_seconds=limit.reset_seconds,
            source=sources.get(
                (limit.scope, limit.subject, limit.kind, limit.limit), _("a policy that has changed since")
            ),
            refuses=limit.refused,
        )


def budgets_then(decision: Decision, at: datetime, zone: ZoneInfo) -> Iterator[BudgetSeen]:
    """The budgets that were asked at that time. `zone`: the organization's."""
    rows = budget_rows([UUID(budget.budget_id) for budget in decision.budgets])
    for budget in decision.budgets:
        row = rows.get(UUID(budget.budget_id))
        limit, spent, held = (Decimal(nano) / _NANO for nano in (budget.limit, budget.spent, budget.held))
        ends = float("inf") if row is None else span(row.window, row.rolling_days, zone, at).ends
        yield BudgetSeen(
            id=budget.budget_id,
            label=budget_label(row, budget.budget_id),
            limit_usd=limit,
            spent_usd=spent,
            held_usd=held,
            remaining_usd=limit - spent - held,
            resets_at=None if ends == float("inf") else datetime.fromtimestamp(ends, UTC),
            action=row.action if row is not None else "block",
            refuses=budget.refused,
        )


def changes_since(at: datetime, token: Token, policy: EffectivePolicy) -> Iterator[str]:
    """What operators have changed since, of what holds or held for the token."""
    zone = ZoneInfo(token.organization.timezone)
    here = Q(target_id__in=[UUID(rules.policy_id) for rules in policy.layers])
    for side in ("before", "after"):
        here |= Q(**{f"{side}__layer__in": ["organization", "installation"]})
        here |= Q(**{f"{side}__service_id": str(token.service_id)}) | Q(**{f"{side}__token_id": str(token.pk)})
    events = list(
        AdminEvent.objects.filter(
            here | Q(action__startswith="budget."),
            Q(organization_id=token.organization_id) | Q(organization_id=None),
            Q(action__startswith="policy.") | Q(action__startswith="budget."),
            id__gt=uuid7_floor(at),
        ).order_by("id")[: _EVENTS_SHOWN + 1]
    )
    for event in events[:_EVENTS_SHOWN]:
        when = event.created_at.astimezone(zone)
        yield _("Changed since, %(when)s: %(action)s %(target)s by %(actor)s.") % {
            "when": f"{when:%Y-%m-%d %H:%M:%S %Z}",
            "action": event.action,
            "target": event.target_label,
            "actor": event.actor_label,
        }
    if len(events) > _EVENTS_SHOWN:
        yield _("There are more changes since: see the admin events.")
    if not events:
        ids = [UUID(rules.policy_id) for rules in policy.layers]
        if Policy.objects.filter(pk__in=ids, updated_at__gt=at).exists() or _attached_since(ids, at):
            yield _("The policies have changed since this request.")


def attempt_text(attempt: Mapping[str, Any]) -> str:
    """One attempt upstream, in short."""
    status = attempt.get("status") or attempt.get("error_code") or _("no answer")
    return f"{attempt.get('credential', '?')}: {status}"


def budget_rows(ids: Sequence[UUID]) -> dict[UUID, Budget]:
    """Budgets by id, with what they name."""
    rows = Budget.objects.filter(pk__in=ids).select_related("service", "token", "policy")
    return {row.pk: row for row in rows}


def budget_label(budget: Budget | None, budget_id: str) -> str:
    """What operators call a budget, though it may be gone."""
    return _("budget %(id)s, deleted since") % {"id": budget_id} if budget is None else str(budget)


def _attached_since(policy_ids: Sequence[UUID], at: datetime) -> bool:
    return Attachment.objects.filter(policy_id__in=policy_ids, id__gt=uuid7_floor(at)).exists()
