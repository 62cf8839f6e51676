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
from apps.gateway.relay.whole import is_mended
from apps.gateway.server import Client
from apps.gateway.streams import MendedChatMeter, StreamMeter
from apps.gateway.translation.stream import Passing
from apps.gateway.watch import Watch
from apps.providers.reasons import stream_reason

# How long after the terminal event we wait for the connection to end properly, so that it can be used again.
_AFTER_END = 0.25
# What is held back of a stream that gives signs of life alone; Responses begin with all that was asked.
_SILENT_MOST = 1024 * 1024


async def relay_stream(exchange: Exchange, call: Call, headers: Headers, chunks: Chunks, watch: Watch) -> None:
    """A stream, chunk by chunk. The record is written before the chunk leaves that completes the answer."""
    endpoint, way = call.target.endpoint, exchange.attempts[-1].way
    if endpoint.stream_type:
        headers = [*(pair for pair in headers if pair[0] != b"content-type"), (b"content-type", endpoint.stream_type)]
    native = way is endpoint
    measured = _meter(exchange, call, native=native)
    meter: Passing = measured if native else call.translation.stream(way, measured)
    wanted = call.token.governor.policy.fallback_on
    begun = speaks = False
    held = b""  # of what has come before the answer may begin
    try:
        while chunk := await chunks.next():
            out = meter.feed(chunk)
            if not begun:
                watch.first_heard()
                held += out
                if wanted and (reason := stream_reason(way.dialect.name, chunk)) in wanted:
                    raise await _unsaid(exchange, call, headers, chunks, meter, reason, held)
                speaks = speaks or not meter.says_nothing(out) or len(held) > _SILENT_MOST
                if not speaks and not meter.complete:
                    continue  # while it is but a sign of life, the call may still fail with a status, or go elsewhere
                if native and call.keeping is not None and meter.refusal is None:
                    may_leave = await call.keeping.begun(out)
                    if not (may_leave or meter.complete):
                        continue
                held, out = b"", held
            if meter.complete:
                await _complete(exchange, call, meter, headers, out, begun=begun)
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
        out = held + meter.finish()
        if not meter.complete:
            raise UpstreamDisconnected
        await _complete(exchange, call, meter, headers, out, begun=begun)
    except (GatewayError, asyncio.CancelledError):
        take_usage(exchange, call, meter)
        if call.keeping is not None and call.keeping.pays_later:
            exchange.forget_usage()
        exchange.events, exchange.is_inside_event = meter.events, meter.is_inside_event
        raise


def _meter(exchange: Exchange, call: Call, *, native: bool) -> StreamMeter:
    """What reads the provider's stream."""
    way, hides = exchange.attempts[-1].way, native and call.target.endpoint.usage_on_request
    hide_usage = hides and not call.head.asks_for_usage
    if native and is_mended(exchange, call):
        # Of Azure's own paths alone the model stands in one.
        takes_filters = call.target.model is not None
        return MendedChatMeter(hide_usage=hide_usage, answers=call.head.answers, takes_filters=takes_filters)
    return way.meter(hide_usage=hide_usage, answers=call.head.answers)


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


async def _complete(
    exchange: Exchange, call: Call, meter: Passing, headers: Headers, out: bytes, *, begun: bool
) -> None:
    """A stream that is whole, or has failed. Raises Unanswered where it has failed before it began, and may be tried again."""
    if meter.refusal is None or begun:
        await _finish_stream(exchange, call, meter, headers, out, begun=begun)
        return
    if meter.usage is not None:
        take_usage(exchange, call, meter)
    await relay_early_refusal(exchange, headers, meter.refusal, meter.error)


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
