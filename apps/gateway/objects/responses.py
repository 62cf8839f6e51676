"""Responses that a provider stores: whose they are is known before their ids reach the client."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from apps.core.endpoints import STORED_RESPONSES
from apps.core.errors import ObjectsUnavailable
from apps.gateway.directory.views import Route, TokenView
from apps.gateway.exchange import Attempt, Exchange
from apps.gateway.objects.owners import RESPONSE, Owners, new
from apps.gateway.relay.keeping import Keeping

UNOWNED = "unowned"  # the record's flag: the database was away, and nobody will find the response again

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OVER = frozenset({"completed", "failed", "incomplete", "cancelled"})
_ITEMS_MOST = 1_000
# Held back of a stream while its first event is not whole; that one repeats instructions and tools.
_HELD_MOST = 8 * 1024 * 1024


class _Item(msgspec.Struct):
    id: Any = None


class _Response(msgspec.Struct):
    id: Any = None
    status: Any = None
    output: Any = None


class _Event(msgspec.Struct):
    response: _Response | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def item_ids(output: object) -> list[str]:
    """The ids of what an answer consists of, as later requests may refer to them."""
    if not isinstance(output, list):
        return []
    ids = (item.get("id") for item in output[:_ITEMS_MOST] if isinstance(item, dict))
    return [each for each in ids if isinstance(each, str) and _ID.fullmatch(each)]


def is_over(status: object) -> bool:
    """Whether a response will not change any more."""
    return status in _OVER


class NewResponse(Keeping):
    """One that is being made."""

    def __init__(self, exchange: Exchange, owners: Owners, token: TokenView, model: str, *, background: bool) -> None:
        self._exchange, self._owners, self._token, self._model = exchange, owners, token, model
        self._background = background
        self._attempt: Attempt | None = None
        self._seen = bytearray()  # of its stream
        self._id = ""

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """As Keeping's. One that is not over yet is paid for when it is."""
        try:
            response = _decode_response(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        await self._own(response, item_ids(response.output))
        if self.pays_later:
            exchange.forget_usage()

    async def begun(self, piece: bytes) -> bool:
        """As Keeping's: the first event has the id."""
        if self._attempt is not self._exchange.attempts[-1]:  # what an earlier one began with is nobody's
            self._attempt = self._exchange.attempts[-1]
            self._seen.clear()
        self._seen += piece
        if b"\n" not in piece and b"\r" not in piece:
            return False  # the first line is not whole
        for line in bytes(self._seen).splitlines():
            if line.startswith(b"data:"):
                try:
                    event = _decode_event(line[5:])
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    break
                if event.response is not None:
                    await self._own(event.response, ())
                self._seen.clear()
                return True
        if len(self._seen) <= _HELD_MOST:
            return False
        self._exchange.flags.append(UNOWNED)
        return True

    async def ended(self, output: object) -> None:
        """As Keeping's."""
        if not self._id:
            return
        items = item_ids(output)
        try:
            await self._owners.note_items(self._token, self._route.credential.id, self._id, items)
        except ObjectsUnavailable:
            if self.pays_later:  # it still is to be paid, as far as others know
                self._exchange.forget_usage()
        self.pays_later = False

    @property
    def _route(self) -> Route:
        return self._exchange.attempts[-1].route

    async def _own(self, response: _Response, items: Sequence[str]) -> None:
        upstream_id = response.id
        if (
            not isinstance(upstream_id, str)
            or not _ID.fullmatch(upstream_id)
            or not self._route.serves(STORED_RESPONSES)
        ):
            return
        awaited = self._background and not is_over(response.status)
        made = new(
            self._token,
            self._route.credential.id,
            RESPONSE,
            upstream_id,
            model=self._model,
            items=items,
            end_user=self._exchange.end_user,
            tags=self._exchange.tags,
            awaited=awaited,
        )
        try:
            await self._owners.add(made)
        except ObjectsUnavailable:
            # The answer is paid for, and worth having though it cannot be referred to.
            self._exchange.flags.append(UNOWNED)
        else:
            self._id, self.pays_later = upstream_id, awaited
