"""How many requests a key, a person or an address may make: counted in Valkey, for all processes together."""

from django.conf import settings
from django.http import HttpRequest

from apps.api.frame.errors import TooManyRequests
from apps.core.web import API, API_FAILED, counted_address, wait
from apps.orgs.access import Access
from apps.orgs.keys.selectors import KeyAccess


def holder_of(access: Access) -> str:
    """Who is counted: the key, or whoever is signed in."""
    return f"key:{access.key_id}" if isinstance(access, KeyAccess) else f"user:{access.user_id}"


def check_rate(request: HttpRequest, access: Access) -> None:
    """Count a request. Raises TooManyRequests beyond API_RATE_LIMIT."""
    _check(wait(request, API, holder_of(access), settings.API_RATE_LIMIT))


def check_failures(request: HttpRequest) -> None:
    """Raises TooManyRequests to an address whose requests failed to say who asks, beyond API_FAILURE_LIMIT."""
    _check(wait(request, API_FAILED, counted_address(request), settings.API_FAILURE_LIMIT, counting=False))


def note_failure(request: HttpRequest) -> None:
    """Count a request that nobody could be found behind. Raises TooManyRequests."""
    _check(wait(request, API_FAILED, counted_address(request), settings.API_FAILURE_LIMIT))


def _check(seconds: int | None) -> None:
    if seconds is not None:
        raise TooManyRequests(seconds)
