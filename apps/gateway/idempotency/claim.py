"""One call that is made for all who send the same key: its answer is taped as it passes, and kept before its last byte leaves."""

import asyncio
from typing import Any

from apps.core.logs import get_logger
from apps.core.sealing import Keyring, Place
from apps.gateway.exchange import Exchange, Headers
from apps.gateway.idempotency.kept import Kept, sealed, written
from apps.gateway.server import CLIENT
from apps.gateway.store.connection import StoreAway, StoreRefusal
from apps.gateway.store.store import Store

log = get_logger(__name__)

LEASE = 30_000  # milliseconds: so long after its process has died, a key is free again
KEEP = 24 * 3600 * 1000  # milliseconds
ANSWER_MAX = 1024 * 1024  # bytes of a body that is kept
SERVICE_MAX = 256 * 1024 * 1024  # bytes that are kept for one service in a day
# All three only while the claim is still ours.
_RENEW = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0"
_RELEASE = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"
# Keeps the answer, or where the service has no room left the second text, which says so.
_KEEP = """
if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end
local size=redis.call('INCRBY',KEYS[2],#ARGV[2])
if size==#ARGV[2] then redis.call('PEXPIRE',KEYS[2],ARGV[4]) end
local kept=ARGV[2]
if size>tonumber(ARGV[5]) then redis.call('DECRBY',KEYS[2],#ARGV[2]) kept=ARGV[3] end
redis.call('SET',KEYS[1],kept,'PX',ARGV[4])
return 1
"""


class Claim:
    """A key that this call holds. `end` it, whatever becomes of the call."""

    def __init__(self, store: Store, key: str, room: str, kept: Kept, keyring: Keyring, place: Place) -> None:
        """`key`, `room`: where the store keeps the answer, and how much of its service it keeps."""
        self._store, self._key, self._room = store, key, room
        self._kept, self._mark = kept, written(kept)
        self._keyring, self._place = keyring, place
        self._is_kept = False
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()
        self._renewing = asyncio.create_task(self._renew(), name="idempotency-lease")

    def tape(self, exchange: Exchange) -> None:
        """Let the answer pass through here. From now on the call goes on though its client leaves, who may come for it again."""
        send = exchange.send

        async def taped(message: Any) -> None:
            await self._hear(exchange, message)
            await send(message)

        exchange.send = taped
        exchange.client = None
        exchange.scope = {name: value for name, value in exchange.scope.items() if name != CLIENT}
        exchange.receive = _never

    async def end(self) -> None:
        """The call is over. Without an answer that could be given again, the key is free."""
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        if not self._is_kept:
            await self._tell(_RELEASE, (self._key,), self._mark)

    async def _hear(self, exchange: Exchange, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
            return
        if len(self._body) <= ANSWER_MAX:
            self._body += message["body"]
        if not message.get("more_body") and not exchange.failed:
            await self._keep()

    async def _keep(self) -> None:
        """Before the last byte leaves: whoever has seen the whole answer can rely on it."""
        lost = written(Kept("lost", self._kept.fingerprint, self._kept.claim))
        kept = lost
        if len(self._body) <= ANSWER_MAX:
            text = sealed(self._status, self._headers, bytes(self._body), self._keyring, self._place)
            kept = written(Kept("kept", self._kept.fingerprint, self._kept.claim, text))
        self._is_kept = await self._tell(_KEEP, (self._key, self._room), self._mark, kept, lost, KEEP, SERVICE_MAX)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3000)
            await self._tell(_RENEW, (self._key,), self._mark, LEASE)

    async def _tell(self, script: str, keys: tuple[str, ...], *arguments: str | int) -> bool:
        """Whether it has been done; not if the store is away, or the claim was lost."""
        try:
            return bool(await self._store.execute("EVAL", script, len(keys), *keys, *arguments))
        except (StoreAway, StoreRefusal) as why:
            log.warning("idempotency_claim_untold", why=str(why))
            return False


async def _never() -> Any:
    """The client's leaving is not waited for."""
    await asyncio.get_running_loop().create_future()
