"""The client's end of a session, as any ASGI server gives it."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from apps.gateway.exchange import Exchange, Headers, Message, Receive, Send
from apps.gateway.realtime.server import CLOSING

_TOKEN = "openai-insecure-api-key."  # noqa: S105 (a prefix that browsers' clients put before the token)
_BETA = "openai-beta."
_DENIAL = "websocket.http.response"
_ABNORMAL = 1006
_TOLD = 0.5  # seconds


class Left(Exception):
    """The client has closed, or its connection is gone (1006)."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__()


class Caller:
    """Whoever opened the WebSocket."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._is_open = False
        self.closing: asyncio.Future[None] | None = scope.get(
            CLOSING
        )  # done when the server stops; None: it does not say

    # --- The handshake ---

    async def begin(self) -> None:
        """The server's first message. Raises Left."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            raise Left(_ABNORMAL, "")

    @property
    def offered(self) -> list[str]:
        """The subprotocols that it offers."""
        found: list[str] = self._scope.get("subprotocols") or []
        return found

    async def accept(self, headers: Headers) -> None:
        """Open. Of the subprotocols offered, the first one that carries nothing is chosen, as browsers want one to be."""
        chosen = next((name for name in self.offered if not name.startswith((_TOKEN, _BETA))), None)
        await self._say({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
        self._is_open = True

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """An HTTP answer in a WebSocket's place; a bare 403 where the server can give none."""
        if _DENIAL not in (self._scope.get("extensions") or {}):
            await self._quietly({"type": "websocket.close", "code": 1008})
            return
        await self._quietly({"type": f"{_DENIAL}.start", "status": status, "headers": headers})
        await self._quietly({"type": f"{_DENIAL}.body", "body": body, "more_body": False})

    # --- The session ---

    async def receive(self) -> str:
        """The next event. Raises Left, and ValueError for a message of bytes."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_open = False
            raise Left(message.get("code") or _ABNORMAL, message.get("reason") or "")
        text = message.get("text")
        if text is None:
            raise ValueError("bytes")
        return str(text)

    async def send(self, text: str) -> None:
        """Waits while the client does not read. Raises Left."""
        await self._say({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        """Say farewell, if it is still there."""
        if self._is_open:
            self._is_open = False
            await self._quietly({"type": "websocket.close", "code": code, "reason": reason})

    async def _say(self, message: Mapping[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError as exc:  # as ASGI has it for a client that has gone
            self._is_open = False
            raise await self._farewell() from exc

    async def _farewell(self) -> Left:
        """How it has left, which the server has told or is about to."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD):
                while True:
                    message = await self._receive()
                    if message["type"] == "websocket.disconnect":
                        return Left(message.get("code") or _ABNORMAL, message.get("reason") or "")
        return Left(_ABNORMAL, "")

    async def _quietly(self, message: Mapping[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError):  # gone meanwhile
            self._is_open = False


def bring_token(exchange: Exchange, offered: list[str]) -> None:
    """A browser cannot set headers: its token, and the beta it speaks, come as subprotocols. Put them where others have them."""
    for name in offered:
        if name.startswith(_TOKEN):
            value = b"Bearer " + name.removeprefix(_TOKEN).encode("latin-1", "replace")
            # Beside a header that says something else, both are seen, and that is refused.
            place = b"authorization" if b"authorization" not in exchange.headers else b"x-api-key"
            exchange.headers[place] = value if place == b"authorization" else value.removeprefix(b"Bearer ")
        elif name.startswith(_BETA) and b"openai-beta" not in exchange.headers:
            version = name.removeprefix(_BETA)
            exchange.headers[b"openai-beta"] = version.replace("-", "=", 1).encode("latin-1", "replace")
