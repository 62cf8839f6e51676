"""What follows from what happens in Tollgate: each in the same transaction."""

from typing import Any

from django.dispatch import receiver

from acme_overlay.models import Plan
from apps.orgs.models import Organization
from apps.orgs.tenancy.signals import organization_created


@receiver(organization_created, dispatch_uid="acme_overlay.plan")
def begin_with_a_plan(sender: Any, *, organization: Organization, **_more: Any) -> None:
    """A new organization is on the free plan."""
    del sender
    Plan.objects.create(organization=organization)
