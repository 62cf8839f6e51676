"""Calling upstream for an admitted call, and relaying what it says: whoever ends it, it ends once, with its record.

Buffered answers of a usual size are read whole, so that a failure
still gets a status of its own; streams and larger answers are relayed as they come, with an error event (or a broken connection)
for a failure after their first byte.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping

import orjson

from apps.audit.record import clean_text
from apps.core.errors import (
    ClientClosed,
    EgressBlocked,
    GatewayError,
    ShuttingDown,
    UpstreamAuthFailed,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from apps.gateway.attempts import RETRYABLE, Attempts, Failure, Health
from apps.gateway.directory.views import Route
from apps.gateway.exchange import Attempt, Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.governance.making import Made
from apps.gateway.keeping import Keeper, Outline, Whole
from apps.gateway.server import Client
from apps.gateway.streams import StreamMeter
from apps.gateway.upstream.connection import Response
from apps.gateway.upstream.pool import UpstreamPool
from apps.gateway.watch import Watch
from apps.providers.dialects import openai
from apps.providers.quirks import means_stream_options, suited
from apps.providers.refusals import openai_refusal
from apps.providers.usage import Usage, completed, written_tokens

# What goes back to the client of a provider's headers (what goes on of a client's is its dialect's to say). Anything else stays
# here: cookies, hop-by-hop headers, the provider's limits and organization.
_TO_CLIENT = frozenset(
    {
        b"content-type",
        b"content-language",
        b"content-disposition",
        b"openai-processing-ms",
        b"openai-version",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
    }
)
_UPSTREAM_REQUEST_ID = (b"x-request-id", b"request-id", b"apim-request-id")
_STREAM_HEADERS: Headers = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]

# An answer up to this size is read whole before its first byte leaves. Larger ones are relayed as they come.
_WHOLE = 1024 * 1024
# How long after the terminal event we wait for the connection to end properly, so that it can be used again.
_AFTER_END = 0.25
_UNPACK_MAX = 256 * 1024
# x-tollgate-attempts, ready to be sent.
_COUNTED = 20
_COUNTS = [(b"x-tollgate-attempts", b"%d" % number) for number in range(_COUNTED + 1)]
_WAIT_MOST = 24 * 3600.0  # seconds; what asks for more is no delay
# Whose chat models take only the newer name of the output cap; others may know only the older one.
_NEWER_CAP = frozenset({"openai", "azure_openai"})
# How Google refuses a key, with status 400.
_BAD_KEY = b'"API_KEY_INVALID"'
# How a provider says that it has no such endpoint; 404 may also be the model's.
_NO_SUCH_ENDPOINT = frozenset({404, 405, 501})
_NO_SUCH_MODEL = frozenset({"not_found_error", "NOT_FOUND"})
_ZLIB = frozenset({b"gzip", b"x-gzip", b"deflate"})


class _Unanswered(Exception):
    """An attempt brought nothing that the client must see: another may be made. `answer` relays what came, if none is."""

    def __init__(self, failure: Failure, *, status: int, body: bytes = b"", headers: Headers | None = None) -> None:
        self.failure, self.status, self.body, self.headers = failure, status, body, headers
        super().__init__()


async def dispatch(exchange: Exchange, call: Call, pool: UpstreamPool, health: Health) -> None:
    """Answer the call, from one route after the other while none has begun to. Raises GatewayError while nothing has been sent."""
    config = exchange.config
    attempts = Attempts(
        call.routes, health, most=config.upstream_attempts, until=time.monotonic() + config.upstream_attempts_time
    )
    route, wait = attempts.first(), 0.0
    while True:
        attempt = Attempt(route)
        watch = Watch(exchange.scope, exchange.receive)
        try:
            if wait:
                await asyncio.sleep(wait)
                attempt.started = time.perf_counter_ns()
            exchange.attempts.append(attempt)
            await _attempt(exchange, call, attempt, pool, health, watch)
        except asyncio.CancelledError:
            error = watch.why()
            following = attempts.after(route, Failure()) if _may_repeat(exchange, error) else None
            if following is None:
                _end_badly(exchange, call, attempt, error)
                raise error from None
            attempt.fail(error.code)
        except GatewayError as error:
            may = _may_repeat(exchange, error) and not _was_answered(attempt, error)
            following = attempts.after(route, _failure_of(error)) if may else None
            if following is None:
                _end_badly(exchange, call, attempt, error)
                if len(exchange.attempts) > 1 and error.retryable is None:
                    error.retryable = False  # it has been repeated: the client need not
                raise
            attempt.fail(error.code)
        except _Unanswered as answer:
            following = attempts.after(route, answer.failure)
            if following is None:
                await _relay_refusal(exchange, answer)
                return
            attempt.end()
        else:
            health.succeeded(route)
            return
        finally:
            watch.close()
        route, wait = following


async def _attempt(
    exchange: Exchange, call: Call, attempt: Attempt, pool: UpstreamPool, health: Health, watch: Watch
) -> None:
    response: Response | None = None
    try:
        response = await _send(exchange, call, attempt, pool, health, watch)
        attempt.status = response.status
        await _relay(exchange, call, attempt, response, watch)
    finally:
        if response is not None:
            # An answer that was read to its end has given its connection back already.
            response.close()


def _may_repeat(exchange: Exchange, error: GatewayError) -> bool:
    """Whether another attempt could bring what this one did not: nothing has been sent, and it is the provider's failure."""
    return not exchange.sent_head and isinstance(error, UpstreamError | UpstreamTimeout)


def _was_answered(attempt: Attempt, error: GatewayError) -> bool:
    """Whether the provider has done its work, and charged for it, though we cannot use what came."""
    return isinstance(error, UpstreamMalformed) and attempt.status is not None and attempt.status < 400


def _failure_of(error: GatewayError) -> Failure:
    return Failure(own=isinstance(error, UpstreamAuthFailed | EgressBlocked))


def _end_badly(exchange: Exchange, call: Call, attempt: Attempt, error: GatewayError) -> None:
    """Note what is known of a call that ended before its answer did."""
    attempt.fail(error.code)
    ended_early = isinstance(error, ClientClosed | ShuttingDown | UpstreamTimeout | UpstreamDisconnected)
    endpoint = call.target.endpoint
    if endpoint.made is not None:
        if attempt.is_sent and ended_early and exchange.usage == Usage():
            exchange.usage = _made_usage(exchange, call, endpoint.made, None, whole=False)
        return
    costs = endpoint.counted is None and not endpoint.is_free
    if costs and attempt.is_sent and exchange.usage.input is None and ended_early:
        # Nothing of the answer has come, and the provider was at work on it all the same.
        exchange.usage = Usage(input=estimated_input(call.body), output=_likely_output(exchange, call), estimated=True)


def _likely_output(exchange: Exchange, call: Call) -> int | None:
    """Output tokens of an answer that nobody has seen: what such calls usually have, and no more than was asked for."""
    if not call.writes:
        return None
    cap = call.output_cap if call.output_cap is not None else call.head.output_cap(call.target.endpoint.name)
    usual = exchange.hold.usual_output
    return (usual if cap is None else min(usual, cap)) * call.head.answers


async def _send(
    exchange: Exchange, call: Call, attempt: Attempt, pool: UpstreamPool, health: Health, watch: Watch
) -> Response:
    route = attempt.route
    credential, headers = route.credential, exchange.headers
    endpoint = call.target.endpoint
    attempt.asks_for_usage = (
        exchange.stream
        and endpoint.usage_on_request
        and not call.head.asks_for_usage
        and health.takes_stream_options(credential)
    )
    body = upstream_body(call, route, ask_for_usage=attempt.asks_for_usage)
    head = b"%bcontent-length: %d\r\n" % (route.heads[endpoint.name], len(body))
    for name in endpoint.dialect.to_upstream:
        if name in headers:
            head += b"%b: %b\r\n" % (name, headers[name])
    for name, value in endpoint.dialect.defaults:
        if name not in headers:
            head += b"%b: %b\r\n" % (name, value)
    connection = await pool.connection(credential.origin, connect_timeout=credential.timeouts.connect)
    watch.begin(credential.timeouts)
    attempt.is_sent = True
    return await connection.send(head + b"\r\n", body)


def upstream_body(call: Call, route: Route, *, ask_for_usage: bool) -> bytes:
    """The client's bytes, but for the model's name where the route has another, the output cap of a policy, the usage that we
    ask for on streams, and what the provider knows under another name."""
    endpoint, head = call.target.endpoint, call.head
    dialect = endpoint.dialect
    body = dialect.naming(dialect.unambiguous(call.body), head, route.upstream_model)
    if call.output_cap is not None:
        provider = route.credential.provider
        default = "max_completion_tokens" if provider in _NEWER_CAP else "max_tokens"
        body = dialect.capping_output(body, head, endpoint.name, call.output_cap, default)
    if ask_for_usage:
        body = dialect.asking_for_usage(body, head)
    return suited(body, route.credential.kind)


async def _relay(exchange: Exchange, call: Call, attempt: Attempt, response: Response, watch: Watch) -> None:
    headers, content_type, encoding = _answer_headers(exchange, attempt, response)
    chunks = _Chunks(response, watch, encoding)
    status = response.status
    if status >= 300:
        await _relay_error(exchange, call, attempt, headers, chunks, content_type)
    elif content_type.startswith(b"text/html"):
        raise UpstreamMalformed(f"The provider, or a proxy before it, answered with status {status} and a page.")
    elif _passes_as_it_comes(call, content_type):
        exchange.stream = False  # also where events were asked for
        await _relay_unread(exchange, call, headers, chunks, watch)
    elif exchange.stream:
        if content_type.startswith(b"application/json"):
            raise UpstreamMalformed("The provider answered a stream with a plain JSON body.")
        await _relay_stream(exchange, call, headers, chunks, watch)
    else:
        await _relay_whole(exchange, call, headers, chunks, watch)


def _passes_as_it_comes(call: Call, content_type: bytes) -> bool:
    """Whether the answer is neither JSON nor events, but sound."""
    made = call.target.endpoint.made
    return made is not None and not made.is_json and not content_type.startswith(b"text/event-stream")


def _answer_headers(exchange: Exchange, attempt: Attempt, response: Response) -> tuple[Headers, bytes, bytes]:
    """The answer's headers for the client, its content type, and its content encoding."""
    headers: Headers = [*exchange.id_headers, *attempt.route.served, _COUNTS[min(len(exchange.attempts), _COUNTED)]]
    content_type = encoding = b""
    for name, value in response.headers:
        if name in _TO_CLIENT:
            headers.append((name, value))
            if name == b"content-type":
                content_type = value.lower()
        elif name in _UPSTREAM_REQUEST_ID and not attempt.request_id:
            attempt.request_id = clean_text(value.decode("latin-1"), 200)
            headers.append((b"x-tollgate-upstream-request-id", attempt.request_id.encode("latin-1", "ignore")))
        elif name == b"content-encoding":
            encoding = value.lower()
    return headers, content_type, encoding


class _Chunks:
    """What upstream sends, piece by piece as it comes. We ask for no compression; where it comes all the same, it ends here."""

    __slots__ = ("_packed", "_response", "_unpack", "_watch")

    def __init__(self, response: Response, watch: Watch, encoding: bytes) -> None:
        """Raises UpstreamMalformed for an encoding that we cannot undo."""
        self._response = response
        self._watch = watch
        self._packed = b""
        self._unpack = zlib.decompressobj(wbits=47) if encoding in _ZLIB else None  # gzip and zlib alike
        if self._unpack is None and encoding not in (b"", b"identity"):
            what = encoding.decode("latin-1")
            raise UpstreamMalformed(f"The provider answered in an encoding that was not asked for ({what}).")

    @property
    def are_plain(self) -> bool:
        """Whether pieces are given as they come."""
        return self._unpack is None

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        """Hand pieces over in the callback that brings them, until `consume` says False (returns False) or the end (True)."""
        return await self._response.pump(consume)

    async def next(self) -> bytes:
        """The next piece; empty at the end. Raises GatewayError when the answer breaks off."""
        try:
            if self._unpack is None:
                chunk = await self._response.read()
                self._watch.heard()
                return chunk
            while True:
                if not self._packed:
                    self._packed = await self._response.read()
                    self._watch.heard()
                    if not self._packed:
                        return self._unpack.flush()  # what the bound below held back, without any input left
                # In bounded pieces: a small body may unpack to a very large one.
                out = self._unpack.decompress(self._packed, _UNPACK_MAX)
                self._packed = self._unpack.unconsumed_tail
                if out:
                    return out
        except zlib.error as exc:
            raise UpstreamMalformed from exc


# --- Whole answers ---


async def _relay_whole(exchange: Exchange, call: Call, headers: Headers, chunks: _Chunks, watch: Watch) -> None:
    """A buffered answer: read to its end, its usage taken, recorded, sent. One larger than _WHOLE is relayed as it comes."""
    parts: list[bytes] = []
    size = 0
    while chunk := await chunks.next():
        parts.append(chunk)
        size += len(chunk)
        if size > _WHOLE:
            await _relay_large(exchange, call, headers, parts, chunks, watch)
            return
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    watch.close()
    _learn(exchange, call, body)
    exchange.count_out(size)
    headers.append((b"content-length", str(size).encode()))
    exchange.record(200)
    await exchange.answer(200, headers, body)


async def _relay_large(
    exchange: Exchange,
    call: Call,
    headers: Headers,
    parts: list[bytes],
    chunks: _Chunks,
    watch: Watch,
) -> None:
    """The rest of a large answer. The last piece is held back until the record is written."""
    await _send_head(exchange, 200, headers)
    keeper: Keeper = Outline() if call.target.endpoint.made is not None else Whole()
    held = b"".join(parts)
    parts.clear()
    while chunk := await chunks.next():
        keeper.feed(held)
        await _send_chunk(exchange, held, watch)
        held = chunk
    keeper.feed(held)
    watch.close()
    kept = keeper.kept()
    if kept is not None:
        _learn(exchange, call, kept)
    elif call.target.endpoint.made is not None:
        exchange.usage = _made_usage(exchange, call, call.target.endpoint.made, None, whole=True)
    else:
        output = (exchange.bytes_out + len(held)) // 4 if call.writes else None
        exchange.usage = Usage(input=estimated_input(call.body), output=output, estimated=True)
    exchange.count_out(len(held))
    exchange.record(200)
    await exchange.send({"type": "http.response.body", "body": held, "more_body": False})


async def _relay_unread(exchange: Exchange, call: Call, headers: Headers, chunks: _Chunks, watch: Watch) -> None:
    """Sound, every piece at once: only the end of the answer waits for its record."""
    endpoint = call.target.endpoint
    while chunk := await chunks.next():
        if not exchange.sent_head:
            watch.first_heard()
            await _send_head(exchange, 200, headers)
        await _send_chunk(exchange, chunk, watch)
    watch.close()
    if endpoint.made is not None:
        exchange.usage = _made_usage(exchange, call, endpoint.made, None, whole=True)
    exchange.record(200)
    if exchange.sent_head:
        await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await exchange.answer(200, [*headers, (b"content-length", b"0")], b"")


def _made_usage(exchange: Exchange, call: Call, made: Made, told: Usage | None, *, whole: bool) -> Usage:
    sheet = exchange.attempts[-1].route.sheet(exchange.arrived_at)
    return made.used(call.head, call.body, told, whole=whole, sheet=sheet)


def _learn(exchange: Exchange, call: Call, body: bytes) -> None:
    """Usage and model of a buffered answer; an estimate where it tells none."""
    endpoint = call.target.endpoint
    if endpoint.counted is not None:
        return
    if endpoint.made is not None:
        answer = endpoint.made.read(body)
        exchange.model_served = answer.model or exchange.model_served
        exchange.usage = _made_usage(exchange, call, endpoint.made, answer.usage, whole=True)
        return
    answer = endpoint.dialect.read_answer(body)
    exchange.model_served = answer.model or exchange.model_served
    if endpoint.is_free:
        exchange.usage = answer.usage or exchange.usage
        return
    exchange.usage = completed(
        answer.usage,
        tier=answer.tier,
        input_tokens=lambda: estimated_input(call.body),
        output_tokens=(lambda: written_tokens(body)) if call.writes else None,
    )


# --- Errors of the provider ---


async def _relay_error(
    exchange: Exchange, call: Call, attempt: Attempt, headers: Headers, chunks: _Chunks, content_type: bytes
) -> None:
    """The provider's own refusal, status and body as they are, but where it is ours to mend."""
    status = attempt.status or 502
    body = bytearray()
    while chunk := await chunks.next():
        body += chunk
        if len(body) > _WHOLE:
            break
    code = _error_code(bytes(body)) or f"upstream_{status}"
    attempt.error = clean_text(code, 64)
    counted = call.target.endpoint.counted
    if counted is not None and status in _NO_SUCH_ENDPOINT and code not in _NO_SUCH_MODEL:
        await _answer_estimate(exchange, counted(estimated_input(call.body)))
        return
    if status in (401, 402, 403) or (status == 400 and _BAD_KEY in body):
        label = attempt.route.credential.label
        raise UpstreamAuthFailed(
            f"The provider refuses this gateway's credential '{label}' with status {status}: an operator must mend it."
        )
    if status < 400 or len(body) > _WHOLE:
        raise UpstreamMalformed(
            "The provider answered with a redirect, which is never followed: an operator must correct the base URL."
            if status < 400
            else None
        )
    if content_type.startswith(b"text/html"):
        raise UpstreamMalformed(f"The provider, or a proxy before it, answered with status {status} and a page.")
    refusal = bytes(body)
    if exchange.endpoint.dialect is openai.DIALECT:
        refusal = openai_refusal(status, refusal)
        if content_type[:16] != b"application/json":
            headers = [
                *(pair for pair in headers if pair[0] != b"content-type"),
                (b"content-type", b"application/json"),
            ]
    headers.append((b"content-length", str(len(refusal)).encode()))
    failure = Failure(after=_asked_to_wait(headers))
    if attempt.asks_for_usage and means_stream_options(status, refusal):
        failure = Failure(takes_no_stream_options=True)
    if status in RETRYABLE or failure.takes_no_stream_options:
        raise _Unanswered(failure, status=status, body=refusal, headers=headers)
    await _relay_refusal(exchange, _Unanswered(Failure(), status=status, body=refusal, headers=headers))


async def _relay_early_refusal(exchange: Exchange, headers: Headers, refusal: tuple[int, bytes], code: str) -> None:
    """A stream that is an error from its beginning: as nothing has been sent, it gets a status, and may be tried again."""
    status, body = refusal
    attempt = exchange.attempts[-1]
    attempt.status, attempt.error = status, clean_text(code, 64)
    headers = [pair for pair in headers if pair[0] != b"content-type"]
    headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    answer = _Unanswered(Failure(), status=status, body=body, headers=headers)
    if status in RETRYABLE:
        raise answer
    await _relay_refusal(exchange, answer)


async def _answer_estimate(exchange: Exchange, body: bytes) -> None:
    """The provider cannot count: we do, and say that it is an estimate."""
    headers = [*exchange.id_headers, (b"content-type", b"application/json"), (b"x-tollgate-estimated", b"true")]
    exchange.count_out(len(body))
    headers.append((b"content-length", str(len(body)).encode()))
    exchange.record(200)
    await exchange.answer(200, headers, body)


async def _relay_refusal(exchange: Exchange, answer: _Unanswered) -> None:
    """The provider's refusal, once no further attempt is made."""
    headers = list(answer.headers or ())
    if len(exchange.attempts) > 1 and answer.status >= 500:
        headers = [pair for pair in headers if pair[0] != b"x-should-retry"]
        headers.append((b"x-should-retry", b"false"))  # it has been repeated: the client need not
    exchange.count_out(len(answer.body))
    exchange.record(answer.status, upstream_code=exchange.attempts[-1].error)
    await exchange.answer(answer.status, headers, answer.body)


def _asked_to_wait(headers: Headers) -> float | None:
    """Seconds, from `retry-after-ms` or `retry-after`; None where it says none that we can read."""
    found = dict(headers)
    try:
        if (milliseconds := found.get(b"retry-after-ms")) is not None:
            seconds = float(milliseconds) / 1000
        elif (text := found.get(b"retry-after")) is not None:
            seconds = float(text)
        else:
            return None
    except ValueError:
        return None  # a date, most likely: our own pauses will do
    return seconds if 0 <= seconds < _WAIT_MOST else None


def _error_code(body: bytes) -> str:
    try:
        error = orjson.loads(body).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    if not isinstance(error, Mapping):
        return ""
    return next((value for name in ("code", "type", "status") if isinstance(value := error.get(name), str)), "")


# --- Streams ---


async def _relay_stream(exchange: Exchange, call: Call, headers: Headers, chunks: _Chunks, watch: Watch) -> None:
    """A stream, chunk by chunk. The record is written before the chunk leaves that completes the answer."""
    endpoint = call.target.endpoint
    if endpoint.stream_type:
        headers = [*(pair for pair in headers if pair[0] != b"content-type"), (b"content-type", endpoint.stream_type)]
    meter = endpoint.meter(
        hide_usage=endpoint.usage_on_request and not call.head.asks_for_usage, answers=call.head.answers
    )
    begun = False
    try:
        while chunk := await chunks.next():
            out = meter.feed(chunk)
            if not begun:
                watch.first_heard()
            if meter.complete:
                if meter.refusal is not None and not begun:
                    await _relay_early_refusal(exchange, headers, meter.refusal, meter.error)
                    return
                await _finish_stream(exchange, call, meter, headers, out, begun=begun)
                watch.close()
                await _read_to_end(chunks)
                return
            if not begun:
                begun = True
                await _send_head(exchange, 200, [*headers, *_STREAM_HEADERS])
            if out:
                await _send_chunk(exchange, out, watch)
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
        _take_usage(exchange, call, meter)
        exchange.events, exchange.is_inside_event = meter.events, meter.is_inside_event
        raise


async def _relay_directly(
    exchange: Exchange, client: Client, meter: StreamMeter, chunks: _Chunks, watch: Watch
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
    exchange: Exchange, call: Call, meter: StreamMeter, headers: Headers, out: bytes, *, begun: bool
) -> None:
    _take_usage(exchange, call, meter)
    exchange.count_out(len(out))
    for attempt in exchange.attempts:
        attempt.end()
    if meter.error:
        exchange.attempts[-1].error = clean_text(meter.error, 64)
    exchange.record(200, upstream_code=exchange.attempts[-1].error)
    if not begun:
        await _send_head(exchange, 200, [*headers, *_STREAM_HEADERS])
    await exchange.send({"type": "http.response.body", "body": out, "more_body": False})


async def _read_to_end(chunks: _Chunks) -> None:
    """Let the connection end properly, which usually it has, so that the next call can use it; the answer is out already."""
    try:
        async with asyncio.timeout(_AFTER_END):
            while await chunks.next():
                pass
    except (GatewayError, TimeoutError):
        pass


def _take_usage(exchange: Exchange, call: Call, meter: StreamMeter) -> None:
    exchange.model_served = meter.model or exchange.model_served
    made = call.target.endpoint.made
    if made is None:
        exchange.usage = meter.spent(lambda: estimated_input(call.body))
        return
    if meter.usage is not None or meter.events > bool(meter.error):  # an error is an event as well
        whole = meter.complete and not meter.error
        exchange.usage = _made_usage(exchange, call, made, meter.usage, whole=whole)


# --- Sending ---


async def _send_head(exchange: Exchange, status: int, headers: Headers) -> None:
    exchange.sent_head = True
    await exchange.send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_chunk(exchange: Exchange, chunk: bytes, watch: Watch) -> None:
    """Waits while the client does not read: then nothing more is read from upstream either."""
    exchange.count_out(len(chunk))
    watch.waiting_for_client()
    await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
    watch.heard()
