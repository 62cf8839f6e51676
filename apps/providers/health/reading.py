"""How providers fare right now, for people: the console. Reads; changes nothing."""

from uuid import UUID

import redis

from apps.core.logs import get_logger
from apps.core.stores import store
from apps.providers.health.shared import ABANDONED, SHUT, Shut, read

log = get_logger(__name__)


def circuits_of(credential_id: UUID, at: float) -> list[Shut] | None:
    """The circuits of a credential that are open, or wait for a probe, at that time (Unix seconds); None: the store is away."""
    try:
        found = store().hscan_iter(SHUT, match=f"{credential_id.hex}:*", count=1000)
        circuits = [shut for field, value in found if (shut := read(field, value)) is not None]
    except redis.RedisError as why:
        log.warning("health_unread", why=str(why))
        return None
    ended = {"limited": 0.0}
    return sorted(
        (shut for shut in circuits if shut.until + ended.get(shut.reason, ABANDONED) > at), key=lambda shut: shut.model
    )
