"""What is heard in a session and written down by another model, which is paid for apart."""

from math import ceil
from typing import Any

from apps.core.errors import GatewayError
from apps.gateway.governance.hearing import HEARING
from apps.gateway.realtime.pieces import TRANSCRIPTION, Paid, Piece, PieceHead, Till
from apps.providers.usage import Usage, transcription_usage

_BLOCK = 600  # seconds of audio that one hold is for
_ITEMS_MOST = 32  # that are being transcribed; the oldest of more is taken for done


class _Item:
    """Audio that is transcribed as one."""

    __slots__ = ("held", "seconds", "seconds_most")

    def __init__(self) -> None:
        self.held: list[Piece] = []
        self.seconds = 0.0
        self.seconds_most = 0.0


class Transcripts:
    """Audio is held for before it is sent, so much of it at a time; an item of it is over when its transcript comes."""

    def __init__(self, till: Till, otherwise: Paid) -> None:
        """`otherwise`: what a transcript is paid as that nobody has asked for."""
        self._till, self._otherwise = till, otherwise
        self._paid: Paid | None = None
        self._coming = _Item()  # what has been sent and is no item yet
        self._items: dict[str, _Item] = {}

    async def use(self, paid: Paid | None) -> None:
        """Transcribe by this model from now on; None: not at all. Raises what admission does, and nothing has changed."""
        paid_before, held_before = self._paid, self._coming.held
        self._paid, self._coming.held = paid, []
        try:
            await self._hold()
        except GatewayError:
            self._let_go(self._coming)
            self._paid, self._coming.held = paid_before, held_before
            raise
        for piece in held_before:
            piece.drop()

    async def hear(self, seconds: float, seconds_most: float) -> None:
        """The client sends audio. Raises what admission does."""
        self._coming.seconds += seconds
        self._coming.seconds_most += seconds_most
        await self._hold()

    async def commit(self, item_id: str) -> None:
        """What has been sent is an item from now on. Raises what admission does for the next one."""
        if self._paid is None:
            self._coming.seconds = self._coming.seconds_most = 0.0
            return
        if len(self._items) >= _ITEMS_MOST:
            self._end(self._items.pop(next(iter(self._items))), None)
        item, self._coming = self._coming, _Item()
        self._items[item_id] = item
        for piece in item.held[:1]:
            piece.begin(item_id)
        await self._hold()

    async def end(self, item_id: str, usage: Any) -> None:
        """An item's transcript has come, with its usage. Raises what admission does, for one that was not heard of before."""
        told = transcription_usage({"usage": usage})
        if item_id not in self._items and self._paid is not None:
            await self.commit(item_id)
        item = self._items.pop(item_id, None)
        if item is not None:
            self._end(item, told)
        elif told is not None:
            # The provider transcribes of its own accord, by a model that it does not name.
            piece = await self._till.take(self._otherwise, TRANSCRIPTION, PieceHead(seconds_most=_BLOCK))
            piece.begin(item_id)
            piece.end(told)

    def fail(self, item_id: str) -> None:
        """An item could not be transcribed: it costs nothing."""
        if (item := self._items.pop(item_id, None)) is not None:
            self._let_go(item)

    def stop(self, error: GatewayError) -> None:
        """The session ends. Items whose transcripts have not come are estimated."""
        for item in self._items.values():
            self._end(item, None, error)
        self._items.clear()
        self._let_go(self._coming)

    async def _hold(self) -> None:
        while (paid := self._paid) is not None and len(self._coming.held) * _BLOCK <= self._coming.seconds_most:
            self._coming.held.append(await self._till.take(paid, TRANSCRIPTION, PieceHead(seconds_most=_BLOCK)))

    def _let_go(self, item: _Item) -> None:
        for piece in item.held:
            piece.drop()
        item.held.clear()

    def _end(self, item: _Item, told: Usage | None, error: GatewayError | None = None) -> None:
        if not item.held:
            return
        piece = item.held.pop(0)
        self._let_go(item)
        exchange = piece.exchange
        sheet = piece.paid.route.sheet(exchange.arrived_at)
        head = PieceHead(seconds=ceil(item.seconds))
        piece.end(HEARING.used(head, b"", told, whole=told is not None, sheet=sheet), error)
