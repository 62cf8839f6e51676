"""Starting an organization of one's own."""

from django.db import transaction

from apps.core.actor import Actor
from apps.core.tenancy import as_installation
from apps.orgs.actions import member_join, organization_create
from apps.orgs.models import Organization, Role, User


def organization_start(*, user: User, name: str, slug: str, actor: Actor) -> Organization:
    """Create an organization that `user` owns. Raises ValidationError, also where the installation's tenancy does not let them."""
    # The database shows people their own organizations alone, and this one is nobody's yet.
    with as_installation(), transaction.atomic():
        organization = organization_create(name=name, slug=slug, actor=actor)
        member_join(organization=organization, user=user, role=Role.OWNER, actor=actor)
    return organization
