"""uvicorn's HTTP protocol, with a bound on what a request's head may weigh, and a shorter way to the client (`Client`).

ASGI's own way stays what it is and works under any server; the shorter one spares a task that waits for `http.disconnect`, a
second write for every whole answer, and a task's step and two dictionaries for every chunk of a stream.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from apps.core.errors import HeadersTooLarge
from apps.core.ids import request_id, uuid7
from apps.core.logs import get_logger
from apps.providers.dialects import openai

log = get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024

# The key in an ASGI scope under which the request's Client lies.
CLIENT = "tollgate.client"


class Client:
    """One request's way back to whoever made it, on uvicorn's own state. For HTTP/1.1, and after the request has been read."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: "BoundedHttpProtocol", cycle: RequestResponseCycle) -> None:
        self._protocol, self._cycle = protocol, cycle

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Call `callback`, once, if the connection is lost; None: no more."""
        self._protocol.on_disconnect = callback
        if callback is None:
            return
        if self._cycle.disconnected:  # already, while the request was being looked at
            self._protocol.on_disconnect = None
            self._protocol.loop.call_soon(callback)
        else:
            # A large body may have stopped the reading, and who does not read never learns that a client has left.
            self._cycle.flow.resume_reading()

    @property
    def is_reading(self) -> bool:
        """Whether the client takes what it is sent; if not, wait for `drain` before writing more."""
        return not self._cycle.flow.write_paused or self._cycle.disconnected

    async def drain(self) -> None:
        """Wait until the client reads again, or has gone."""
        await self._cycle.flow.drain()

    def write(self, piece: bytes) -> None:
        """One chunk of an answer whose head has been sent without a length. Into the void if the client has gone."""
        cycle = self._cycle
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer in one write. `headers` have the length, are in lower case and come from us or a parser."""
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started:
            return
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if (b"connection", b"close") in headers:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", body)
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class BoundedHttpProtocol(HttpToolsProtocol):
    """Counts the bytes of a request's head as they arrive and refuses more than MAX_HEAD_BYTES with 431."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_is_too_large = False
        self._in_body = False
        self._head_timer: asyncio.TimerHandle | None = None  # while a head is awaited or incomplete
        self.on_disconnect: Callable[[], None] | None = None  # of the request being answered; later ones wait for it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """As uvicorn's; the first request is due."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(settings.REQUEST_HEAD_TIMEOUT, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's; then whoever watches is told."""
        super().connection_lost(exc)
        self._head_has_come()
        callback, self.on_disconnect = self.on_disconnect, None
        if callback is not None:
            callback()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, once the head's size is known to be bearable."""
        if not self._in_body:
            self._head_bytes += len(data)
            # One read may hold the head and much of the body: a head that ends in it is weighed when it is whole.
            super().data_received(data)
            if not self._in_body and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
            elif self._head_bytes and self._head_timer is None:
                # A head in pieces. Whoever sends them slowly enough would keep the connection for good.
                self._head_timer = self.loop.call_later(settings.REQUEST_HEAD_TIMEOUT, self.transport.close)
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_body = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole. Raises HeadersTooLarge, which ends the parsing (see send_400_response)."""
        if self._head_bytes > MAX_HEAD_BYTES:
            weight = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if weight > MAX_HEAD_BYTES:
                self._head_is_too_large = True
                raise HeadersTooLarge
        self._in_body = True
        self._head_bytes = 0
        self._head_has_come()
        super().on_headers_complete()
        # The request's task has been made, and runs when this callback is over.
        cast("dict[str, object]", self.scope)[CLIENT] = Client(self, self.cycle)

    def on_message_complete(self) -> None:
        """It is whole; the next one's head may follow on this connection."""
        super().on_message_complete()
        self._in_body = False

    def _head_has_come(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, to what is no HTTP; a head that we refused to parse has an answer of its own."""
        if self._head_is_too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        shown_id = request_id(uuid7())
        body = openai.error_body(HeadersTooLarge(), shown_id)
        # Whose request it is stands in what we do not read, so the log is all that knows of it.
        log.warning("head_refused", request_id=shown_id, client=self.client and self.client[0])
        transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\nx-should-retry: false\r\n"
            b"x-request-id: %s\r\nrequest-id: %s\r\n\r\n%s" % (len(body), *(2 * (shown_id.encode(),)), body)
        )
        transport.close()
