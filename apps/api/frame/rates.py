"""How many requests a key, a person or an address may make: counted in Valkey, for all processes together."""

import logging
import math

import redis
from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage

from apps.api.frame.errors import TooManyRequests
from apps.core.web import counted_address
from apps.orgs.access import Access
from apps.orgs.keys.selectors import KeyAccess

log = logging.getLogger(__name__)


def holder_of(access: Access) -> str:
    """Who is counted: the key, or whoever is signed in."""
    return f"key:{access.key_id}" if isinstance(access, KeyAccess) else f"user:{access.user_id}"


def check_rate(request: HttpRequest, access: Access) -> None:
    """Count a request. Raises TooManyRequests beyond API_RATE_LIMIT."""
    _count(request, "api", holder_of(access), settings.API_RATE_LIMIT, increment=True)


def check_failures(request: HttpRequest) -> None:
    """Raises TooManyRequests to an address whose requests failed to say who asks, beyond API_FAILURE_LIMIT."""
    _count(request, "api-failed", counted_address(request), settings.API_FAILURE_LIMIT, increment=False)


def note_failure(request: HttpRequest) -> None:
    """Count a request that nobody could be found behind. Raises TooManyRequests."""
    _count(request, "api-failed", counted_address(request), settings.API_FAILURE_LIMIT, increment=True)


def _count(request: HttpRequest, group: str, who: str, rate: str, *, increment: bool) -> None:
    try:
        usage = get_usage(request, group=group, key=lambda _group, _request: who, rate=rate, increment=increment)
    except redis.RedisError:
        # The API must go on working to repair what is broken; keys of 256 bits are not guessed meanwhile.
        log.warning("requests to the API are not limited: Valkey cannot be reached")
        return
    if usage is None:
        return
    # Looking without counting says "limited" only one request later.
    if usage["should_limit"] or (not increment and usage["count"] >= usage["limit"]):
        raise TooManyRequests(max(math.ceil(usage["time_left"]), 1))
