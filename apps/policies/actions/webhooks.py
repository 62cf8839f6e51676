"""Every write to webhooks: the rule, the transaction, the admin event."""

import base64
import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.egress import Egress, EgressRefused
from apps.core.rows import save_valid
from apps.orgs.models import Organization
from apps.policies.models import Webhook
from apps.policies.outgoing import SECRET_PREFIX

_SECRET_BYTES = 32


@transaction.atomic
def webhook_add(*, organization: Organization, url: str, actor: Actor) -> tuple[Webhook, str]:
    """Tell this URL of budget alerts. Returns its signing secret too, which is not shown again. Raises ValidationError."""
    webhook = Webhook(organization=organization, url=_checked_url(url))
    plaintext = _seal_new(webhook)
    save_valid(webhook)
    event_record("webhook.added", actor=actor, target=webhook, organization_id=organization.pk, after=facts(webhook))
    return webhook, plaintext


@transaction.atomic
def webhook_rotate_secret(*, webhook: Webhook, actor: Actor) -> str:
    """Sign with a new secret from now on, and return it; it is not shown again."""
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    plaintext = _seal_new(locked)
    locked.save(update_fields=["sealed_secret"])
    event_record(
        "webhook.secret_rotated",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        after={"secret_replaced": True},
    )
    return plaintext


@transaction.atomic
def webhook_delete(*, webhook: Webhook, actor: Actor) -> None:
    """Tell it nothing any more; what is on its way to it fails."""
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    event_record(
        "webhook.deleted", actor=actor, target=locked, organization_id=locked.organization_id, before=facts(locked)
    )
    locked.delete()


@transaction.atomic
def webhook_enable(*, webhook: Webhook, actor: Actor) -> bool:
    """Tell it of alerts again, from the next one on. False if it is enabled already."""
    return _switch(webhook, enabled=True, actor=actor)


@transaction.atomic
def webhook_disable(*, webhook: Webhook, actor: Actor) -> bool:
    """Tell it nothing for now; what is on its way to it fails. False if it is disabled already."""
    return _switch(webhook, enabled=False, actor=actor)


def _checked_url(url: str) -> str:
    """The URL as it is kept. Raises ValidationError for what the egress rule would refuse to call."""
    trimmed = url.strip()
    if not trimmed.isascii() or not trimmed.isprintable() or " " in trimmed:
        raise ValidationError({"url": _("The URL cannot be read: write it as https://host/path.")})
    try:
        Egress(settings.EGRESS_ALLOW).check_url(trimmed)
    except EgressRefused as refusal:
        raise ValidationError({"url": str(refusal)}) from refusal
    return trimmed


def _seal_new(webhook: Webhook) -> str:
    plaintext = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    webhook.sealed_secret = settings.SEALING_KEYS.seal(plaintext, webhook.secret_place())
    return plaintext


def _switch(webhook: Webhook, *, enabled: bool, actor: Actor) -> bool:
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    if locked.enabled == enabled:
        return False
    before = facts(locked)
    locked.enabled = enabled
    locked.save(update_fields=["enabled"])
    action = "webhook.enabled" if enabled else "webhook.disabled"
    event_of_change(action, actor=actor, target=locked, organization_id=locked.organization_id, before=before)
    return True
