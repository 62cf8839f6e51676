"""Every write to services and tokens: the rule, the transaction, the admin event."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.endpoints import SCOPES
from apps.core.rows import save_valid
from apps.orgs.models import Organization
from apps.orgs.tenancy.chosen import check_room
from apps.services.models import Service, Token
from apps.services.tokens import token_digest, token_generate

GRACE_MOST = timedelta(days=30)  # for which a token may be accepted after its rotation


@transaction.atomic
def service_create(*, organization: Organization, name: str, actor: Actor) -> Service:
    """Create a client application of `organization`. Raises ValidationError, also where it is entitled to no more."""
    check_room(
        organization, "services_most", Service.objects.filter(organization=organization, disabled_at=None).count()
    )
    service = Service(organization=organization, name=name)
    save_valid(service)
    event_record("service.created", actor=actor, target=service, organization_id=organization.pk, after=facts(service))
    return service


@transaction.atomic
def service_update(*, service: Service, name: str, actor: Actor) -> Service:
    """Rename a service. Raises ValidationError."""
    locked = Service.objects.select_for_update().get(pk=service.pk)
    before = facts(locked)
    locked.name = name
    save_valid(locked)
    event_of_change(
        "service.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before
    )
    return locked


@transaction.atomic
def service_disable(*, service: Service, actor: Actor) -> bool:
    """Refuse all its tokens from now on. False if it is disabled already."""
    return _switch(service, disabled_at=now(), actor=actor)


@transaction.atomic
def service_enable(*, service: Service, actor: Actor) -> bool:
    """Accept its tokens again. False if it is not disabled."""
    return _switch(service, disabled_at=None, actor=actor)


@transaction.atomic
def token_issue(
    *,
    service: Service,
    name: str,
    actor: Actor,
    expires_at: datetime | None = None,
    scopes: Iterable[str] = (),
) -> tuple[Token, str]:
    """Create a token. Its plaintext exists only in this return value; a digest is stored. Raises ValidationError.

    `scopes`: the endpoints it may call (`apps.core.endpoints.SCOPES`); none: all.
    """
    # Locked, so that a service is not disabled between the check and the token.
    service = Service.objects.select_for_update(of=("self",)).select_related("organization").get(pk=service.pk)
    if service.disabled_at is not None:
        raise ValidationError({"service": _("%(service)s is disabled: enable it first.") % {"service": service}})
    if expires_at is not None and expires_at <= now():
        raise ValidationError({"expires_at": _("The expiry lies in the past: choose a later time, or none.")})
    chosen = set(scopes)
    if unknown := chosen.difference(SCOPES):
        raise ValidationError(
            {
                "scopes": _("%(unknown)s: no such scope; choose among %(scopes)s.")
                % {"unknown": ", ".join(sorted(unknown)), "scopes": ", ".join(SCOPES)}
            }
        )
    plaintext = token_generate()
    token = Token(
        organization=service.organization,
        service=service,
        name=name,
        digest=token_digest(plaintext),
        hint=plaintext[-4:],
        scopes=[scope for scope in SCOPES if scope in chosen],
        expires_at=expires_at,
        created_by_id=actor.user_id,
    )
    save_valid(token)
    event_record("token.issued", actor=actor, target=token, organization_id=token.organization_id, after=facts(token))
    return token, plaintext


@transaction.atomic
def token_rotate(*, token: Token, actor: Actor, grace: timedelta = timedelta(0), **changes: Any) -> tuple[Token, str]:
    """Give the token another plaintext, which exists only in this return value; limits, budgets and records go on as they are.

    The old one is accepted for `grace` more, or refused at once. `expires_at`: another expiry; left out: as it was. Raises
    ValidationError; TypeError for anything else.
    """
    if unknown := changes.keys() - {"expires_at"}:
        raise TypeError(f"cannot change {', '.join(sorted(unknown))}")
    moment = now()
    locked = Token.objects.select_for_update(of=("self",)).select_related("service", "organization").get(pk=token.pk)
    if locked.revoked_at is not None:
        raise ValidationError(_("The token was revoked, for good: issue another."))
    if not timedelta(0) <= grace <= GRACE_MOST:
        raise ValidationError(
            {"grace_seconds": _("The old token may be accepted for at most %(days)d days.") % {"days": GRACE_MOST.days}}
        )
    before = facts(locked)
    expires_at = changes.get("expires_at", locked.expires_at)
    if expires_at is not None and expires_at <= moment:
        raise ValidationError({"expires_at": _("The expiry lies in the past: choose a later time, or none.")})
    plaintext = token_generate()
    locked.previous_digest, locked.previous_until = (locked.digest, moment + grace) if grace else (None, None)
    locked.digest, locked.hint, locked.expires_at = token_digest(plaintext), plaintext[-4:], expires_at
    save_valid(locked)
    event_of_change(
        "token.rotated",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
        besides={"secret_replaced": True},
    )
    return locked, plaintext


@transaction.atomic
def token_revoke(*, token: Token, actor: Actor) -> bool:
    """Refuse the token from now on, for good. False if it was revoked already."""
    locked = Token.objects.select_for_update().get(pk=token.pk)
    if locked.revoked_at is not None:
        return False
    before = facts(locked)
    locked.revoked_at = now()
    # Not through save_valid: whatever else a row may break, revoking it must work.
    locked.save(update_fields=["revoked_at"])
    event_of_change("token.revoked", actor=actor, target=locked, organization_id=locked.organization_id, before=before)
    return True


def _switch(service: Service, *, disabled_at: datetime | None, actor: Actor) -> bool:
    locked = Service.objects.select_for_update().get(pk=service.pk)
    if (locked.disabled_at is None) == (disabled_at is None):
        return False
    before = facts(locked)
    locked.disabled_at = disabled_at
    locked.save(update_fields=["disabled_at"])
    event_of_change(
        "service.enabled" if disabled_at is None else "service.disabled",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
    )
    return True
