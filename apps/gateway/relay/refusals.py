"""What the provider refuses: relayed, mended where it is ours to mend, or left to another attempt."""

import math
import re
from collections.abc import Mapping

import orjson

from apps.audit.record import clean_text
from apps.core.errors import BadRequest, UpstreamAuthFailed, UpstreamMalformed
from apps.gateway.exchange import Attempt, Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.health.failure import REFUSED, RETRYABLE, Failure, failure_of
from apps.gateway.health.pacing import asked_in_body
from apps.gateway.relay.chunks import Chunks
from apps.gateway.relay.sending import JSON
from apps.gateway.relay.unanswered import Unanswered
from apps.gateway.relay.whole import WHOLE
from apps.gateway.surfaces import RESPONSES
from apps.gateway.translation.ways import way
from apps.providers import betas
from apps.providers.dialects import openai
from apps.providers.quirks import means_stream_options
from apps.providers.reasons import refusal_reason
from apps.providers.refusals import openai_refusal
from apps.providers.translation.losses import STRICT

# How Google refuses a key, with status 400. Under its own name alone: other fields may repeat what a caller has written.
_BAD_KEY = re.compile(rb'"reason"\s*:\s*"API_KEY_INVALID"')
# How Google refuses what a request points at, and nobody has: as it refuses a key that may not ask for a model, with 403.
_FORBIDDEN = 403
_NOT_THERE = re.compile(rb"permission to access the File|CachedContent not found", re.IGNORECASE)
# How a provider says that it has no such endpoint; 404 may also be the model's.
_NO_SUCH_ENDPOINT = frozenset({404, 405, 501})
_NOT_FOUND = 404
# Who has Responses for certain: what they do not find is something that the request names.
_WITH_RESPONSES = frozenset({"openai", "azure_openai"})
_NO_SUCH_MODEL = frozenset({"not_found_error", "NOT_FOUND"})
_BETA_TRIES = 4  # attempts of one call after which its betas are no longer looked at: some servers name one at a time
_DELAYS = frozenset({b"retry-after", b"retry-after-ms"})


async def relay_error(
    exchange: Exchange, call: Call, attempt: Attempt, headers: Headers, chunks: Chunks, content_type: bytes
) -> None:
    """The provider's own refusal, status and body as they are, but where it is ours to mend."""
    status = attempt.status or 502
    body = bytearray()
    while chunk := await chunks.next():
        body += chunk
        if len(body) > WHOLE:
            break
    code = _error_code(bytes(body)) or f"upstream_{status}"
    attempt.error = clean_text(code, 64)
    reason = refusal_reason(status, code, bytes(body))
    if call.keeping is not None:
        await call.keeping.refused(status)
    counted = call.target.endpoint.counted
    if counted is not None and status in _NO_SUCH_ENDPOINT and code not in _NO_SUCH_MODEL:
        await answer_estimate(exchange, counted(estimated_input(call.body)))
        return
    is_callers = bool(reason) or (status == _FORBIDDEN and _NOT_THERE.search(body) is not None)
    if (status in REFUSED and not is_callers) or (status == 400 and _BAD_KEY.search(body) is not None):
        label = attempt.route.credential.label
        raise UpstreamAuthFailed(
            f"The provider refuses this gateway's credential '{label}' with status {status}: an operator must mend it."
        )
    if status < 400 or len(body) > WHOLE:
        raise UpstreamMalformed(
            "The provider answered with a redirect, which is never followed: an operator must correct the base URL."
            if status < 400
            else None
        )
    if _lacks_endpoint(call, attempt, status, bytes(body)):
        raise Unanswered(Failure("request", lacks=attempt.way.name), status=status, body=bytes(body), headers=headers)
    if content_type.startswith(b"text/html"):
        raise UpstreamMalformed(f"The provider, or a proxy before it, answered with status {status} and a page.")
    refusal = bytes(body)
    if attempt.way is not call.target.endpoint:
        said = call.translation.refusal(attempt.way, status, refusal)
        said.headers = _delay(attempt, headers, refusal)
        status, refusal = (
            call.target.endpoint.dialect.status(said),
            call.target.endpoint.dialect.error_body(said, exchange.shown_id.decode()),
        )
        told = {name for name, _ in headers}
        headers += [JSON, *(pair for pair in said.headers if pair[0] not in told)]
    elif exchange.endpoint.dialect is openai.DIALECT:
        refusal = openai_refusal(status, refusal)
        if content_type[:16] != b"application/json":
            headers = [
                *(pair for pair in headers if pair[0] != b"content-type"),
                (b"content-type", b"application/json"),
            ]
    headers.append((b"content-length", str(len(refusal)).encode()))
    given = attempt.status or status
    if attempt.asks_for_usage and means_stream_options(given, bytes(body)):
        failure = Failure("request", takes_no_stream_options=True)
    elif unknown := _betas_refused(exchange, call, attempt, given, bytes(body)):
        failure = Failure("request", refuses_betas=unknown)
    elif given in RETRYABLE:
        after = asked_in_body(bytes(body)) if attempt.pause is None else attempt.pause
        failure = failure_of(given, code, after)
    elif reason and reason in call.token.governor.policy.fallback_on:
        failure = Failure("content", reason, status=given)
    else:
        await relay_refusal(exchange, Unanswered(Failure("request"), status=status, body=refusal, headers=headers))
        return
    raise Unanswered(failure, status=status, body=refusal, headers=headers)


async def relay_early_refusal(exchange: Exchange, headers: Headers, refusal: tuple[int, bytes], code: str) -> None:
    """A stream that is an error from its beginning: as nothing has been sent, it gets a status, and may be tried again."""
    status, body = refusal
    attempt = exchange.attempts[-1]
    attempt.status, attempt.error = status, clean_text(code, 64)
    headers = [pair for pair in headers if pair[0] != b"content-type"]
    headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    answer = Unanswered(failure_of(status, code, None), status=status, body=body, headers=headers)
    if status in RETRYABLE:
        raise answer
    await relay_refusal(exchange, answer)


async def answer_estimate(exchange: Exchange, body: bytes) -> None:
    """The provider cannot count: we do, and say that it is an estimate."""
    headers = [*exchange.id_headers, JSON, (b"x-tollgate-estimated", b"true")]
    exchange.count_out(len(body))
    headers.append((b"content-length", str(len(body)).encode()))
    exchange.record(200)
    await exchange.answer(200, headers, body)


async def relay_refusal(exchange: Exchange, answer: Unanswered) -> None:
    """The provider's refusal, once no further attempt is made."""
    headers = list(answer.headers or ())
    if len(exchange.attempts) > 1 and answer.status >= 500:
        headers = [pair for pair in headers if pair[0] != b"x-should-retry"]
        headers.append((b"x-should-retry", b"false"))  # it has been repeated: the client need not
    exchange.count_out(len(answer.body))
    exchange.record(answer.status, upstream_code=exchange.attempts[-1].error)
    await exchange.answer(answer.status, headers, answer.body)


def _lacks_endpoint(call: Call, attempt: Attempt, status: int, body: bytes) -> bool:
    """Whether a server says that it has no Responses, which not all of its kind have, rather than that it has no such model."""
    if status not in _NO_SUCH_ENDPOINT or attempt.way is not RESPONSES or call.target.endpoint is not RESPONSES:
        return False
    route = attempt.route
    found = way(route, RESPONSES, stream=call.stream, lacks_it=True)
    if found is None or route.credential.provider in _WITH_RESPONSES or route.upstream_model.encode() in body:
        return False
    if status != _NOT_FOUND or not _names_error(body):
        return True
    try:
        call.translation.write(route, found, call.token.governor.policy.untranslatable, call.output_cap)
    except BadRequest:
        return False  # what is not there may be what only Responses can name: a caller must not turn it off for others
    return True


def _betas_refused(exchange: Exchange, call: Call, attempt: Attempt, status: int, body: bytes) -> frozenset[str]:
    """What of the client's `anthropic-beta` the provider refuses, if the call may go there without it."""
    sent = exchange.headers.get(betas.HEADER)
    if sent is None or betas.HEADER not in attempt.way.dialect.to_upstream or attempt.way is not call.target.endpoint:
        return frozenset()
    if call.token.governor.policy.untranslatable == STRICT or len(exchange.attempts) > _BETA_TRIES:
        return frozenset()
    return betas.betas_refused(betas.without_betas(sent, attempt.unsaid_betas), status, body)


def _names_error(body: bytes) -> bool:
    """Whether a refusal is an error as an API says it, rather than a web server's."""
    try:
        return bool(orjson.loads(body).get("error"))
    except (orjson.JSONDecodeError, AttributeError):
        return False


def _delay(attempt: Attempt, headers: Headers, body: bytes) -> Headers:
    """How long the provider asks to be left alone, for clients that look for it elsewhere; empty if it does not say.

    `headers`: those that the client gets. Google says it in the body, and its clients read it there alone.
    """
    is_told = any(name in _DELAYS for name, _ in headers)
    seconds = attempt.pause if is_told else asked_in_body(body)
    if seconds is None:
        return []
    return [(b"retry-after", b"%d" % math.ceil(seconds)), (b"retry-after-ms", b"%d" % math.ceil(seconds * 1000))]


def _error_code(body: bytes) -> str:
    try:
        error = orjson.loads(body).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    if not isinstance(error, Mapping):
        return ""
    return next((value for name in ("code", "type", "status") if isinstance(value := error.get(name), str)), "")
