"""The process's connections to providers, kept while they are likely to be needed again."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.gateway.upstream.connection import Connection
from apps.gateway.upstream.dialing import Dialer

# Shorter than providers' and load balancers' own limits, so that it is we who close: a request sent while they do would be lost.
_IDLE_SECONDS = 15.0
_IDLE_MAX = 512  # for one origin


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead. Credentials with the same origin share them."""

    host: str
    port: int
    encrypted: bool

    @classmethod
    def of(cls, url: str) -> "Origin":
        """The origin of a base URL that has been checked (apps.core.egress)."""
        parts = urlsplit(url)
        encrypted = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if encrypted else 80), encrypted)

    @property
    def authority(self) -> str:
        """The Host header: the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.encrypted else 80) else f"{host}:{self.port}"


class UpstreamPool:
    """Gives out connections, kept ones where there are any."""

    def __init__(self, dialer: Dialer, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._dialer = dialer
        self._idle_seconds = idle_seconds
        self._idle: dict[Origin, deque[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to close what lies idle; call it on the loop that will use the pool."""
        self._sweep()

    async def stop(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.abort()
        await asyncio.sleep(0)  # their callbacks run

    async def connection(self, origin: Origin, *, connect_timeout: float) -> Connection:
        """An open connection, to be used for one request at once. Raises ConnectTimeout, EgressBlocked, UpstreamUnreachable."""
        if kept := self._take(origin):
            return kept
        connection = self._make(origin)
        try:
            return await self._dialer.dial(origin, connect_timeout, lambda: connection)
        except BaseException:
            self._open.discard(connection)  # it was never open, so nobody will say that it is lost
            raise

    @property
    def size(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def _make(self, origin: Origin) -> Connection:
        connection = Connection(lambda idle: self._keep(origin, idle), lambda lost: self._forget(origin, lost))
        self._open.add(connection)
        return connection

    def _take(self, origin: Origin) -> Connection | None:
        """The connection used last: it is the likeliest to be alive, and the others can grow old."""
        idle = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while idle:
            connection = idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        connection.idle_since = asyncio.get_running_loop().time()
        idle = self._idle.setdefault(origin, deque())
        idle.append(connection)
        if len(idle) > _IDLE_MAX:
            idle.popleft().abort()

    def _forget(self, origin: Origin, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(origin)
        if idle is not None:
            with contextlib.suppress(ValueError):
                idle.remove(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_seconds
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since <= oldest:
                idle.popleft().abort()
            if not idle:
                del self._idle[origin]
        self._sweeper = loop.call_later(self._idle_seconds / 3, self._sweep)
