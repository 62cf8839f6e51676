"""One connection to the store. Calls of one turn of the event loop leave in one write, and answers come back in their order.

Ours rather than a general client's, which spends three times as long on a call (bench/README.md): all that is asked on this path
is EVALSHA. hiredis parses the answers.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import hiredis


class StoreAway(Exception):
    """The store cannot be reached, or the connection broke before it answered: what was asked may or may not have been done."""


class StoreRefusal(Exception):
    """The store answered with an error, and has done nothing."""

    @property
    def is_forgotten_script(self) -> bool:
        """The store does not know the script: it was restarted behind a proxy, or its scripts were flushed."""
        return str(self).startswith("NOSCRIPT")

    @property
    def passes(self) -> bool:
        """Whether the same command may succeed later."""
        return str(self).partition(" ")[0] in _PASSING


_PASSING = frozenset(
    {"NOSCRIPT", "LOADING", "BUSY", "OOM", "READONLY", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"}
)

# Called with the command that failed, and why.
Told = Callable[[bytes, StoreAway | StoreRefusal], None]


class Notice:
    """A command whose failure alone is of interest."""

    __slots__ = ("packed", "told")

    def __init__(self, told: Told, packed: bytes) -> None:
        self.told, self.packed = told, packed


def command(*parts: str | bytes | int) -> bytes:
    """A whole command in the store's protocol (RESP)."""
    return b"*%d\r\n" % len(parts) + arguments(parts)


def arguments(parts: Iterable[str | bytes | int]) -> bytes:
    """Arguments as they lie within a command, whose count stands before them."""
    out = []
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(out)


class StoreConnection(asyncio.Protocol):
    """The protocol of one connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        # In the order asked: a future, or what `tell` was given.
        self._waiting: deque[asyncio.Future[Any] | Notice] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._heard_at = self._loop.time()
        self.closed = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._transport is not None and not self._transport.is_closing()

    def silent_for(self) -> float:
        """Seconds since the store last answered, while it owes an answer; 0 if it owes none."""
        return self._loop.time() - self._heard_at if self._waiting else 0.0

    def call(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a command; its answer in time. Raises StoreAway if the connection is closed; so may the future, or StoreRefusal."""
        if self._transport is None or self._transport.is_closing():
            raise StoreAway("the connection to the store is closed")
        if not self._waiting:
            self._heard_at = self._loop.time()
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)
        answer = self._loop.create_future()
        self._waiting.append(answer)
        return answer

    def tell(self, packed: bytes, told: Told) -> None:
        """Send a command whose answer nobody waits for: `told` is called if it fails. Raises StoreAway if it cannot be sent."""
        if self._transport is None or self._transport.is_closing():
            raise StoreAway("the connection to the store is closed")
        if not self._waiting:
            self._heard_at = self._loop.time()
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)
        self._waiting.append(Notice(told, packed))

    def abort(self) -> None:
        """Close at once; who waits for an answer is told."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call: connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's call: some answers."""
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        self._heard_at = self._loop.time()
        try:
            while (reply := reader.gets()) is not False:
                answer = waiting.popleft()
                if isinstance(answer, Notice):
                    if isinstance(reply, hiredis.ReplyError):
                        answer.told(answer.packed, StoreRefusal(str(reply)))
                    continue
                if answer.done():
                    continue
                if isinstance(reply, hiredis.ReplyError):
                    answer.set_exception(StoreRefusal(str(reply)))
                else:
                    answer.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.abort()  # what came is no answer to anything

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call: closed, by whomever."""
        self._transport = None
        lost = StoreAway(f"the connection to the store was lost ({exc or 'closed'})")
        while self._waiting:
            answer = self._waiting.popleft()
            if isinstance(answer, Notice):
                answer.told(answer.packed, lost)
            elif not answer.done():
                answer.set_exception(lost)
        if not self.closed.done():
            self.closed.set_result(None)
