"""Streams, chunk by chunk: the record is written before the chunk leaves that completes the answer."""

import asyncio

from apps.audit.record import clean_text
from apps.core.errors import GatewayError, UpstreamDisconnected
from apps.gateway.exchange import Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.health.failure import Failure
from apps.gateway.relay.chunks import Chunks
from apps.gateway.relay.refusals import relay_early_refusal
from apps.gateway.relay.sending import STREAM_HEADERS, send_chunk, send_head
from apps.gateway.relay.unanswered import Unanswered
from apps.gateway.relay.usage import take_usage
from apps.gateway.server import Client
from apps.gateway.translation.stream import Passing
from apps.gateway.watch import Watch
from apps.providers.reasons import stream_reason

# How long after the terminal event we wait for the connection to end properly, so that it can be used again.
_AFTER_END = 0.25


async def relay_stream(exchange: Exchange, call: Call, headers: Headers, chunks: Chunks, watch: Watch) -> None:
    """A stream, chunk by chunk. The record is written before the chunk leaves that completes the answer."""
    endpoint, way = call.target.endpoint, exchange.attempts[-1].way
    if endpoint.stream_type:
        headers = [*(pair for pair in headers if pair[0] != b"content-type"), (b"content-type", endpoint.stream_type)]
    native = way is endpoint
    measured = way.meter(
        hide_usage=native and endpoint.usage_on_request and not call.head.asks_for_usage, answers=call.head.answers
    )
    meter: Passing = measured if native else call.translation.stream(way, measured)
    wanted = call.token.governor.policy.fallback_on
    begun = False
    held = b""
    try:
        while chunk := await chunks.next():
            out = meter.feed(chunk)
            if not begun:
                watch.first_heard()
                if wanted and (reason := stream_reason(way.dialect.name, chunk)) in wanted:
                    raise await _unsaid(exchange, call, headers, chunks, meter, reason, out)
                if native and call.keeping is not None and meter.refusal is None:
                    held += out
                    may_leave = await call.keeping.begun(out) or meter.complete
                    held, out = (b"", held) if may_leave else (held, b"")
            if meter.complete:
                if meter.refusal is not None and not begun:
                    if meter.usage is not None:
                        take_usage(exchange, call, meter)
                    await relay_early_refusal(exchange, headers, meter.refusal, meter.error)
                    return
                await _finish_stream(exchange, call, meter, headers, out, begun=begun)
                watch.close()
                await _read_to_end(chunks)
                return
            if not out and not begun:
                continue
            if not begun:
                begun = True
                await send_head(exchange, 200, [*headers, *STREAM_HEADERS])
            if out:
                await send_chunk(exchange, out, watch)
            if exchange.client is not None and chunks.are_plain:
                last = await _relay_directly(exchange, exchange.client, meter, chunks, watch)
                if last is not None:
                    await _finish_stream(exchange, call, meter, headers, last, begun=True)
                    watch.close()
                    await _read_to_end(chunks)
                    return
        out = meter.finish()
        if not meter.complete:
            raise UpstreamDisconnected
        await _finish_stream(exchange, call, meter, headers, out, begun=begun)
    except (GatewayError, asyncio.CancelledError):
        take_usage(exchange, call, meter)
        if call.keeping is not None and call.keeping.pays_later:
            exchange.forget_usage()
        exchange.events, exchange.is_inside_event = meter.events, meter.is_inside_event
        raise


async def _unsaid(
    exchange: Exchange, call: Call, headers: Headers, chunks: Chunks, meter: Passing, reason: str, out: bytes
) -> Unanswered:
    """A stream that refuses from its beginning, whole: for the client, unless another attempt is made."""
    parts = [out]
    while chunk := await chunks.next():
        parts.append(meter.feed(chunk))
    if not meter.complete:
        parts.append(meter.finish())
    take_usage(exchange, call, meter)
    body = b"".join(parts)
    headers = [*headers, *STREAM_HEADERS, (b"content-length", b"%d" % len(body))]
    return Unanswered(Failure("content", reason), status=200, body=body, headers=headers)


async def _relay_directly(
    exchange: Exchange, client: Client, meter: Passing, chunks: Chunks, watch: Watch
) -> bytes | None:
    """From socket to socket, in the callback that brings the bytes, while the client takes them.

    Returns what must be sent last once the answer is complete; None if the stream has ended before.
    """
    last: bytes | None = None

    def pass_on(chunk: bytes) -> bool:
        nonlocal last
        watch.heard()
        out = meter.feed(chunk)
        if meter.complete:
            last = out
            return False
        if out:
            exchange.count_out(len(out))
            client.write(out)
        return client.is_reading

    while not await chunks.pump(pass_on) and last is None:
        watch.waiting_for_client()
        await client.drain()
        watch.heard()
    return last


async def _finish_stream(
    exchange: Exchange, call: Call, meter: Passing, headers: Headers, out: bytes, *, begun: bool
) -> None:
    take_usage(exchange, call, meter)
    if call.keeping is not None and not meter.error:
        await call.keeping.ended(getattr(meter, "output", None))
    exchange.count_out(len(out))
    for attempt in exchange.attempts:
        attempt.end()
    if meter.error:
        exchange.attempts[-1].error = clean_text(meter.error, 64)
    exchange.record(200, upstream_code=exchange.attempts[-1].error)
    if not begun:
        await send_head(exchange, 200, [*headers, *STREAM_HEADERS])
    await exchange.send({"type": "http.response.body", "body": out, "more_body": False})


async def _read_to_end(chunks: Chunks) -> None:
    """Let the connection end properly, which usually it has, so that the next call can use it; the answer is out already."""
    try:
        async with asyncio.timeout(_AFTER_END):
            while await chunks.next():
                pass
    except (GatewayError, TimeoutError):
        pass
