"""Corrections of what was spent: added to the ledger, never written over it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import redis
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_record, facts
from apps.audit.models import Adjustment, RequestRecord
from apps.core.actor import Actor
from apps.core.ids import request_id as shown_request_id
from apps.core.logs import get_logger
from apps.core.numbers import separated
from apps.orgs.models import Organization
from apps.policies.actions.budgets import checked_end_user, checked_tag
from apps.policies.counters.control import forget_budgets
from apps.policies.models import MOST_USD
from apps.services.models import Service, Token

log = get_logger(__name__)

DECIMALS = 12


@transaction.atomic
def adjustment_record(
    *,
    organization: Organization,
    amount_usd: Decimal,
    reason: str,
    actor: Actor,
    service: Service | None = None,
    token: Token | None = None,
    end_user: str = "",
    tags: Iterable[str] = (),
    at: datetime | None = None,
    request: UUID | None = None,
) -> Adjustment:
    """Count `amount_usd` as spent, or with a minus as not spent, for the budgets of whatever is named and of the organization.

    A token's counts for its service too. `at`: the time it counts for, now if left out. `request`: the call that was charged
    wrongly; whose it was, its end user, tags and time are then its own. Counters are built anew by the next call. Raises
    ValidationError.
    """
    _check_amount(amount_usd)
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": _("An adjustment needs its reason: say why, for whoever reads it later.")})
    adjustment = Adjustment(
        organization=organization,
        service=token.service if token is not None and service is None else service,
        token=token,
        end_user=checked_end_user(end_user),
        tags=sorted({checked_tag(tag) for tag in tags}),
        at=at or now(),
        amount_usd=amount_usd,
        reason=reason,
        created_by_id=actor.user_id,
    )
    if request is not None:
        if service is not None or token is not None or end_user or adjustment.tags or at is not None:
            raise ValidationError(
                {"request": _("Whose a request was, and when, its record says: name the request alone.")}
            )
        _follow_record(adjustment, organization, request)
    _check_whose(organization, service, token)
    if adjustment.at > now():
        raise ValidationError({"at": _("That time has not come yet: an adjustment counts for now or the past.")})
    # References hold no constraint and may be gone, so they are not looked up.
    adjustment.full_clean(exclude=["organization", "service", "token", "created_by"])
    adjustment.save(force_insert=True)
    event_record(
        "adjustment.recorded",
        actor=actor,
        target=adjustment,
        organization_id=organization.pk,
        after=facts(adjustment),
    )
    transaction.on_commit(lambda: _forget_counters(organization))
    return adjustment


def _check_amount(amount: Decimal) -> None:
    if not isinstance(amount, Decimal):
        raise TypeError("an amount of money is a Decimal")
    if not amount.is_finite():
        raise ValidationError({"amount_usd": _("The amount is not a number: write dollars, such as -1.25.")})
    if amount == 0 or abs(amount) > MOST_USD:
        raise ValidationError(
            {
                "amount_usd": _("The amount is 0 or beyond %(most)s USD: write what was wrong.")
                % {"most": separated(f"{MOST_USD:,}")}
            }
        )
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        raise ValidationError(
            {"amount_usd": _("The amount has more than %(most)d decimals: round it.") % {"most": DECIMALS}}
        )


def _check_whose(organization: Organization, service: Service | None, token: Token | None) -> None:
    for field, row in (("service", service), ("token", token)):
        if row is not None and row.organization_id != organization.pk:
            raise ValidationError(
                {
                    field: _("%(row)s does not belong to %(organization)s: choose one that does.")
                    % {"row": row, "organization": organization}
                }
            )
    if token is not None and service is not None and token.service_id != service.pk:
        raise ValidationError(
            {"token": _("%(token)s is of another service than %(service)s.") % {"token": token, "service": service}}
        )


def _follow_record(adjustment: Adjustment, organization: Organization, request: UUID) -> None:
    record = RequestRecord.objects.filter(pk=request, organization=organization.pk).first()
    if record is None:
        raise ValidationError(
            {
                "request": _("%(organization)s has no record of %(request)s: check the id.")
                % {"organization": organization, "request": shown_request_id(request)}
            }
        )
    adjustment.request_id = record.pk
    adjustment.service_id, adjustment.token_id = record.service_id, record.token_id
    adjustment.end_user, adjustment.tags, adjustment.at = record.end_user, record.tags, record.created_at


def _forget_counters(organization: Organization) -> None:
    try:
        forget_budgets(organization)
    except redis.RedisError as error:
        log.warning(
            "an adjustment is in the ledger, not in the counters: run rebuild_counters once they can be reached",
            organization=organization.slug,
            reason=str(error),
        )
