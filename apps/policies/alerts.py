"""Telling people that a budget runs low: once per window and level, however many processes notice it at once.

What else there is to tell (apps.policies.credential_alerts) travels in the same way.

An alert and its deliveries are written in one transaction, and a constraint lets one writer through. A delivery is taken, counted
as an attempt and committed before anything is sent; while it is sent, its row is locked. So no two workers send it at once,
and one that dies in between leaves it to be sent again after the wait that follows every attempt.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import override

from apps.core.ids import uuid7
from apps.core.logs import get_logger
from apps.core.outgoing import CannotBeSentError, NotSentError, email_send
from apps.core.sealing import SealingError
from apps.orgs.models import Organization
from apps.orgs.selectors import language_of
from apps.policies.credential_alerts import credential_alert_facts
from apps.policies.deliveries import put_on_its_way, recipients
from apps.policies.models import (
    AlertDelivery,
    BudgetAlert,
    BudgetScope,
    Channel,
    DeliveryState,
    Webhook,
)
from apps.policies.outgoing import webhook_send
from apps.policies.selectors.budgets import BudgetState, budget_states, budgets_of
from apps.policies.usd import usd_text
from apps.policies.windows import span
from apps.services.models import Service, Token

log = get_logger(__name__)

# How long after each failed attempt the next one follows; after the last one the delivery has failed.
WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
ATTEMPTS = len(WAITS) + 1
# A budget of every end user is looked at for those whose calls were recorded so recently: others have not come nearer to a level.
ACTIVE = timedelta(minutes=10)
_RUN = 50.0  # seconds of sending in one run; the next one goes on

_RAISE = """
INSERT INTO policies_budgetalert
    (id, organization_id, budget_id, subject, window_start, level, spent_usd, limit_usd, created_at)
SELECT %s, organization_id, id, %s, %s, %s, %s, %s, %s FROM policies_budget WHERE id = %s
ON CONFLICT (budget_id, subject, window_start, level) DO NOTHING RETURNING id
"""


# --- Noticing ---


def budgets_watch() -> int:
    """Raise the alerts of all enabled budgets that have reached a level. Returns how many this run has raised."""
    moment = now()
    budgets = budgets_of().filter(enabled=True).exclude(alert_at=[])
    states = budget_states(budgets, at=moment, projected=False, active_since=moment - ACTIVE)
    reached = [(state, level) for state in states for level in levels_reached(state)]
    raised = _raised_before(reached)
    return sum(
        _raise(state, level, moment)
        for state, level in reached
        if (state.budget.pk, state.subject, state.starts_at, level) not in raised
    )


def levels_reached(state: BudgetState) -> list[int]:
    """Which of the budget's levels its spending has reached. A limit of 0 is reached by the first cent, not before."""
    if state.spent_usd <= 0:
        return []
    return [level for level in state.budget.alert_at if state.spent_usd * 100 >= state.limit_usd * level]


def _raised_before(reached: list[tuple[BudgetState, int]]) -> set[tuple[UUID, str, datetime, int]]:
    rows = BudgetAlert.objects.filter(
        budget__in={state.budget.pk for state, _level in reached},
        window_start__in={state.starts_at for state, _level in reached},
    )
    return set(rows.values_list("budget_id", "subject", "window_start", "level"))


@transaction.atomic
def _raise(state: BudgetState, level: int, at: datetime) -> bool:
    """Write the alert and its deliveries. False if another process has raised it, or the budget is gone."""
    budget = state.budget
    alert_id = uuid7()
    with connection.cursor() as cursor:
        cursor.execute(
            _RAISE,
            [alert_id, state.subject, state.starts_at, level, state.spent_usd, state.limit_usd, at, budget.pk],
        )
        if cursor.fetchone() is None:
            return False
    organization = budget.organization_id
    targets = recipients(organization)
    put_on_its_way(targets, organization_id=organization, at=at, alert_id=alert_id)
    log.info("a budget has reached a level", budget=str(budget.pk), level=level, told=len(targets))
    return True


# --- Telling ---


def alerts_deliver() -> int:
    """Send what is due, one at a time, for up to a minute. Returns how many have arrived."""
    until = time.monotonic() + _RUN
    arrived = 0
    while time.monotonic() < until:
        taken = _take()
        if taken is None:
            break
        arrived += _deliver(*taken)
    return arrived


@transaction.atomic
def _take() -> tuple[UUID, int] | None:
    """The delivery that has been due longest and nobody else is at, with the number of its attempt; None: none is."""
    moment = now()
    delivery = (
        AlertDelivery.objects.select_for_update(skip_locked=True)
        .filter(state=DeliveryState.PENDING, next_attempt_at__lte=moment)
        .order_by("next_attempt_at", "id")
        .first()
    )
    if delivery is None:
        return None
    delivery.attempts += 1
    # Should this process die while it sends, somebody tries again then.
    delivery.next_attempt_at = moment + WAITS[min(delivery.attempts, len(WAITS)) - 1]
    delivery.save(update_fields=["attempts", "next_attempt_at"])
    return delivery.pk, delivery.attempts


@transaction.atomic
def _deliver(delivery_id: UUID, attempt: int) -> bool:
    """Make one attempt and note its result; the row stays locked all the while. Whether it arrived."""
    delivery = (
        AlertDelivery.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("alert__budget__organization", "credential_alert__credential__organization")
        .filter(pk=delivery_id, attempts=attempt, state=DeliveryState.PENDING)
        .first()
    )
    if delivery is None:
        return False
    try:
        if attempt > ATTEMPTS:
            raise CannotBeSentError(_("given up: the last attempt was cut short"))
        _send(delivery)
    except NotSentError as failure:
        final = isinstance(failure, CannotBeSentError) or attempt >= ATTEMPTS
        delivery.error = str(failure)[:300]
        delivery.state = DeliveryState.FAILED if final else DeliveryState.PENDING
        delivery.next_attempt_at = None if final else now() + WAITS[attempt - 1]
        log.warning(
            "an alert did not arrive", delivery=str(delivery_id), attempt=attempt, final=final, reason=delivery.error
        )
    else:
        delivery.state, delivery.error = DeliveryState.SENT, ""
        delivery.next_attempt_at, delivery.sent_at = None, now()
    delivery.save(update_fields=["state", "error", "next_attempt_at", "sent_at"])
    return delivery.state == DeliveryState.SENT


def _send(delivery: AlertDelivery) -> None:
    """In the reader's language, where that is known. Raises NotSentError."""
    if delivery.channel == Channel.EMAIL:
        with override(language_of(delivery.target)):
            message = _message(delivery)
            body = render_to_string(message.template, {"url": settings.PUBLIC_URL, **message.facts, **message.words})
        email_send(to=delivery.target, subject=message.subject, body=body, message_id=delivery.pk)
        return
    message = _message(delivery)
    webhook = Webhook.objects.filter(organization=delivery.organization_id, url=delivery.target, enabled=True).first()
    if webhook is None:
        raise CannotBeSentError(_("the webhook is disabled or was deleted"))
    try:
        secret = settings.SEALING_KEYS.open(bytes(webhook.sealed_secret), webhook.secret_place())
    except SealingError as error:
        raise NotSentError(_("its secret cannot be opened: %(reason)s") % {"reason": error}) from error
    told = {"type": message.type, "timestamp": message.at.isoformat(), "data": message.facts}
    webhook_send(url=webhook.url, secret=secret, message_id=delivery.pk, body=orjson.dumps(told), at=now())


@dataclass(frozen=True, slots=True)
class _Message:
    """An alert: `type` and `facts` for programs; `subject`, `template` and the `words` it takes besides for people."""

    type: str
    at: datetime
    facts: dict[str, Any]
    subject: str
    template: str
    words: Mapping[str, str]


def _message(delivery: AlertDelivery) -> _Message:
    refused = delivery.credential_alert
    if refused is not None:
        named = {"credential": refused.credential.label, "status": refused.status}
        subject = _("Credential %(credential)s: refused with %(status)d") % named
        facts = credential_alert_facts(refused)
        return _Message("credential.refused", refused.created_at, facts, subject, "policies/credential_alert.txt", {})
    alert = delivery.alert
    if alert is None:
        raise CannotBeSentError(_("it is about nothing"))
    facts = alert_facts(alert)
    named = {"what": facts["subject"] or facts["organization"], "level": alert.level}
    subject = _("Budget of %(what)s: %(level)d %% spent") % named
    words = {"scope": alert.budget.get_scope_display(), "window": alert.budget.window_words()}
    return _Message("budget.threshold", alert.created_at, facts, subject, "policies/budget_alert.txt", words)


def alert_facts(alert: BudgetAlert) -> dict[str, Any]:
    """What is told of an alert, as JSON takes it. Amounts are text, so that no reader makes floats of them."""
    budget = alert.budget
    zone = ZoneInfo(budget.organization.timezone)
    window = span(budget.window, budget.rolling_days, zone, alert.created_at)
    ends = None if window.ends == float("inf") else datetime.fromtimestamp(window.ends, zone).isoformat()
    return {
        "alert_id": str(alert.pk),
        "budget_id": str(budget.pk),
        "organization": budget.organization.slug,
        "scope": budget.scope,
        "subject": _subject(alert),
        "window": f"rolling:{budget.rolling_days}" if budget.rolling_days else budget.window,
        "window_start": None if budget.window == "total" else alert.window_start.astimezone(zone).isoformat(),
        "window_end": ends,
        "level_percent": alert.level,
        "spent_usd": usd_text(alert.spent_usd),
        "limit_usd": usd_text(alert.limit_usd),
        "spent_percent": _percent(alert),
        "action": budget.action,
    }


def _percent(alert: BudgetAlert) -> str | None:
    return f"{alert.spent_usd * 100 / alert.limit_usd:.1f}" if alert.limit_usd > Decimal(0) else None


def _subject(alert: BudgetAlert) -> str:
    """Whose budget it is, in words; empty for the organization's own."""
    budget = alert.budget
    match budget.scope:
        case BudgetScope.POLICY:
            holder = UUID(hex=alert.subject)
            for kind in (Token, Service, Organization):
                row = kind._default_manager.filter(pk=holder).first()
                if row is not None:
                    return f"{budget.policy} · {row}"
            return str(budget.policy)
        case BudgetScope.END_USER:
            return alert.subject or budget.end_user
        case _:
            return str(budget.service or budget.token or budget.tag or "")
