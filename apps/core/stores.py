"""The store as the control plane asks it: seldom, and without waiting for long."""

from functools import cache

import redis
from django.conf import settings

_PATIENCE = 2.0  # seconds


@cache
def store() -> "redis.Redis":
    """The store, for the control plane. Answers within two seconds or raises redis.RedisError."""
    return redis.Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE
    )
