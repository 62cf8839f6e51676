"""What this installation takes organizations to be: as many as there are customers, each bounded by its plan."""

from acme_overlay.models import Plan, Tier
from apps.orgs.models import Organization, User
from apps.orgs.tenancy.port import Entitlements, Multi


class Plans(Multi):
    """Customers start their organizations themselves, on the free plan."""

    def entitlements(self, organization: Organization) -> Entitlements:
        """As many services and people as the plan has."""
        is_team = Plan.objects.filter(organization=organization, tier=Tier.TEAM).exists()
        return Entitlements(
            hosted_credentials=organization.hosted_credentials,
            services_most=None if is_team else 1,
            members_most=None if is_team else 3,
        )

    def entitlements_at_first(self, founder: User | None) -> Entitlements:
        """The free plan comes with the installation's models."""
        del founder
        return Entitlements(hosted_credentials=True)
