"""One connection to a provider: requests go out as bytes, answers come back piece by piece, one at a time."""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from typing import cast

import httptools

from apps.core.errors import GatewayError, UpstreamDisconnected, UpstreamMalformed

# More than this unread, and the socket is left to fill up: what the client does not take is not taken from the provider either.
_UNREAD_MAX = 256 * 1024
_HEAD_MAX = 128 * 1024


class Response:
    """An answer as it arrives. `status` and `headers` are there once `Connection.send` has returned; the body is read on."""

    __slots__ = ("_connection", "_consume", "_error", "_pieces", "_unread", "_waiter", "complete", "headers", "status")

    def __init__(self, connection: "Connection") -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.complete = False  # nothing more will come
        self._connection: Connection | None = connection
        self._pieces: list[bytes] = []
        self._unread = 0
        self._error: GatewayError | None = None
        self._consume: Callable[[bytes], bool] | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """What has arrived since the last call, or arrives next; empty at the end. Raises GatewayError if it breaks off.

        For one reader at a time. What arrived before a break is given before the error.
        """
        # A loop, as bytes may come that are none of the body: the size of a chunk in a packet of its own.
        while not self._pieces:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take()

    async def ready(self) -> None:
        """Until something is there to be read, or nothing more will come. Raises GatewayError if it breaks off before.

        As `read`, for one reader at a time, but takes nothing.
        """
        while not self._pieces and not self.complete:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        if self._unread > _UNREAD_MAX and self._connection is not None:
            self._connection.resume()
        self._unread = 0
        return data

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        """Hand over what comes in the callback that brings it, instead of waking a reader for each piece.

        Returns True at the end, False once `consume` has: what comes after that waits to be read. Raises like `read`.
        """
        self._consume = consume
        try:
            while True:
                if not self.deliver():
                    return False
                if self.complete:
                    return True
                if self._error is not None:
                    raise self._error
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
        finally:
            self._consume = self._waiter = None

    def close(self) -> None:
        """Nobody reads on: an answer that is not complete takes its connection with it, so that the provider stops."""
        if self._connection is not None:
            self._connection.abort()

    # Called by the connection

    def feed(self, piece: bytes) -> bool:
        """A piece of the body has come; returns whether the socket should go on."""
        self._pieces.append(piece)
        self._unread += len(piece)
        return self._unread <= _UNREAD_MAX

    def deliver(self) -> bool:
        """What has come in one go is there: hand it over, or let the reader look. Returns whether more is wanted at once."""
        if self._consume is not None:
            if not self._pieces or self._consume(self._take()):
                return True
            self._consume = None
        self.wake()
        return False

    def wake(self) -> None:
        """Let the reader look."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def finish(self, error: GatewayError | None = None) -> None:
        """The answer has ended, well or with an error; the connection is not its own any more."""
        self._connection = None
        self._error = error
        self.complete = error is None
        self.wake()


class Connection(asyncio.Protocol):
    """One socket. Between answers it lies in the pool (`on_idle`); `on_lost` is told when it is gone."""

    def __init__(self, on_idle: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]) -> None:
        self._on_idle, self._on_lost = on_idle, on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._head: asyncio.Future[None] | None = None
        self._head_bytes = 0
        self._until_close = False
        self._paused = False
        self._writable: asyncio.Future[None] | None = None  # while the provider does not take what it is sent
        self._is_sending = False  # a body of which more is to come
        self._news = select.poll()
        self.idle_since = 0.0  # loop time

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent on it.

        The kernel is asked as well: the provider may have closed it a moment ago, which the loop has yet to tell us, and a request
        sent after that would be lost.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or self._response is not None:
            return False
        return not self._news.poll(0)

    async def send(self, head: bytes, body: bytes) -> Response:
        """Send one request; returns when the answer's head is there. Raises GatewayError; cancelled, it closes the connection."""
        transport = self._transport
        if transport is None or self._response is not None:
            raise UpstreamDisconnected
        response = self._response = Response(self)
        self._head_bytes = 0
        self._until_close = False
        arrived = self._head = asyncio.get_running_loop().create_future()
        if len(body) <= _UNREAD_MAX:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        try:
            await arrived
        except BaseException:
            # A short answer may be complete by now, and the connection another's.
            response.close()
            raise
        return response

    async def send_streamed(self, head: bytes, pieces: AsyncIterator[bytes], sent: Callable[[], None]) -> Response:
        """As `send`, for a body that comes in pieces, none of which is asked for before the last one is on its way.

        `sent` is called after each. A provider that answers before it has heard all is sent no more.
        """
        transport = self._transport
        if transport is None or self._response is not None:
            raise UpstreamDisconnected
        response = self._response = Response(self)
        self._head_bytes = 0
        self._until_close = False
        arrived = self._head = asyncio.get_running_loop().create_future()
        self._is_sending = True
        transport.write(head)
        try:
            async for piece in pieces:
                if arrived.done():
                    break
                transport.write(piece)
                if self._writable is not None:
                    # Whichever comes first; a connection that is lost ends both.
                    await asyncio.wait((self._writable, arrived), return_when=asyncio.FIRST_COMPLETED)
                sent()
            else:
                self._is_sending = False
            await arrived
        except BaseException:
            arrived.cancel()
            response.close()
            raise
        return response

    def abort(self) -> None:
        """Close at once, without a farewell that could be waited for."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Take from the socket again."""
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._news.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        response = self._response
        if response is None:  # nobody asked: a farewell, or a provider out of step
            self.abort()
            return
        if self._head is not None and not self._head.done():
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(UpstreamMalformed())
            return
        if self._head_bytes > _HEAD_MAX and self._head is not None and not self._head.done():
            self._fail(UpstreamMalformed("The provider's answer has too large a head."))
        else:
            response.deliver()

    def eof_received(self) -> bool:
        """The provider has said all: an answer without a length ends here, any other breaks off."""
        if self._response is not None and self._until_close:
            self._complete(keep=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._transport = None
        if self._response is not None:
            if self._until_close and exc is None:
                self._complete(keep=False)
            else:
                error = UpstreamDisconnected()
                error.__cause__ = exc
                self._fail(error)
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The provider does not take what it is sent."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It does again."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # httptools' callbacks

    def on_message_begin(self) -> None:
        """An answer begins: if nobody asked for one, what follows must not be taken for the next request's."""
        if self._response is None:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer; those that follow its body are nobody's."""
        if self._response is not None and not self._response.status:
            self._response.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        response, status = self._response, self._parser.get_status_code()
        if response is None:
            return
        if status < 200:  # "100 Continue" and the like: the answer is still to come
            response.headers.clear()
            return
        response.status = status
        names = {name for name, _ in response.headers}
        self._until_close = (
            b"content-length" not in names and b"transfer-encoding" not in names and status not in (204, 304)
        )
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if (
            self._response is not None
            and not self._response.feed(body)
            and not self._paused
            and self._transport is not None
        ):
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._response is not None and self._response.status:
            self._complete(keep=self._parser.should_keep_alive())

    def _complete(self, *, keep: bool) -> None:
        response, self._response = self._response, None
        self._head = None
        if response is None:
            return
        response.finish()
        self.resume()
        transport = self._transport
        # With part of the request unsent, as the provider did not wait for it, the next one might never get through.
        if (
            keep
            and not self._is_sending
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            self._on_idle(self)
        else:
            self.abort()

    def _fail(self, error: GatewayError) -> None:
        response, self._response = self._response, None
        head, self._head = self._head, None
        if head is not None and not head.done():
            head.set_exception(error)
        if response is not None:
            response.finish(error)
        self.abort()
