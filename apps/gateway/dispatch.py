"""Calling upstream for an admitted call, and relaying what it says: whoever ends it, it ends once, with its record.

Buffered answers of a usual size are read whole, so that a failure still gets a status of its own; streams and larger answers are
relayed as they come, with an error event (or a broken connection) for a failure after their first byte.
"""

import asyncio
import time

from apps.audit.record import clean_text
from apps.core.errors import (
    ClientClosed,
    CountersUnavailable,
    EgressBlocked,
    GatewayError,
    ShuttingDown,
    TotalTimeout,
    UpstreamAuthFailed,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from apps.gateway.attempts import Attempts
from apps.gateway.directory.views import Route
from apps.gateway.exchange import Attempt, Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.health.failure import RETRYABLE, Failure, failure_in_stream
from apps.gateway.health.health import Health
from apps.gateway.health.pacing import asked_to_wait
from apps.gateway.hedging import FirstByte, Race, may_hedge, times_at_once
from apps.gateway.relay.chunks import Chunks
from apps.gateway.relay.refusals import relay_error, relay_refusal
from apps.gateway.relay.sending import EVENTS
from apps.gateway.relay.stream import relay_stream
from apps.gateway.relay.unanswered import Unanswered
from apps.gateway.relay.usage import made_usage
from apps.gateway.relay.whole import relay_unread, relay_whole
from apps.gateway.surfaces import CHAT_COMPLETIONS
from apps.gateway.translation.refusal import UpstreamRefusal
from apps.gateway.uploads.form import Framed
from apps.gateway.upstream.connection import Response
from apps.gateway.upstream.pool import UpstreamPool
from apps.gateway.watch import Watch
from apps.providers import betas
from apps.providers.quirks import suited, without_stream_options
from apps.providers.translation.chat.suiting import suited_chat
from apps.providers.translation.foreign import without_foreign
from apps.providers.translation.losses import STRICT, Losses
from apps.providers.usage import Usage

# What goes back to the client of a provider's headers, beside the content type where nothing is translated. What goes on of a
# client's is its dialect's to say. Anything else stays here: cookies, hop-by-hop headers, the provider's limits and organization.
_TO_CLIENT = frozenset(
    {
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

_READ = (b"text/event-stream", b"application/json")

# A client's headers that pass on to a provider of any dialect.
_TRACING = (b"traceparent", b"tracestate")
# x-tollgate-attempts, ready to be sent.
_COUNTED = 20
_COUNTS = [(b"x-tollgate-attempts", b"%d" % number) for number in range(_COUNTED + 1)]
# Whose chat models take only the newer name of the output cap; others may know only the older one.
_NEWER_CAP = frozenset({"openai", "azure_openai"})


async def dispatch(exchange: Exchange, call: Call, pool: UpstreamPool, health: Health) -> None:
    """Answer the call, from one route after the other while none has begun to. Raises GatewayError while nothing has been sent."""
    config = exchange.config
    attempts = Attempts(
        call.routes,
        health,
        most=config.upstream_attempts,
        until=health.clock() + config.upstream_attempts_time,
        strategy=call.model.strategy,
        stream=exchange.stream,
        likely=call.likely,
    )
    try:
        await _dispatch(exchange, call, attempts, pool, health)
    finally:
        attempts.ends()


async def _dispatch(exchange: Exchange, call: Call, attempts: Attempts, pool: UpstreamPool, health: Health) -> None:
    route, wait = attempts.first(), 0.0
    while True:
        attempt = _made(call, attempts, route)
        watch = Watch(exchange.scope, exchange.receive)
        try:
            if wait:
                await asyncio.sleep(wait)
                attempt.started = time.perf_counter_ns()
            exchange.attempts.append(attempt)
            await _attempt(exchange, call, attempts, attempt, pool, health, watch)
        except asyncio.CancelledError:
            error = watch.why()
            attempt = _current(exchange, attempt)
            following = await _after(exchange, call, attempts, attempt, error, watch)
            if following is None:
                _end_badly(exchange, call, attempt, error)
                raise error from None
            attempt.fail(error.code)
        except GatewayError as error:
            attempt = _current(exchange, attempt)
            following = await _after(exchange, call, attempts, attempt, error, watch)
            if following is None:
                _end_badly(exchange, call, attempt, error)
                if len(exchange.attempts) > 1 and error.retryable is None:
                    error.retryable = False  # it has been repeated: the client need not
                raise
            attempt.fail(error.code)
        except Unanswered as answer:
            attempt = _current(exchange, attempt)
            following = attempts.after(attempt.route, answer.failure) if call.target.endpoint.repeatable else None
            if following is not None and not await _is_held_for(exchange, call, attempts, watch):
                following = None
            if following is None:
                attempts.failed(answer.failure)
                await relay_refusal(exchange, answer)
                return
            attempt.fail(answer.failure.code)
        else:
            _note_answer(exchange, attempts, _current(exchange, attempt))
            return
        finally:
            watch.close()
        exchange.leave(attempt)
        route, wait = following


def _made(call: Call, attempts: Attempts, route: Route) -> Attempt:
    """An attempt at the route, with what it is to be spared."""
    spared, unsaid = attempts.spares_usage(route), attempts.unsaid_betas(route)
    return Attempt(route, call.way(route), spares_usage=spared, unsaid_betas=unsaid)


def _current(exchange: Exchange, attempt: Attempt) -> Attempt:
    """The attempt that has ended: not the one that began, where another one was quicker; that one, if it had yet to begin."""
    return exchange.attempts[-1] if attempt in exchange.attempts else attempt


async def _attempt(
    exchange: Exchange,
    call: Call,
    attempts: Attempts,
    attempt: Attempt,
    pool: UpstreamPool,
    health: Health,
    watch: Watch,
) -> None:
    response: Response | None = None
    try:
        if may_hedge(call):
            response = await _race(exchange, call, attempts, attempt, pool, health)
            attempt = exchange.attempts[-1]
            watch.begin(attempt.route.credential.timeouts)
        else:
            response = await _send(exchange, call, attempt, pool, health, watch)
        attempt.status = response.status
        if response.status in RETRYABLE:
            attempt.pause = asked_to_wait(response.headers, time.time())
        await _relay(exchange, call, attempt, response, watch)
    finally:
        if response is not None:
            # An answer that was read to its end has given its connection back already.
            response.close()


async def _race(
    exchange: Exchange, call: Call, attempts: Attempts, attempt: Attempt, pool: UpstreamPool, health: Health
) -> Response:
    """The answer of this attempt, or of a second one at the same time. Raises GatewayError."""

    async def send(racing: Attempt, limit: FirstByte) -> Response:
        return await _send(exchange, call, racing, pool, health, limit)

    def make(route: Route) -> Attempt:
        return _made(call, attempts, route)

    def failure(racing: Attempt, error: GatewayError) -> Failure | None:
        return _failure_of(exchange, racing, error)

    def lost(racing: Attempt) -> None:
        if racing.is_sent and _costs(call):
            racing.usage = _unseen(exchange, call)

    race = Race(exchange, attempts, send=send, make=make, failure_of_error=failure, lost=lost)
    return await race.run(attempt, (call.token.governor.policy.hedge_after or 0) / 1000)


async def _after(
    exchange: Exchange, call: Call, attempts: Attempts, attempt: Attempt, error: GatewayError, watch: Watch
) -> tuple[Route, float] | None:
    """The route to try next after this error, and how many seconds to wait before; None: the error stands."""
    failure = _failure_of(exchange, attempt, error)
    if failure is None:
        return None
    is_final = attempt.is_sent and not call.target.endpoint.repeatable
    if exchange.sent_head or is_final or _was_answered(attempt, error):
        attempts.failed(failure)
        return None
    following = attempts.after(attempt.route, failure)
    if following is not None and not await _is_held_for(exchange, call, attempts, watch):
        return None
    return following


async def _is_held_for(exchange: Exchange, call: Call, attempts: Attempts, watch: Watch) -> bool:
    """Whether budgets have room for another attempt beside what others have cost. Where they have not, there is none."""
    spent = exchange.spent()
    if not spent:
        return True
    watch.close()  # what follows is no part of the attempt that has ended
    try:
        is_held = await exchange.hold.reaches(spent, times_at_once(call))
    except CountersUnavailable:
        is_held = call.token.governor.policy.store_failure == "open"
    if not is_held:
        attempts.ends()  # the one that has begun with being chosen
    elif exchange.decision is not None:
        exchange.decision["hold"] = exchange.hold.amount
    return is_held


def _failure_of(exchange: Exchange, attempt: Attempt, error: GatewayError) -> Failure | None:
    """What the error says of the route; None: it is not the provider's, and no other attempt would end otherwise."""
    if isinstance(error, UpstreamAuthFailed | EgressBlocked):
        return Failure("refused", error.code, status=attempt.status or 0)
    if isinstance(error, UpstreamRefusal):
        return failure_in_stream(error.code, error.status) if error.status in RETRYABLE else None
    if not isinstance(error, UpstreamError | UpstreamTimeout):
        return None
    if isinstance(error, TotalTimeout) and exchange.sent_head:
        return None  # it has answered, and at length
    return Failure("failing", error.code, status=attempt.status or 0)


def _was_answered(attempt: Attempt, error: GatewayError) -> bool:
    """Whether the provider has done its work, and charged for it, though we cannot use what came."""
    return isinstance(error, UpstreamMalformed) and attempt.status is not None and attempt.status < 400


def _note_answer(exchange: Exchange, attempts: Attempts, attempt: Attempt) -> None:
    """Tell what an answer says of its route: a refusal of what was asked says nothing."""
    status = attempt.status
    if status is None or status >= 400:
        return
    if attempt.error:
        attempts.failed(failure_in_stream(attempt.error))
        return
    first = exchange.first_byte_at - attempt.started
    attempts.succeeded(first / 1e9 if first > 0 else None)


def _end_badly(exchange: Exchange, call: Call, attempt: Attempt, error: GatewayError) -> None:
    """Note what is known of a call that ended before its answer did."""
    attempt.fail(error.code)
    ended_early = isinstance(error, ClientClosed | ShuttingDown | UpstreamTimeout | UpstreamDisconnected)
    endpoint = call.target.endpoint
    if endpoint.made is not None:
        if attempt.is_sent and ended_early and exchange.usage == Usage():
            exchange.usage = made_usage(exchange, call, endpoint.made, None, whole=False)
        return
    if _costs(call) and attempt.is_sent and exchange.usage.input is None and ended_early:
        # Nothing of the answer has come, and the provider was at work on it all the same.
        exchange.usage = _unseen(exchange, call)


def _costs(call: Call) -> bool:
    """Whether an answer that nobody has seen is charged."""
    endpoint = call.target.endpoint
    return endpoint.counted is None and not endpoint.is_free and not (call.keeping and call.keeping.pays_later)


def _unseen(exchange: Exchange, call: Call) -> Usage:
    """What such an answer is estimated at."""
    return Usage(input=estimated_input(call.body), output=_likely_output(exchange, call), estimated=True)


def _likely_output(exchange: Exchange, call: Call) -> int | None:
    """Output tokens of an answer that nobody has seen: what such calls usually have, and no more than was asked for."""
    if not call.writes:
        return None
    cap = call.output_cap if call.output_cap is not None else call.head.output_cap(call.target.endpoint.name)
    usual = exchange.hold.usual_output
    return (usual if cap is None else min(usual, cap)) * call.head.answers


async def _send(
    exchange: Exchange, call: Call, attempt: Attempt, pool: UpstreamPool, health: Health, watch: Watch | FirstByte
) -> Response:
    route, way = attempt.route, attempt.way
    credential, headers = route.credential, exchange.headers
    native = way is call.target.endpoint
    attempt.asks_for_usage = (
        exchange.stream
        and way.usage_on_request
        and not (native and call.head.asks_for_usage)
        and not attempt.spares_usage
        and health.takes_stream_options(credential)
    )
    body: bytes | Framed
    if call.form is not None:
        body = call.form.framed({} if way.keeps else {"model": route.upstream_model})
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n" % (route.heads[way.name], body.content_type, body.size)
    else:
        body = _native_body(call, attempt) if native else _translated_body(call, attempt)
        head = route.heads[way.name]
        if body or way.method == "POST":
            head += b"content-length: %d\r\n" % len(body)
    for name in way.dialect.to_upstream if native else _TRACING:
        if name in headers:
            value = headers[name]
            if name == betas.HEADER and not (value := _betas_said(call, attempt, health, value)):
                continue
            head += b"%b: %b\r\n" % (name, value)
    for name, value in way.dialect.defaults:
        if name not in headers:
            head += b"%b: %b\r\n" % (name, value)
    connection = await pool.connection(credential.origin, connect_timeout=credential.timeouts.connect)
    watch.begin(credential.timeouts)
    attempt.is_sent = True
    if isinstance(body, bytes):
        return await connection.send(head + b"\r\n", body)
    return await connection.send_streamed(head + b"\r\n", body.pieces(), watch.sending)


def _betas_said(call: Call, attempt: Attempt, health: Health, value: bytes) -> bytes:
    """What the provider gets of the client's `anthropic-beta`; what it does not know is kept for the header that tells."""
    mode, credential = call.token.governor.policy.untranslatable, attempt.route.credential
    known = health.unknown_betas
    if mode != STRICT and not known.is_empty:
        attempt.unsaid_betas |= {name for name in betas.betas_in(value) if known.knows(credential, name)}
    if not attempt.unsaid_betas:
        return value
    losses = Losses(mode, "this API")
    for name in betas.betas_in(value):
        if name in attempt.unsaid_betas:
            losses.hint(betas.field_of(name))
    attempt.lost = losses.header
    return betas.without_betas(value, attempt.unsaid_betas)


def _native_body(call: Call, attempt: Attempt) -> bytes:
    """The client's bytes, but for the model's name where the route has another, the output cap of a policy, the usage that we
    ask for on streams, and what the provider knows under another name."""
    route = attempt.route
    endpoint, head = call.target.endpoint, call.head
    if endpoint.keeps:
        return call.body
    dialect = endpoint.dialect
    body = dialect.naming(without_foreign(dialect.unambiguous(call.body), endpoint.name), head, route.upstream_model)
    if call.output_cap is not None:
        provider = route.credential.provider
        default = "max_completion_tokens" if provider in _NEWER_CAP else "max_tokens"
        body = dialect.capping_output(body, head, endpoint.name, call.output_cap, default)
    if attempt.asks_for_usage:
        body = dialect.asking_for_usage(body, head)
    if endpoint is CHAT_COMPLETIONS:
        body = suited_chat(body, route.credential.provider)
    return suited(body, route.credential.kind)


def _translated_body(call: Call, attempt: Attempt) -> bytes:
    """The client's request in the words of another dialect. What it loses is kept for the header that tells."""
    route = attempt.route
    body, attempt.lost = call.translation.write(
        route, attempt.way, call.token.governor.policy.untranslatable, call.output_cap
    )
    if not attempt.asks_for_usage and attempt.way.usage_on_request:
        body = without_stream_options(body)
    return suited(body, route.credential.kind)


async def _relay(exchange: Exchange, call: Call, attempt: Attempt, response: Response, watch: Watch) -> None:
    headers, content_type, encoding = _answer_headers(exchange, call, attempt, response)
    chunks = Chunks(response, watch, encoding)
    status = response.status
    if status >= 300:
        await relay_error(exchange, call, attempt, headers, chunks, content_type)
    elif content_type.startswith(b"text/html"):
        raise UpstreamMalformed(f"The provider, or a proxy before it, answered with status {status} and a page.")
    elif _passes_as_it_comes(call, content_type):
        exchange.stream = False  # also where events were asked for
        await relay_unread(exchange, call, headers, chunks, watch)
    elif exchange.stream:
        if attempt.way is not call.target.endpoint:
            headers.append(EVENTS)
        if content_type.startswith(b"application/json"):
            raise UpstreamMalformed("The provider answered a stream with a plain JSON body.")
        await relay_stream(exchange, call, headers, chunks, watch)
    else:
        await relay_whole(exchange, call, headers, chunks, watch)


def _passes_as_it_comes(call: Call, content_type: bytes) -> bool:
    """Whether the answer is neither JSON nor events, but sound, or plain text of what was heard."""
    made = call.target.endpoint.made
    return made is not None and not made.is_json and not content_type.startswith(_READ)


def _answer_headers(
    exchange: Exchange, call: Call, attempt: Attempt, response: Response
) -> tuple[Headers, bytes, bytes]:
    """The answer's headers for the client, the provider's content type, and its content encoding."""
    headers: Headers = [*exchange.id_headers]
    shows = not call.token.governor.policy.hide_served
    if shows:
        headers += attempt.route.served
        headers.append(_COUNTS[min(len(exchange.attempts), _COUNTED)])
    native = attempt.way is call.target.endpoint
    if attempt.lost:
        headers.append((b"x-tollgate-dropped", attempt.lost.encode("ascii", "replace")))
    content_type = encoding = b""
    for name, value in response.headers:
        if name == b"content-type":
            content_type = value.lower()
            if native:
                headers.append((name, value))
        elif name in _TO_CLIENT:
            headers.append((name, value))
        elif name in _UPSTREAM_REQUEST_ID and not attempt.request_id:
            attempt.request_id = clean_text(value.decode("latin-1"), 200)
            if shows:
                headers.append((b"x-tollgate-upstream-request-id", attempt.request_id.encode("latin-1", "ignore")))
        elif name == b"content-encoding":
            encoding = value.lower()
    return headers, content_type, encoding
