"""The providers' scheduled work. Every task may run twice, or at the same time as itself."""

from uuid import UUID

from celery import shared_task

from apps.providers.actions import credential_test
from apps.providers.listing.actions import listing_store, listings_claim
from apps.providers.models import Credential


@shared_task
def listings_refresh() -> int:
    """Have the providers asked for their models whose turn it is, each in a task of its own. Returns how many."""
    due = listings_claim()
    for credential_id in due:
        listing_refresh.delay(str(credential_id))
    return len(due)


@shared_task
def listing_refresh(credential_id: str) -> bool:
    """Ask one provider for its models, and keep what it says. Returns whether it told any list."""
    credential = Credential.objects.filter(pk=UUID(credential_id), enabled=True).first()
    if credential is None:
        return False
    found = credential_test(credential=credential)
    if not Credential.objects.filter(pk=credential.pk, base_url=credential.base_url).exists():
        return False  # it has moved meanwhile: what was told there says nothing of where it is now
    listing_store(credential, found)
    return found.ok
