"""Sending an answer in pieces."""

from apps.gateway.exchange import Exchange, Headers
from apps.gateway.watch import Watch

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
STREAM_HEADERS: Headers = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]


async def send_head(exchange: Exchange, status: int, headers: Headers) -> None:
    """The beginning of an answer whose body comes in pieces."""
    exchange.sent_head = True
    await exchange.send({"type": "http.response.start", "status": status, "headers": headers})


async def send_chunk(exchange: Exchange, chunk: bytes, watch: Watch) -> None:
    """Waits while the client does not read: then nothing more is read from upstream either."""
    exchange.count_out(len(chunk))
    watch.waiting_for_client()
    await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
    watch.heard()
