"""The store: kept connected, its scripts loaded, its run known."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.connection import SSLConnection, parse_url

from apps.core.logs import get_logger
from apps.gateway.store.connection import StoreAway, StoreConnection, StoreRefusal, Told, arguments, command
from apps.policies.counters import scripts
from apps.policies.counters.scripts import Script

log = get_logger(__name__)

_CONNECT = 3.0  # seconds
_SILENCE = 2.0  # a store that owes an answer for longer than this is away
_PAUSES = (0.05, 0.5)  # seconds between attempts to connect: the first, and the most
_PORT = 6379


class Store:
    """One kept connection. `on_connected` is called on each new one, before any other call can be made on it."""

    def __init__(self, url: str) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))
        self._connection: StoreConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self.run_id = ""  # changes when the server starts again, and with it may go what it was told last
        self.on_connected: Callable[[], None] = lambda: None

    async def start(self, wait: float) -> None:
        """Connect, and stay connected. Waits so many seconds at most for the first connection."""
        self._task = asyncio.create_task(self._keep_connected(), name="store")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._arrived.wait()

    async def stop(self) -> None:
        """Close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.abort()

    @property
    def is_connected(self) -> bool:
        """Whether calls can be made right now."""
        return self._connection is not None and self._connection.is_open

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a command that was packed before. Raises StoreAway; so may the future."""
        if self._connection is None:
            raise StoreAway("the store cannot be reached")
        return self._connection.call(packed)

    def tell(self, packed: bytes, told: Told) -> None:
        """Send a command whose answer nobody waits for: `told` is called if it fails. Raises StoreAway."""
        if self._connection is None:
            raise StoreAway("the store cannot be reached")
        self._connection.tell(packed, told)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script where speed does not matter. Raises StoreAway, StoreRefusal."""
        packed = command("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self.send(packed)
        except StoreRefusal as why:
            if not why.is_forgotten_script:
                raise
        await self.load_scripts()
        return await self.send(packed)

    async def execute(self, *parts: str | int) -> Any:
        """Run a plain command. Raises StoreAway, StoreRefusal."""
        return await self.send(command(*parts))

    async def load_scripts(self) -> None:
        """Tell the store its scripts again. Raises StoreAway, StoreRefusal."""
        log.warning("store_forgot_scripts")
        for script in scripts.ALL:
            await self.execute("SCRIPT", "LOAD", script.source)

    async def _keep_connected(self) -> None:
        pause, away = _PAUSES[0], False
        while True:
            try:
                connection = await self._connect()
            except (OSError, TimeoutError, StoreAway, StoreRefusal) as why:
                if not away:
                    log.error("store_away", why=str(why) or type(why).__name__)
                away = True
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)
                pause = min(2 * pause, _PAUSES[1])
                continue
            if away:
                log.info("store_back")
            pause, away = _PAUSES[0], False
            self._connection = connection
            self.on_connected()
            self._arrived.set()
            try:
                await self._watch(connection)
            finally:
                self._connection = None
                connection.abort()
            log.error("store_away", why="the connection was lost")
            away = True

    async def _watch(self, connection: StoreConnection) -> None:
        while not connection.closed.done():
            await asyncio.wait({connection.closed}, timeout=_SILENCE / 4)
            if connection.silent_for() > _SILENCE:
                connection.abort()

    async def _connect(self) -> StoreConnection:
        options = self._options
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT):
            if path := options.get("path"):
                _, connection = await loop.create_unix_connection(StoreConnection, path)
            else:
                host, port = options.get("host") or "localhost", options.get("port") or _PORT
                tls = ssl.create_default_context() if options.get("connection_class") is SSLConnection else None
                _, connection = await loop.create_connection(StoreConnection, host, port, ssl=tls)
            try:
                await self._greet(connection)
            except BaseException:
                connection.abort()
                raise
        return connection

    async def _greet(self, connection: StoreConnection) -> None:
        options = self._options
        if password := options.get("password"):
            user = options.get("username")
            await connection.call(command("AUTH", *((user,) if user else ()), password))
        if database := options.get("db"):
            await connection.call(command("SELECT", database))
        await connection.call(command("CLIENT", "SETNAME", "tollgate-gateway"))
        told = await connection.call(command("INFO", "server"))
        self.run_id = next((line[7:].strip() for line in told.splitlines() if line.startswith("run_id:")), "")
        if not self.run_id:
            raise StoreRefusal("the store does not tell its run_id (INFO server)")
        for script in scripts.ALL:
            await connection.call(command("SCRIPT", "LOAD", script.source))


def prepared(script: Script, keys: Sequence[str], fixed: Sequence[str], more: int) -> bytes:
    """The beginning of an EVALSHA that `more` arguments will follow."""
    count = 3 + len(keys) + len(fixed) + more
    return b"*%d\r\n" % count + arguments(("EVALSHA", script.sha, len(keys), *keys, *fixed))
