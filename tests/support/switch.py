"""A switch in the wire to PostgreSQL: off, every connection breaks and no new one is made, as when the server is stopped."""

import asyncio
import contextlib
import threading
from typing import Self
from urllib.parse import parse_qsl, urlsplit


class DatabaseSwitch:
    """Forwards a local port to the PostgreSQL of a URL, byte by byte. A context manager; `url` leads through the switch."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder = dict(parse_qsl(parts.query)).get("host") or ""
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._parts = parts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database-switch", daemon=True)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._own_port = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.on()
        user = self._parts.netloc.rpartition("@")[0]
        netloc = (f"{user}@" if user else "") + f"127.0.0.1:{self._own_port}"
        self.url = self._parts._replace(netloc=netloc, query="").geturl()
        return self

    def __exit__(self, *_: object) -> None:
        self.off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def on(self) -> None:
        """PostgreSQL is there."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(5)

    def off(self) -> None:
        """PostgreSQL is gone: connections are reset, new ones refused."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._own_port)
        self._own_port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._pipes):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Known from the start: PostgreSQL may go while this is still connecting to it.
        self._pipes.add(writer)
        connecting = asyncio.current_task()
        assert connecting is not None
        self._tasks.add(connecting)
        connecting.add_done_callback(self._tasks.discard)
        try:
            if self._folder:
                far = await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._port}")
            else:
                far = await asyncio.open_connection(self._host, self._port)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            self._pipes.discard(writer)
            return
        for source, sink in ((reader, far[1]), (far[0], writer)):
            self._pipes.add(sink)
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._pipes.discard(sink)
