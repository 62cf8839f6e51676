"""Who asks, for which organization, and what they may do there: what every door of the control plane goes by."""

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.core.actor import Actor, Door
from apps.core.tenancy import NOBODY, STAFF, Scope, at_the_door, member_scope, person_scope
from apps.core.web import request_address
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.roles import Permission, permissions_of
from apps.orgs.tenancy.chosen import tenancy

_CHOSEN = "organization"  # in the session: the id of the organization that was chosen


@dataclass(frozen=True, slots=True)
class Access:
    """One who asks. Platform staff need no role: they may do everything, in every organization."""

    label: str  # as admin events name them
    user_id: UUID | None  # None: a key
    organization: Organization | None  # None: platform staff, or somebody who belongs nowhere
    role: Role | None
    permissions: frozenset[Permission]
    is_platform_staff: bool = False
    address: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether they may do it."""
        return self.is_platform_staff or permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raises PermissionDenied, saying what is missing."""
        if not self.may(permission):
            raise PermissionDenied(_("This takes the permission %(permission)s.") % {"permission": permission})

    @property
    def scope(self) -> Scope:
        """What the database shows them."""
        if self.is_platform_staff:
            return STAFF
        if self.organization is None:
            return NOBODY if self.user_id is None else person_scope(self.user_id)
        return member_scope(self.organization.pk, self.user_id)

    def rows[M: Model](
        self, rows: QuerySet[M], *, organization: str = "organization", hosted: bool = False
    ) -> QuerySet[M]:
        """Those of `rows` that they may see. `organization`: the way from a row to whose it is; `hosted`: nobody's as well."""
        return tenancy().scope(rows, self, organization=organization, hosted=hosted)

    def organization_for_creation(self) -> Organization | None:
        """Whose something new of theirs is, where they do not say. None: they must."""
        return tenancy().organization_for_creation(self)

    def actor(self, door: Door) -> Actor:
        """Who acts, for actions and their admin events."""
        is_installation = self.is_platform_staff and self.user_id is None
        return Actor(
            door=door,
            label=self.label,
            user_id=self.user_id,
            address=self.address,
            is_installation=is_installation,
        )


def access_of(request: HttpRequest) -> Access | None:
    """Who asks; None: nobody who is known."""
    return getattr(request, "access", None)


def person_access(request: HttpRequest) -> Access | None:
    """The access of whoever is signed in, in the organization that they have chosen, or belong to first. None: nobody is.

    Call it at the door: it looks at people and their memberships.
    """
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return None
    address = request_address(request)
    if user.is_superuser:
        return Access(user.email, user.pk, None, None, frozenset(), is_platform_staff=True, address=address)
    membership = _membership(user, request.session.get(_CHOSEN))
    if membership is None:
        return Access(user.email, user.pk, None, None, frozenset(), address=address)
    role, organization = Role(membership.role), membership.organization
    permissions = permissions_of(role, organization, reads_content=membership.reads_content)
    return Access(user.email, user.pk, organization, role, permissions, address=address)


def organizations_of(user: User) -> list[Organization]:
    """Those that the user belongs to, by name; wherever it is asked from."""
    return [membership.organization for membership in memberships_of(user)]


def memberships_of(user: User) -> list[Membership]:
    """How the user belongs to each of them, by its name; wherever it is asked from."""
    with at_the_door():
        found = Membership.objects.filter(user=user).select_related("organization").order_by("organization__name")
        return list(found)


def choose_organization(request: HttpRequest, organization: Organization) -> None:
    """Work in this organization from the next request on. Raises PermissionDenied to who does not belong there."""
    if not isinstance(request.user, User) or organization not in organizations_of(request.user):
        raise PermissionDenied
    request.session[_CHOSEN] = str(organization.pk)


def _membership(user: User, chosen: object) -> Membership | None:
    memberships = Membership.objects.filter(user=user).select_related("organization").order_by("created_at", "id")
    found = list(memberships[:100])
    return next((each for each in found if str(each.organization_id) == chosen), found[0] if found else None)
