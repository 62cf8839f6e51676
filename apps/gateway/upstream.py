"""Calling providers: two connection pools and the errors that they raise, in our words.

https and plain http have a pool each, since what they may connect to differs (apps.providers.egress); the check is made on every
address that is actually dialled.
"""

import asyncio
import io
import socket
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from apps.core.errors import (
    ConnectTimeout,
    EgressBlocked,
    GatewayError,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from apps.providers.egress import Egress

# aiohttp warns about larger bodies handed over in one piece, since writing them holds up the loop; a file object is sent in pieces.
_IN_ONE_PIECE = 256 * 1024


class _Blocked(OSError):
    """A connection that the egress rule forbids."""


class UpstreamPool:
    """The process's connections to providers."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._secure: aiohttp.ClientSession | None = None
        self._plain: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pools; call it on the loop that will use them."""
        self._secure = self._session(encrypted=True)
        self._plain = self._session(encrypted=False)

    async def stop(self) -> None:
        """Close every connection."""
        for session in (self._secure, self._plain):
            if session is not None:
                await session.close()

    async def post(
        self, url: URL, *, headers: CIMultiDict[str], body: bytes, timeouts: aiohttp.ClientTimeout, encrypted: bool
    ) -> aiohttp.ClientResponse:
        """Send and wait for the answer's head. Raises GatewayError; a redirect is an answer like any other."""
        session = self._secure if encrypted else self._plain
        if session is None:
            raise RuntimeError("the pool is not open")
        data: Any = body if len(body) <= _IN_ONE_PIECE else io.BytesIO(body)
        try:
            return await session.post(url, data=data, headers=headers, timeout=timeouts, allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise translate(exc) from exc

    def _session(self, *, encrypted: bool) -> aiohttp.ClientSession:
        def dial(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            if not self._egress.address_is_allowed(str(address[0]), encrypted=encrypted):
                raise _Blocked(f"{address[0]} may not be called")
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            return made

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15, socket_factory=dial, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
            skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
            read_bufsize=64 * 1024,
        )


def translate(exc: BaseException) -> GatewayError:
    """A library's exception as ours."""
    match exc:
        case aiohttp.ClientConnectorError():
            if _is_blocked(exc.os_error):
                return EgressBlocked()
            return UpstreamUnreachable(f"The provider could not be reached ({_kind(exc)}).")
        case aiohttp.ServerTimeoutError() | asyncio.TimeoutError():
            return ConnectTimeout()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | aiohttp.ClientOSError():
            return UpstreamDisconnected()
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return UpstreamMalformed()
        case OSError() if _is_blocked(exc):
            return EgressBlocked()
        case _:
            return UpstreamDisconnected()


def _is_blocked(exc: BaseException | None) -> bool:
    """Whether the rule forbade every address that was tried (several failures arrive as one, by their text)."""
    return isinstance(exc, _Blocked) or (exc is not None and "may not be called" in str(exc))


def _kind(exc: aiohttp.ClientConnectorError) -> str:
    match exc:
        case aiohttp.ClientConnectorCertificateError():
            return "its TLS certificate is not valid"
        case aiohttp.ClientConnectorDNSError():
            return "its name does not resolve"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case _ if isinstance(exc.os_error, ConnectionRefusedError):
            return "it refuses connections"
        case _:
            return "no connection"
