"""Client secrets: short-lived keys that a service gives to a browser, good for nothing but opening a session here.

The store keeps each under the SHA-256 of its text until it expires, sealed, as the session's configuration is the service's own. A
provider's own ephemeral key is never given out: whoever has one calls the provider past every policy and budget.
"""

import base64
import secrets
import time
from typing import Any
from uuid import UUID

import msgspec

from apps.core.bearer import bearer_digest
from apps.core.errors import CountersUnavailable
from apps.core.logs import get_logger
from apps.core.sealing import Keyring, Place, SealingError
from apps.gateway.store.connection import StoreAway, StoreRefusal
from apps.gateway.store.store import Store
from apps.policies.counters import keys

log = get_logger(__name__)

PREFIX = "ek_"
_AWAY = "The store that client secrets are kept in cannot be reached: try again shortly."


class Issued(msgspec.Struct, frozen=True):
    """What a client secret opens: a session as its service wants it, on behalf of the token that it was issued with."""

    token: str  # the digest of the token, in hexadecimal digits
    model: str
    session: dict[str, Any]
    transcribes: bool
    end_user: str
    tags: tuple[str, ...]


class Secrets:
    """The client secrets in the store."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring = store, keyring

    async def issue(self, issued: Issued, seconds: int) -> tuple[str, int]:
        """A new secret, and when it expires (Unix seconds). Raises CountersUnavailable."""
        value = PREFIX + secrets.token_urlsafe(32)
        digest = bearer_digest(value)
        sealed = self._keyring.seal(msgspec.json.encode(issued).decode(), _place(digest))
        expires_at = int(time.time()) + seconds
        try:
            await self._store.execute(
                "SET", keys.client_secret(digest.hex()), base64.b64encode(sealed).decode(), "EX", seconds
            )
        except (StoreAway, StoreRefusal) as exc:
            raise CountersUnavailable(_AWAY) from exc
        return value, expires_at

    async def open(self, value: str) -> Issued | None:
        """What a secret opens; None: it is none of ours, or has expired. Raises CountersUnavailable."""
        digest = bearer_digest(value)
        try:
            found = await self._store.execute("GET", keys.client_secret(digest.hex()))
        except (StoreAway, StoreRefusal) as exc:
            raise CountersUnavailable(_AWAY) from exc
        if found is None:
            return None
        try:
            return msgspec.json.decode(self._keyring.open(base64.b64decode(found), _place(digest)), type=Issued)
        except (SealingError, ValueError) as exc:
            log.error("client_secret_unopened", why=str(exc))
            return None


def _place(digest: bytes) -> Place:
    return Place("realtime_client_secret", UUID(bytes=digest[:16]), "value", None)
