"""Keeping what providers list: whose turn it is, and what they told. No operator does this, so it leaves no admin events."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils.timezone import now

from apps.providers.kinds import KINDS
from apps.providers.listing.models import ProviderListing
from apps.providers.models import Credential
from apps.providers.probe import CredentialTest

AT_ONCE = 200  # credentials whose turn comes in one run
_NAMES_MOST = 10_000
_ERROR_MOST = 500


@transaction.atomic
def listings_claim() -> list[UUID]:
    """The credentials whose providers are to be asked now, those first that wait longest. Nobody else claims them meanwhile."""
    every = settings.PROVIDER_LISTINGS_EVERY
    if not every:
        return []
    at = now()
    asked = [name for name, kind in KINDS.items() if kind.lists_what_can_be_called]
    due = Credential.objects.filter(
        Q(listing=None) | Q(listing__asked_at__lt=at - timedelta(seconds=every)),
        enabled=True,
        drained_at=None,
        provider__in=asked,
    ).order_by(F("listing__asked_at").asc(nulls_first=True))
    claimed = list(due.select_for_update(of=("self",), skip_locked=True)[:AT_ONCE])
    ProviderListing.objects.bulk_create(
        [
            ProviderListing(credential=credential, organization_id=credential.organization_id, asked_at=at)
            for credential in claimed
        ],
        update_conflicts=True,
        unique_fields=["credential"],
        update_fields=["asked_at"],
    )
    return [credential.pk for credential in claimed]


def listing_store(credential: Credential, found: CredentialTest) -> None:
    """Keep what its provider told, or why it did not: then what it told before stays."""
    at = now()
    fresh = {"asked_at": at, "error": "" if found.ok else found.sentence[:_ERROR_MOST]}
    if found.ok:
        fresh |= {"listed_at": at, "names": _kept(found.models)}
    ProviderListing.objects.update_or_create(
        credential=credential, defaults=fresh, create_defaults={**fresh, "organization_id": credential.organization_id}
    )


def listing_forget(credential: Credential) -> None:
    """What was told elsewhere says nothing any more."""
    ProviderListing.objects.filter(credential=credential).delete()


def _kept(names: Sequence[str]) -> list[str]:
    """In the same order each time, so that the same list is no news."""
    return sorted(set(names))[:_NAMES_MOST]
