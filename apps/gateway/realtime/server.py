"""uvicorn's WebSocket protocol, which ends sessions when the server stops instead of cutting them.

uvicorn closes every WebSocket at the beginning of a shutdown; here the session is told (the scope's `CLOSING`), and closes when
what is being answered has been. And a client that is not read from, as the provider does not take what it says, is not taken for
dead because its pongs are not read either.
"""

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

# The key in an ASGI scope under which a future lies that is done once the server stops.
CLOSING = "tollgate.closing"
_ABNORMAL = 1006

# Requests for sessions have records; uvicorn's own line would hold their queries.
_quiet = logging.getLogger("tollgate.websocket")
_quiet.setLevel(logging.WARNING)


class RealtimeProtocol(WebSocketsSansIOProtocol):
    """One client's WebSocket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = _quiet
        self._closing: asyncio.Future[None] = self.loop.create_future()

    def handle_connect(self, event: Request) -> None:
        """As uvicorn's; the application learns when it is to end."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # a handshake that can be answered
            cast("dict[str, object]", self.scope)[CLOSING] = self._closing

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's, which takes a connection that breaks for one whose client has said farewell without a reason."""
        if self.handshake_complete and not self.close_sent and self.conn.close_rcvd is None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": _ABNORMAL})
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: the application closes, or is cancelled when the time to drain is over."""
        if not self.handshake_initiated or self.close_sent or self.disconnected:
            super().shutdown()
        elif not self._closing.done():
            self._closing.set_result(None)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """As uvicorn's; a client that does not read what it is still owed is not waited for."""
        super().on_task_complete(task)
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """As uvicorn's, for clients that are read from."""
        if self.read_paused:
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()
