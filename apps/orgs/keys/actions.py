"""Every write to management keys: the rule, the transaction, the admin event."""

from collections.abc import Collection, Iterable
from datetime import datetime
from ipaddress import ip_network

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.bearer import bearer_digest, bearer_generate
from apps.core.rows import save_valid
from apps.orgs.keys.models import PREFIX, ManagementKey
from apps.orgs.models import Organization, User
from apps.orgs.roles import Permission

NETWORKS_MOST = 50


@transaction.atomic
def key_issue(
    *,
    organization: Organization | None,
    name: str,
    permissions: Iterable[str],
    most: Collection[str],
    actor: Actor,
    expires_at: datetime | None = None,
    allowed_networks: Iterable[str] = (),
) -> tuple[ManagementKey, str]:
    """Create a key of `organization`, or of the installation (None). Its plaintext exists only in this return value.

    `most`: what whoever issues it may do; nobody hands on more than that. Raises ValidationError.
    """
    if expires_at is not None and expires_at <= now():
        raise ValidationError({"expires_at": _("The expiry lies in the past: choose a later time, or none.")})
    plaintext = bearer_generate(PREFIX)
    key = ManagementKey(
        organization=organization,
        name=name.strip(),
        digest=bearer_digest(plaintext),
        hint=plaintext[-4:],
        permissions=_checked_permissions(set(permissions), most),
        allowed_networks=_checked_networks(allowed_networks),
        expires_at=expires_at,
        created_by_id=actor.user_id,
    )
    save_valid(key)
    event_record(
        "management_key.issued", actor=actor, target=key, organization_id=key.organization_id, after=facts(key)
    )
    return key, plaintext


@transaction.atomic
def key_revoke(*, key: ManagementKey, actor: Actor) -> bool:
    """Refuse the key from now on, for good. False if it was revoked already."""
    locked = ManagementKey.objects.select_for_update().get(pk=key.pk)
    if locked.revoked_at is not None:
        return False
    before = facts(locked)
    locked.revoked_at = now()
    # Not through save_valid: whatever else a row may break, revoking it must work.
    locked.save(update_fields=["revoked_at"])
    event_of_change(
        "management_key.revoked", actor=actor, target=locked, organization_id=locked.organization_id, before=before
    )
    return True


@transaction.atomic
def keys_revoke_of(*, user: User, actor: Actor, organization: Organization | None = None) -> int:
    """Revoke every key that `user` issued, in `organization` alone if it is given. Returns how many there were."""
    keys = ManagementKey.objects.filter(created_by=user, revoked_at=None)
    if organization is not None:
        keys = keys.filter(organization=organization)
    return sum(key_revoke(key=key, actor=actor) for key in keys)


def _checked_permissions(chosen: set[str], most: Collection[str]) -> list[str]:
    if not chosen:
        raise ValidationError({"permissions": _("Name at least one permission.")})
    if unknown := chosen.difference(Permission):
        raise ValidationError(
            {
                "permissions": _("%(unknown)s: no such permission; choose among %(permissions)s.")
                % {"unknown": ", ".join(sorted(unknown)), "permissions": ", ".join(Permission)}
            }
        )
    if beyond := chosen.difference(most):
        raise ValidationError(
            {
                "permissions": _("You may not do this yourself: %(beyond)s. Leave it out.")
                % {"beyond": ", ".join(sorted(beyond))}
            }
        )
    return [str(permission) for permission in Permission if permission in chosen]


def _checked_networks(networks: Iterable[str]) -> list[str]:
    found: list[str] = []
    for text in networks:
        try:
            network = str(ip_network(text.strip()))
        except ValueError:
            raise ValidationError(
                {
                    "allowed_networks": _(
                        "%(value)s is no network: write it as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32."
                    )
                    % {"value": ascii(text)[:60]}
                }
            ) from None
        if network not in found:
            found.append(network)
    if len(found) > NETWORKS_MOST:
        raise ValidationError({"allowed_networks": _("At most %(most)d networks.") % {"most": NETWORKS_MOST}})
    return found
