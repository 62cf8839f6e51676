"""uvicorn's HTTP protocol, with two things more: a bound on what a request's head may weigh, and a call when a client has gone.

The call spares every request a task that waits for `http.disconnect`, which costs more than authenticating it.
"""

from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.core.errors import HeadersTooLarge
from apps.core.ids import request_id, uuid7
from apps.core.logs import get_logger
from apps.providers.dialects import openai

log = get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024

# The key in an ASGI scope under which `watch_for_disconnect` is offered.
DISCONNECT = "tollgate.disconnect"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Counts the bytes of a request's head as they arrive and refuses more than MAX_HEAD_BYTES with 431."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_is_too_large = False
        self._in_body = False
        self._on_disconnect: Callable[[], None] | None = None

    def watch_for_disconnect(self, callback: Callable[[], None] | None) -> None:
        """Call `callback`, once, if the connection is lost; None: no more. For the request being answered, its body read."""
        self._on_disconnect = callback
        if callback is None:
            return
        if self.cycle.disconnected:  # already, while the request was being looked at
            self._on_disconnect = None
            self.loop.call_soon(callback)
        else:
            # A large body may have stopped the reading, and who does not read never learns that a client has left.
            self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's; then whoever watches is told."""
        super().connection_lost(exc)
        callback, self._on_disconnect = self._on_disconnect, None
        if callback is not None:
            callback()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's, once the head's size is known to be bearable."""
        if not self._in_body:
            self._head_bytes += len(data)
            # One read may hold the head and much of the body: a head that ends in it is weighed when it is whole.
            super().data_received(data)
            if not self._in_body and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_body = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole. Raises HeadersTooLarge, which ends the parsing (see send_400_response)."""
        if self._head_bytes > MAX_HEAD_BYTES:
            weight = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if weight > MAX_HEAD_BYTES:
                self._head_is_too_large = True
                raise HeadersTooLarge
        self._in_body = True
        self._head_bytes = 0
        cast("dict[str, object]", self.scope)[DISCONNECT] = self.watch_for_disconnect
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole; the next one's head may follow on this connection."""
        super().on_message_complete()
        self._in_body = False

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, to what is no HTTP; a head that we refused to parse has an answer of its own."""
        if self._head_is_too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        transport = self.transport
        if transport.is_closing():
            return
        body = openai.error_body(HeadersTooLarge())
        shown_id = request_id(uuid7())
        # Whose request it is stands in what we do not read, so the log is all that knows of it.
        log.warning("head_refused", request_id=shown_id, client=self.client and self.client[0])
        transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\nx-should-retry: false\r\n"
            b"x-request-id: %s\r\nrequest-id: %s\r\n\r\n%s" % (len(body), *(2 * (shown_id.encode(),)), body)
        )
        transport.close()
