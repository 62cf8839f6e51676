"""Opening connections: names to addresses, each address held against the egress rule, TLS, all within the connect timeout."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Protocol

import aiohappyeyeballs

from apps.core.egress import Egress
from apps.core.errors import ConnectTimeout, EgressBlocked, UpstreamUnreachable

_RESOLVED_SECONDS = 10.0
_RESOLVED_MAX = 1_000

AddressInfo = tuple[Any, ...]


class Place(Protocol):
    """What a dialer must know of an origin."""

    @property
    def host(self) -> str:
        """Name or literal address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""


class Dialer:
    """Opens connections that the egress rule allows. The check is on the addresses that are dialled, and no others are."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._resolved: dict[tuple[str, int], tuple[float, list[AddressInfo]]] = {}

    async def dial[P: asyncio.BaseProtocol](self, place: Place, seconds: float, make: Callable[[], P]) -> P:
        """An open connection. Raises ConnectTimeout, EgressBlocked or UpstreamUnreachable."""
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._addresses(place)
                connected = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=0.25, interleave=1)
                return await self._open(connected, place, make)
        except TimeoutError as exc:
            raise ConnectTimeout from exc
        except (OSError, UnicodeError) as exc:  # a name that cannot be one, such as a..b
            raise UpstreamUnreachable(f"The provider could not be reached ({_why(exc)}).") from exc

    async def _addresses(self, place: Place) -> list[AddressInfo]:
        found = await self._resolve(place.host, place.port)
        allowed = [info for info in found if self._egress.address_is_allowed(info[4][0], encrypted=place.encrypted)]
        if not allowed:
            raise EgressBlocked
        return allowed

    async def _resolve(self, host: str, port: int) -> list[AddressInfo]:
        now = time.monotonic()
        until, found = self._resolved.get((host, port), (0.0, []))
        if until > now:
            return found
        loop = asyncio.get_running_loop()
        found = list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        if len(self._resolved) >= _RESOLVED_MAX:
            self._resolved.clear()
        self._resolved[host, port] = (now + _RESOLVED_SECONDS, found)
        return found

    async def _open[P: asyncio.BaseProtocol](self, connected: socket.socket, place: Place, make: Callable[[], P]) -> P:
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await asyncio.get_running_loop().create_connection(
                make,
                sock=connected,
                ssl=self._tls if place.encrypted else None,
                server_hostname=place.host if place.encrypted else None,
            )
        except BaseException:
            connected.close()
            raise
        return connection


def _why(exc: OSError | UnicodeError) -> str:
    match exc:
        case ssl.SSLCertVerificationError():
            return f"its TLS certificate is not valid: {exc.verify_message}"
        case ssl.SSLError():
            return "TLS failed"
        case socket.gaierror() | UnicodeError():
            return "its name does not resolve"
        case ConnectionRefusedError():
            return "it refuses connections"
        case _:
            return "no connection"
