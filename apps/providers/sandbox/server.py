"""HTTP/1.1 on a socket: reads requests within bounds, plays the sandbox's answers, and stops when the client leaves."""

import asyncio
import contextlib
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import cast

import httptools

from apps.providers.sandbox.errors import ApiError
from apps.providers.sandbox.faults import Ending, Step
from apps.providers.sandbox.service import Sandbox

MAX_HEAD = 64 * 1024  # bytes of request line and headers
MAX_AHEAD = 16  # requests that a client may send ahead of their answers


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, sandbox: Sandbox, connections: "set[Connection]", max_body: int) -> None:
        self._sandbox, self._connections, self._max_body = sandbox, connections, max_body
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._target = self._body = b""
        self._head_size = 0
        self._in_head = True
        self._parts: list[bytes] = []
        self._size = 0
        self._waiting: deque[tuple[Iterator[Step], bool]] = deque()  # answers to play, and whether to go on after each
        self._player: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._deaf = False  # a request was refused half-read: what else arrives is not looked at

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection up."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its ancestry
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._deaf:
            return
        if self._in_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer that we ignore
        except httptools.HttpParserError:
            self._refuse(ApiError(400, "The request is not HTTP/1.1."))
        if self._in_head and self._head_size > MAX_HEAD:
            self._refuse(ApiError(431, f"The request's headers exceed {MAX_HEAD} bytes."))

    def connection_lost(self, _: Exception | None) -> None:
        """The client has left, or we have: whatever was still to be said is dropped."""
        self._connections.discard(self)
        self._waiting.clear()
        if self._player:
            self._player.cancel()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target, self._parts, self._size = b"", [], 0

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if name.lower() == b"expect" and value.lower() == b"100-continue" and not self._player:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._in_head, self._head_size = False, 0

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size <= self._max_body:
            self._parts.append(body)
        elif not self._deaf:
            self._refuse(ApiError(413, f"The request's body exceeds {self._max_body} bytes.", code="request_too_large"))

    def on_message_complete(self) -> None:
        """A whole request is here."""
        self._in_head = True
        if self._deaf:
            return
        go_on = self._parser.should_keep_alive()
        method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
        self._play(self._sandbox.steps(method, target, b"".join(self._parts), keep_alive=go_on), go_on=go_on)

    # Answers

    def reset(self) -> None:
        """Cut the connection: the client sees a TCP reset."""
        linger = struct.pack("ii", 1, 0)  # on, 0 s: the kernel drops what is unsent and sends RST instead of FIN
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def _refuse(self, error: ApiError) -> None:
        self._deaf = True
        self._play(self._sandbox.refuse(error), go_on=False)

    def _play(self, steps: Iterator[Step], *, go_on: bool) -> None:
        self._waiting.append((steps, go_on))
        if len(self._waiting) > MAX_AHEAD:
            self._transport.abort()
        elif self._player is None:
            self._play_now()

    def _play_now(self) -> None:
        """Play what is waiting; a task is only made for what does not end in its first step."""
        while self._waiting:
            steps, go_on = self._waiting.popleft()
            opening = list(islice(steps, 2))
            if len(opening) == 2 or not isinstance(opening[0], bytes):
                whole = chain(opening, steps)
                self._player = asyncio.get_running_loop().create_task(self._play_slowly(whole, go_on=go_on))
                return
            self._transport.write(opening[0])
            if not go_on:
                self._transport.close()
                return

    async def _play_slowly(self, steps: Iterator[Step], *, go_on: bool) -> None:
        for step in steps:
            if not await self._do(step):
                return
        self._player = None
        if go_on:
            self._play_now()
        else:
            self._transport.close()

    async def _do(self, step: Step) -> bool:
        """Do one step. False when nothing can follow."""
        if isinstance(step, bytes):
            self._transport.write(step)
            # One chunk, one turn of the loop: other connections go on, and a full socket holds us back.
            await (asyncio.sleep(0) if self._writable.is_set() else self._writable.wait())
            return True
        if isinstance(step, Ending):
            if step is Ending.RESET:
                self.reset()
                return False
            await asyncio.get_running_loop().create_future()  # for ever: connection_lost cancels us
        else:
            await asyncio.sleep(step)
        return True


async def serve(sandbox: Sandbox, *, host: str, port: int, max_body: int, started: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT, then close every connection. `started` is told the URL when it accepts them.

    Raises OSError when the address cannot be listened on.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(sandbox, connections, max_body), host, port, backlog=1024)
    address = server.sockets[0].getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    started(f"http://{shown}:{address[1]}")
    await stop.wait()
    server.close()
    for connection in list(connections):
        with contextlib.suppress(OSError):  # it may have closed by itself meanwhile
            connection.reset()
    await server.wait_closed()
