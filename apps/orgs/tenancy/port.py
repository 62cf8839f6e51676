"""The tenancy port: the few questions about organizations whose answers differ from one installation to the next.

`TENANCY` chooses who answers: `single`, `multi`, or an overlay's own class by its dotted path (docs/overlay.md). Whatever the
answers, the database keeps organizations apart (apps.core.isolation): no implementation can show one organization's rows to
another's people.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Model, Q, QuerySet
from django.http import Http404

from apps.orgs.models import Organization, User

if TYPE_CHECKING:
    from apps.orgs.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What an organization may have. None: as much as it likes."""

    hosted_credentials: bool = True  # its calls may use the installation's credentials
    services_most: int | None = None
    members_most: int | None = None


class Tenancy(ABC):
    """What an installation takes organizations to be."""

    owners_run_the_installation: bool = False  # whom the installation makes an owner is platform staff too

    @abstractmethod
    def may_create_organization(self, user: User) -> bool:
        """Whether this person may start another organization, in the console, on its own page or over the API.

        Commands always may: whoever runs them has the database.
        """

    def scope[M: Model](
        self, rows: QuerySet[M], access: "Access", *, organization: str = "organization", hosted: bool = False
    ) -> QuerySet[M]:
        """Those of `rows` that who asks may see. `organization`: the way from a row to whose it is; `hosted`: nobody's as well."""
        if access.is_platform_staff and access.organization is None:
            return rows
        if access.organization is None:
            return rows.none()
        own = Q(**{organization: access.organization.pk})
        return rows.filter(own | Q(**{organization: None}) if hosted else own)

    def check_access(self, access: "Access", organization: Organization) -> None:
        """Raises Http404 unless who asks may know of the organization: never a hint that there is one."""
        if access.is_platform_staff and access.organization is None:
            return
        if access.organization is None or access.organization.pk != organization.pk:
            raise Http404

    def organization_for_creation(self, access: "Access") -> Organization | None:
        """Whose something new is, where nobody says: the organization of who asks, or the only one. None: it must be said."""
        if access.organization is not None:
            return access.organization
        if not access.is_platform_staff:
            return None
        first_two = list(Organization.objects.order_by("created_at")[:2])
        return first_two[0] if len(first_two) == 1 else None

    def entitlements(self, organization: Organization) -> Entitlements:
        """What the organization may have now. `hosted_credentials` is the row's own: gateways go by it."""
        return Entitlements(hosted_credentials=organization.hosted_credentials)

    def entitlements_at_first(self, founder: User | None) -> Entitlements:
        """What a new organization begins with. `founder`: who starts it, where it is not the installation itself."""
        return Entitlements(hosted_credentials=founder is None or founder.is_superuser)


class Single(Tenancy):
    """One organization, which setup creates. Whoever owns it runs the installation."""

    owners_run_the_installation = True

    def may_create_organization(self, user: User) -> bool:
        """Only where there is none."""
        del user
        return not Organization.objects.exists()


class Multi(Tenancy):
    """Many organizations. Those who run the installation are others than those who own one.

    Whoever can sign in may start one, which then uses no credential of the installation's until its staff says so.
    """

    owners_run_the_installation = False

    def may_create_organization(self, user: User) -> bool:
        """Whoever can sign in."""
        return user.is_active
