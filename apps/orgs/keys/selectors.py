"""Named reads of management keys, and what one opens."""

from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.core.actor import Actor, Door
from apps.core.bearer import bearer_digest, bearer_is_well_formed
from apps.orgs.access import Access
from apps.orgs.keys.models import PREFIX, KeyState, ManagementKey
from apps.orgs.models import Membership, Role
from apps.orgs.roles import Permission, permissions_of

_USED_EVERY = timedelta(minutes=1)


class KeyRefusedError(Exception):
    """A key that opens nothing. The message is a sentence for whoever sent it."""


@dataclass(frozen=True, slots=True)
class KeyAccess(Access):
    """What a management key opens: its own permissions and no more, platform staff's keys too."""

    key_id: UUID | None = None
    issuer_id: UUID | None = None  # None: a command issued it

    def may(self, permission: Permission) -> bool:
        """Whether it may do it."""
        return permission in self.permissions

    def actor(self, door: Door) -> Actor:
        """The key, and whoever issued it."""
        return replace(Access.actor(self, door), issuer_id=self.issuer_id)


def key_by_id(key_id: UUID) -> ManagementKey | None:
    """The key with this id."""
    return ManagementKey.objects.filter(pk=key_id).first()


def key_access(plaintext: str, *, address: str | None) -> KeyAccess:
    """What this key opens for a client at `address`, and note that it was used. Call it at the door. Raises KeyRefusedError."""
    if not bearer_is_well_formed(plaintext, PREFIX):
        raise KeyRefusedError(_("This is no management key: its form or its checksum is wrong."))
    key = (
        ManagementKey.objects.select_related("organization", "created_by")
        .filter(digest=bearer_digest(plaintext))
        .first()
    )
    if key is None:
        raise KeyRefusedError(_("This management key is not known here."))
    _check_state(key)
    if key.allowed_networks and not _is_within(address, key.allowed_networks):
        raise KeyRefusedError(_("This management key may not be used from this address."))
    permissions = frozenset(Permission(word) for word in key.permissions) & _most(key)
    _note_use(key)
    return KeyAccess(
        label=f"{key.name} ({key.masked})",
        user_id=None,
        organization=key.organization,
        role=None,
        permissions=permissions,
        is_platform_staff=key.organization is None,
        address=address,
        key_id=key.pk,
        issuer_id=key.created_by_id,
    )


def _check_state(key: ManagementKey) -> None:
    match key.state(now()):
        case KeyState.REVOKED:
            raise KeyRefusedError(_("This management key was revoked."))
        case KeyState.EXPIRED:
            raise KeyRefusedError(_("This management key has expired."))
        case _:
            return


def _most(key: ManagementKey) -> frozenset[Permission]:
    """What whoever issued the key may do now. Raises KeyRefusedError if that is nothing any more."""
    issuer = key.created_by
    if issuer is None:
        return frozenset(Permission)
    if not issuer.is_active:
        raise KeyRefusedError(_("Whoever issued this management key is switched off."))
    if issuer.is_superuser:
        return frozenset(Permission)
    membership = (
        Membership.objects.select_related("organization").filter(user=issuer, organization=key.organization_id).first()
    )
    if membership is None:
        raise KeyRefusedError(_("Whoever issued this management key has left the organization."))
    return permissions_of(Role(membership.role), membership.organization, reads_content=membership.reads_content)


def _is_within(address: str | None, networks: list[str]) -> bool:
    if address is None:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network) for network in networks)


def _note_use(key: ManagementKey) -> None:
    moment = now()
    stale = Q(last_used_at=None) | Q(last_used_at__lte=moment - _USED_EVERY)
    ManagementKey.objects.filter(stale, pk=key.pk).update(last_used_at=moment)
