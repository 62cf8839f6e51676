"""A tenancy as an overlay would write it: plans bound how much an organization may have."""

from apps.orgs.models import Organization, User
from apps.orgs.tenancy.port import Entitlements, Multi


class Plans(Multi):
    """Two services, two people; nobody starts an organization by themselves."""

    def may_create_organization(self, user: User) -> bool:
        return user.is_superuser

    def entitlements(self, organization: Organization) -> Entitlements:
        return Entitlements(hosted_credentials=organization.hosted_credentials, services_most=2, members_most=2)


class NoTenancy:
    """Not one."""
