"""Who is told of alerts, and what is put on its way to them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.orgs.models import Membership, Role
from apps.policies.models import AlertDelivery, Channel, Webhook

_TOLD_BY_MAIL = (Role.OWNER, Role.ADMIN)


def recipients(organization_id: UUID) -> list[tuple[Channel, str]]:
    """Who is told of an organization's alerts: its owners and admins, and its webhooks."""
    mail = Membership.objects.filter(organization=organization_id, role__in=_TOLD_BY_MAIL, user__is_active=True)
    hooks = Webhook.objects.filter(organization=organization_id, enabled=True)
    return [
        *((Channel.EMAIL, email) for email in mail.values_list("user__email", flat=True)),
        *((Channel.WEBHOOK, url) for url in hooks.values_list("url", flat=True)),
    ]


def put_on_its_way(
    targets: Iterable[tuple[Channel, str]], *, organization_id: UUID | None, at: datetime, **alert: Any
) -> None:
    """Write the deliveries of an alert (`alert_id` or `credential_alert`), in the transaction that raises it."""
    AlertDelivery.objects.bulk_create(
        AlertDelivery(organization_id=organization_id, channel=channel, target=target, next_attempt_at=at, **alert)
        for channel, target in targets
    )
