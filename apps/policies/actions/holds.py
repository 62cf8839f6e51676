"""Freeing what a call holds of its budgets, before its lease ends."""

from uuid import UUID

from django.db import transaction

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.core.ids import request_id as shown_request_id
from apps.orgs.models import Organization
from apps.policies.counters.control import HoldState, holds, release
from apps.policies.usd import nano_text


@transaction.atomic
def hold_release(*, request: UUID, actor: Actor) -> HoldState | None:
    """Free what a call holds; what it costs is still charged once it is known. None: it holds nothing (any more).

    Raises redis.RedisError.
    """
    hold = next((each for each in holds() if each.request_id == request), None)
    if hold is None:
        return None
    organization = Organization.objects.get(pk=hold.organization_id)
    # Written first: an event that is taken back is better than a release that nobody knows of.
    event_record(
        "hold.released",
        actor=actor,
        target=organization,
        organization_id=organization.pk,
        before={"request": shown_request_id(request), "held_usd": nano_text(hold.held_nano)},
    )
    if not release(request):
        transaction.set_rollback(True)
        return None
    return hold
