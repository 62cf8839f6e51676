"""Telling people that a provider refuses a credential: what gateways found out comes out of the store, once for each.

A credential that is refused, mended and refused again is told of once an hour at most.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from apps.core.actor import Actor
from apps.core.logs import get_logger
from apps.core.stores import store
from apps.orgs.models import User
from apps.policies.deliveries import put_on_its_way, recipients
from apps.policies.models import Channel, CredentialAlert
from apps.providers.health import shared
from apps.providers.health.actions import credential_accepted, credential_refused
from apps.providers.health.shared import CredentialNews
from apps.providers.health.words import refusal_remedy
from apps.providers.models import Credential

log = get_logger(__name__)

_AT_ONCE = 200
_MOST = 5_000  # of one run
_AGAIN = timedelta(hours=1)


def credentials_watch() -> int:
    """Note on credentials what gateways have told of them, and raise alerts. Returns how many alerts this run has raised."""
    raised = 0
    for _run in range(_MOST // _AT_ONCE):
        try:
            found: Any = store().lpop(shared.NEWS, _AT_ONCE)
        except redis.RedisError as why:
            log.warning("credential news unread", why=str(why))
            break
        if not found:
            break
        raised += sum(_take(news) for value in found if (news := shared.news_read(value)) is not None)
    return raised


@transaction.atomic
def _take(news: CredentialNews) -> bool:
    """Write one piece of news down. Whether that raised an alert."""
    actor = Actor.system()
    try:
        credential_id = UUID(hex=news.credential)
        at = datetime.fromtimestamp(news.at, UTC)
    except (ValueError, OverflowError):
        return False
    if not news.status:
        credential_accepted(credential_id=credential_id, model=news.model, at=at, actor=actor)
        return False
    credential = credential_refused(
        credential_id=credential_id, status=news.status, model=news.model, at=at, actor=actor
    )
    return credential is not None and _raise(credential)


def _raise(credential: Credential) -> bool:
    """Write the alert and its deliveries, while the credential is locked. False if there was one within the hour."""
    moment = now()
    if CredentialAlert.objects.filter(credential=credential, created_at__gt=moment - _AGAIN).exists():
        return False
    alert = CredentialAlert.objects.create(
        organization=credential.organization,
        credential=credential,
        status=credential.refused_status or 0,
        model=credential.refused_model,
        created_at=moment,
    )
    if credential.organization_id is not None:
        targets = recipients(credential.organization_id)
    else:  # the installation's, which its own operators mend
        emails = User.objects.filter(is_superuser=True, is_active=True).values_list("email", flat=True)
        targets = [(Channel.EMAIL, email) for email in emails]
    put_on_its_way(targets, organization_id=credential.organization_id, at=moment, credential_alert=alert)
    log.warning(
        "a provider refuses a credential", credential=str(credential.pk), status=alert.status, told=len(targets)
    )
    return True


def credential_alert_facts(alert: CredentialAlert) -> dict[str, Any]:
    """What is told of an alert, as JSON takes it."""
    credential = alert.credential
    return {
        "alert_id": str(alert.pk),
        "credential_id": str(credential.pk),
        "credential": credential.label,
        "provider": credential.provider,
        "organization": credential.organization.slug if credential.organization is not None else None,
        "status": alert.status,
        "model": alert.model or None,
        "remedy": refusal_remedy(alert.status, alert.model),
        "url": f"{settings.PUBLIC_URL}/admin/providers/credential/{credential.pk}/change/",
    }
