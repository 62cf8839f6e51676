"""Requests that carry an Idempotency-Key: made once, answered as often as they are sent within a day.

A key is a service's: another token of the service finds it, another service never does.
"""

import asyncio
import hashlib
import time

import msgspec

from apps.core.errors import (
    IdempotencyAnswerLost,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    IdempotencyUnavailable,
    InvalidValue,
)
from apps.core.logs import get_logger
from apps.core.sealing import Keyring, Place, SealingError
from apps.gateway import metrics
from apps.gateway.directory.views import TokenView
from apps.gateway.exchange import Exchange
from apps.gateway.idempotency.claim import LEASE, Claim
from apps.gateway.idempotency.kept import Kept, KeptAnswer, opened, read, written
from apps.gateway.store.connection import StoreAway, StoreRefusal
from apps.gateway.store.store import Store

log = get_logger(__name__)

HEADER = b"idempotency-key"
REPLAYED = "idempotent_replay"
_LENGTH_MAX = 255
_PATIENCE = 30.0  # seconds that a request waits for the same one to be answered
_LOOKS = (0.02, 0.5)  # seconds between two looks: the first, and the most


class Idempotency:
    """Claims keys and gives answers again."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring = store, keyring

    async def claim(self, exchange: Exchange, token: TokenView, body: bytes) -> Claim | None:
        """The claim of a call that is to be made now, or None: it was made before, and has been answered again.

        Raises InvalidValue, IdempotencyKeyReused, IdempotencyKeyInUse, IdempotencyAnswerLost, IdempotencyUnavailable.
        """
        sent = exchange.headers[HEADER]
        if not 0 < len(sent) <= _LENGTH_MAX or not all(0x21 <= byte <= 0x7E for byte in sent):
            raise InvalidValue(
                f"Invalid Idempotency-Key: send up to {_LENGTH_MAX} visible ASCII characters, such as a UUID.",
                param="Idempotency-Key",
            )
        named = hashlib.sha256(token.service.encode() + b":" + sent).hexdigest()
        # What goes to the provider on the same dialect: keys of two services must not meet at an account that they share.
        exchange.headers[HEADER] = named.encode()
        key = f"tollgate:idempotency:{named}"
        place = Place("gateway_idempotency", token.service_id, "answer", token.organization_id)
        fingerprint = _fingerprint(exchange, body)
        kept = Kept("made", fingerprint, exchange.id)
        found = await self._found(key, kept)
        if found is None:
            claim = Claim(self._store, key, f"tollgate:idempotency-room:{token.service}", kept, self._keyring, place)
            claim.tape(exchange)
            return claim
        if found.state == "lost":
            raise IdempotencyAnswerLost
        await self._answer_again(exchange, found, place)
        return None

    async def _found(self, key: str, kept: Kept) -> Kept | None:
        """What is kept under the key, once that is an answer; None: nothing was, and now it is claimed."""
        deadline = time.monotonic() + _PATIENCE
        look = _LOOKS[0]
        while True:
            try:
                text = await self._store.execute("SET", key, written(kept), "NX", "GET", "PX", LEASE)
            except (StoreAway, StoreRefusal) as why:
                raise IdempotencyUnavailable from why
            if text is None:
                return None
            try:
                found = read(text)
            except msgspec.DecodeError as why:
                raise IdempotencyUnavailable from why
            if found.fingerprint != kept.fingerprint:
                raise IdempotencyKeyReused
            if found.state != "made":
                return found
            if time.monotonic() > deadline:
                raise IdempotencyKeyInUse
            await asyncio.sleep(look)
            look = min(2 * look, _LOOKS[1])

    async def _answer_again(self, exchange: Exchange, found: Kept, place: Place) -> None:
        try:
            answer: KeptAnswer = opened(found.sealed, self._keyring, place)
        except (SealingError, ValueError) as why:
            log.warning("idempotency_answer_unopened", why=str(why))
            raise IdempotencyAnswerLost from why
        metrics.replays.inc()
        exchange.flags.append(REPLAYED)
        exchange.stream = False
        exchange.count_out(len(answer.body))
        exchange.record(answer.status)
        headers = [
            *exchange.id_headers,
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers),
            (b"x-tollgate-idempotent-replay", b"true"),
            (b"x-tollgate-original-request-id", f"req_{found.claim}".encode()),
            (b"content-length", b"%d" % len(answer.body)),
        ]
        await exchange.answer(answer.status, headers, answer.body)


def _fingerprint(exchange: Exchange, body: bytes) -> str:
    """Of what was asked: where, of which model, and what. The same body in other bytes is another request, and so is the same
    one in another form of stream."""
    endpoint = exchange.endpoint
    digest = hashlib.sha256(f"{endpoint.name}{endpoint.stream_type.decode()}\n{exchange.model_asked}\n".encode())
    digest.update(body)
    return digest.hexdigest()
