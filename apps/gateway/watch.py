"""What may end a call early: the client leaving, and time. One timer and one task a call, nothing per chunk but a clock reading."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from apps.core.errors import (
    ClientClosed,
    FirstByteTimeout,
    GatewayError,
    IdleTimeout,
    ShuttingDown,
    TotalTimeout,
)
from apps.gateway.config import Timeouts
from apps.gateway.server import CLIENT, Client

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Watch:
    """Interrupts the task that made it, once, by cancelling it; `reason` then says why.

    The server never reports a client that left to whoever sends. Ours calls back (apps.gateway.server); under another, a task
    waits on `receive`. A single timer covers first byte, idle and total: when it fires too early, because something has happened
    since, it sets itself again.
    """

    __slots__ = (
        "_client",
        "_due",
        "_error",
        "_first_byte",
        "_idle",
        "_loop",
        "_task",
        "_timer",
        "_total_at",
        "_waiter",
        "reason",
    )

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        """Call it in the task to be interrupted, after the request body has been read."""
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a watch needs a task to interrupt")
        self._task = task
        self.reason: GatewayError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle = self._first_byte = self._total_at = self._due = 0.0
        self._error: type[GatewayError] = FirstByteTimeout
        self._waiter: asyncio.Task[None] | None = None
        self._client: Client | None = scope.get(CLIENT)
        if self._client is not None:
            self._client.watch(self._client_gone)
        else:
            self._waiter = self._loop.create_task(self._wait_for_disconnect(receive))

    def begin(self, timeouts: Timeouts) -> None:
        """A request goes upstream, on a connection that is open: the first byte is due. Connecting has a limit of its own."""
        now = self._loop.time()
        self._total_at = now + timeouts.total
        self._idle, self._first_byte = timeouts.idle, timeouts.first_byte
        self._due = now + timeouts.first_byte
        self._error = FirstByteTimeout
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(self._due, self._total_at), self._fire)

    def heard(self) -> None:
        """Something came from upstream; the next chunk is due within the idle timeout."""
        self._due = self._loop.time() + self._idle
        self._error = IdleTimeout

    def sending(self) -> None:
        """The provider takes what it is sent; its first byte is due that long after the last of it."""
        self._due = self._loop.time() + self._first_byte

    def first_heard(self) -> None:
        """As `heard`, when what was due until now was the first byte: the timer may be set for much later than an idle stream."""
        self.heard()
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = self._loop.call_at(min(self._due, self._total_at), self._fire)

    def waiting_for_client(self) -> None:
        """Upstream is not to blame while the client takes its time; only the total counts."""
        self._due = self._total_at

    def close(self) -> None:
        """Nothing is interrupted from here on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._client is not None:
            self._client.watch(None)
            self._client = None
        if self._waiter is not None:
            self._waiter.cancel()
            self._waiter = None

    def interrupt(self, reason: GatewayError) -> None:
        """Cancel the task, saying why; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._task.cancel()

    def why(self) -> GatewayError:
        """Why the task was cancelled: our reason, or the server's, which cancels only when it stops. Call it on CancelledError."""
        if self.reason is None:
            return ShuttingDown()
        self._task.uncancel()
        return self.reason

    def _fire(self) -> None:
        now = self._loop.time()
        at = min(self._due, self._total_at)
        if now < at:
            self._timer = self._loop.call_at(at, self._fire)
        else:
            self.interrupt(TotalTimeout() if now >= self._total_at else self._error())

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client_gone()

    def _client_gone(self) -> None:
        self.interrupt(ClientClosed())
