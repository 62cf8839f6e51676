"""The provider's end of a session: a WebSocket over a connection that our own dialer has made.

So the egress rule holds for it as for every call, and neither a proxy of the environment nor a redirect is followed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.uri import WebSocketURI

from apps.core.errors import (
    FirstByteTimeout,
    GatewayError,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from apps.gateway.directory.views import Account, Route
from apps.gateway.exchange import Headers
from apps.gateway.upstream.dialing import Dialer

_QUEUE = 4  # messages read ahead of the client
_PING = 20.0  # seconds; what lies between must not take a silent session for a dead one
_CLOSE = 2.0  # seconds that the provider may take to say farewell
_ABNORMAL = 1006
_AZURE = "azure_openai"

_quiet = logging.getLogger("tollgate.websocket.upstream")
_quiet.setLevel(logging.WARNING)


class Refused(Exception):
    """The provider answers, but not with a WebSocket."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        super().__init__()


class Ended(Exception):
    """The provider has closed. `is_broken`: it has not; its connection is gone (1006), or we had to close it for what it sent."""

    def __init__(self, code: int, reason: str, *, is_broken: bool = False) -> None:
        self.code, self.reason, self.is_broken = code, reason, is_broken
        super().__init__()


def target_of(account: Account, route: Route, *, transcribes: bool) -> str:
    """Path and query of a session with the route's model, or of one that only transcribes."""
    head = account.head("GET", "/realtime", content_type="")
    target = head.split(b" ", 2)[1].decode()
    dated = account.credential.provider == _AZURE and bool(account.api_version)
    named = f"{'deployment' if dated else 'model'}={quote(route.upstream_model, safe='')}"
    query = "intent=transcription" if transcribes else named
    return target + ("&" if "?" in target else "?") + query


async def dial(
    dialer: Dialer, account: Account, target: str, headers: Iterable[tuple[bytes, bytes]], max_bytes: int
) -> "Provider":
    """An open session. `headers`: the client's that pass. Raises Refused, GatewayError."""
    credential = account.credential
    origin, timeouts = credential.origin, credential.timeouts
    path, _, query = target.partition("?")
    uri = WebSocketURI(origin.encrypted, origin.host, origin.port, path, query)
    protocol = ClientProtocol(uri, max_size=max_bytes, logger=_quiet)
    socket = await dialer.dial(
        origin,
        timeouts.connect,
        lambda: ClientConnection(
            protocol, ping_interval=_PING, ping_timeout=None, close_timeout=_CLOSE, max_queue=_QUEUE
        ),
    )
    lines = [line.partition(": ") for line in account.authentication.splitlines()]
    ours = [(name, value) for name, _, value in lines]
    try:
        async with asyncio.timeout(timeouts.first_byte):
            await socket.handshake(
                [*ours, *((name.decode(), value.decode("latin-1")) for name, value in headers)], "tollgate"
            )
    except InvalidStatus as exc:
        answer = exc.response
        found = [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.raw_items()
        ]
        raise Refused(answer.status_code, found, bytes(answer.body or b"")) from exc
    except BaseException as exc:
        socket.transport.abort()
        if isinstance(exc, Exception):
            raise _error_of(exc) from exc
        raise
    socket.start_keepalive()
    return Provider(socket)


def _error_of(exc: Exception) -> GatewayError:
    match exc:
        case GatewayError():
            return exc
        case TimeoutError():
            return FirstByteTimeout()
        case InvalidHandshake():  # an answer that is none, or that broke off
            cut = isinstance(exc.__cause__, EOFError | OSError)
            return UpstreamDisconnected() if cut else UpstreamMalformed()
        case OSError():
            return UpstreamUnreachable()
        case _:
            return UpstreamMalformed()


class Provider:
    """An open session at a provider."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @property
    def request_id(self) -> str:
        """The id that it gives the session, in one of the usual headers."""
        response = self._socket.response
        found = (response.headers.get(name) for name in ("x-request-id", "apim-request-id")) if response else ()
        return next((value for value in found if value), "")

    async def receive(self) -> str:
        """The next event. Raises Ended, and UpstreamMalformed for what is no text."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed as exc:
            raise _ended(exc) from exc
        if isinstance(message, str):
            return message
        raise UpstreamMalformed("The provider sent bytes where events are text.")

    async def send(self, text: str) -> None:
        """Waits while the provider does not read. Raises Ended."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as exc:
            raise _ended(exc) from exc

    async def close(self, code: int, reason: str) -> None:
        """Say farewell, and wait a moment for the provider's."""
        with contextlib.suppress(OSError, ConnectionClosed):
            await self._socket.close(code, reason)

    def abort(self) -> None:
        """Cut the connection."""
        self._socket.transport.abort()


def _ended(exc: ConnectionClosed) -> Ended:
    if exc.rcvd is not None and exc.rcvd_then_sent is not False:
        return Ended(exc.rcvd.code, exc.rcvd.reason)
    return Ended(_ABNORMAL if exc.sent is None else exc.sent.code, "", is_broken=True)
