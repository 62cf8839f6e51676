"""Named reads of providers' listings."""

from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.providers.kinds import kind_of
from apps.providers.listing.models import ProviderListing
from apps.providers.models import Credential


def listing_of(credential: Credential) -> ProviderListing | None:
    """What the credential's provider told last; None: it was never asked."""
    try:
        return credential.listing
    except ProviderListing.DoesNotExist:
        return None


def listing_text(credential: Credential) -> str:
    """How many models its provider has told of, and when; or why it has not."""
    if not kind_of(credential.provider).lists_what_can_be_called:
        return _("does not say")
    listing = listing_of(credential)
    if listing is None:
        return _("not asked yet")
    told = ""
    if listing.listed_at is not None:
        count = len(listing.names)
        told = ngettext("%(count)d model, %(age)s ago", "%(count)d models, %(age)s ago", count) % {
            "count": count,
            "age": timesince(listing.listed_at, depth=1),
        }
    if not listing.error:
        return told
    return f"{listing.error} ({told})" if told else listing.error
