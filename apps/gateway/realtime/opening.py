"""Opening a session: the same questions as of every request, in the same order, before the client's WebSocket is one."""

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import parse_qs

from apps.audit.record import MAX_LENGTHS, clean_text
from apps.core.errors import (
    AuthenticationFailed,
    ClientClosed,
    EgressBlocked,
    GatewayError,
    InvalidValue,
    NotSetUp,
    RecordUnavailable,
    ShuttingDown,
    TokenUnknown,
    UnknownPath,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
)
from apps.core.logs import get_logger
from apps.gateway import metrics, stages
from apps.gateway.attempts import Attempts
from apps.gateway.directory.directory import Directory
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Route, TokenView
from apps.gateway.exchange import Attempt, Exchange, Headers
from apps.gateway.governance.admission import Admission
from apps.gateway.governance.call import Call
from apps.gateway.health.failure import REFUSED, RETRYABLE, Failure, Kind, failure_of
from apps.gateway.health.health import Health
from apps.gateway.health.pacing import asked_to_wait
from apps.gateway.realtime.caller import Caller, Left, bring_token
from apps.gateway.realtime.issuing import issue
from apps.gateway.realtime.pieces import Conversation, Paid, PieceHead, Till
from apps.gateway.realtime.provider import Provider, Refused, dial, target_of
from apps.gateway.realtime.responses import Responses
from apps.gateway.realtime.secrets import PREFIX, Issued, Secrets
from apps.gateway.realtime.session import Opening, Session, Times
from apps.gateway.realtime.standing import Standing
from apps.gateway.surfaces import REALTIME, Target, find_target
from apps.gateway.upstream.dialing import Dialer
from apps.providers.refusals import openai_refusal
from apps.services.tokens import token_digest

log = get_logger(__name__)

_JSON = (b"content-type", b"application/json")
_SAFETY = b"openai-safety-identifier"
# Of a client's headers, those that go on to the provider.
_TO_PROVIDER = (b"openai-beta", _SAFETY, b"x-client-request-id", b"traceparent", b"tracestate")
_DRAIN_MARGIN = 1.0  # seconds before the server cancels what is left


class Taken:
    """What a session takes while it is being opened, to be given back whatever becomes of it."""

    def __init__(self) -> None:
        self.responses: Responses | None = None
        self.attempts: Attempts | None = None

    def end(self) -> None:
        """Give back what is left."""
        if self.responses is not None:
            self.responses.stop(ShuttingDown())  # of one that was under way, its session has told already
        if self.attempts is not None:
            self.attempts.ends()


class Realtime:
    """Opens sessions, and issues secrets that open them."""

    def __init__(
        self, directory: Directory, admission: Admission, health: Health, dialer: Dialer, secrets: Secrets
    ) -> None:
        self._directory, self._admission, self._health = directory, admission, health
        self._dialer, self._secrets = dialer, secrets

    async def issue(self, exchange: Exchange, target: Target, token: TokenView) -> None:
        """Answer a request for a client secret. Raises GatewayError."""
        await issue(exchange, target, token, self._directory, self._admission, self._secrets)

    async def relay(self, exchange: Exchange, caller: Caller, *, records_are_possible: bool) -> None:
        """One WebSocket from its handshake to its end, whatever happens. What was held is settled with the records."""
        taken = Taken()
        try:
            await caller.begin()
            session = await self._open(exchange, caller, taken, records_are_possible=records_are_possible)
        except GatewayError as error:
            await _refuse(exchange, caller, error)
        except Refused as answer:
            await _relay_refusal(exchange, caller, answer)
        except Left:
            exchange.record(499, ClientClosed())
        except asyncio.CancelledError:
            await _refuse(exchange, caller, ShuttingDown())
        except Exception as exc:
            log.exception("request_failed", request_id=exchange.shown_id.decode())
            unforeseen = GatewayError()
            unforeseen.__cause__ = exc
            await _refuse(exchange, caller, unforeseen)
        else:
            metrics.realtime_sessions.inc()
            try:
                await session.run()
            finally:
                metrics.realtime_sessions.dec()
        finally:
            taken.end()
            exchange.hold.settle(exchange.usage, 0)

    async def _open(self, exchange: Exchange, caller: Caller, taken: "Taken", *, records_are_possible: bool) -> Session:
        """The questions, in order. Raises GatewayError, Refused, Left."""
        config = exchange.config
        exchange.endpoint = REALTIME
        bring_token(exchange, caller.offered)
        _find(exchange)  # 404, 405
        query = _query(exchange)
        token, digest, issued = await self._authenticate(exchange)  # 401, 503
        if not records_are_possible:
            raise RecordUnavailable
        stages.authorize(exchange, token, REALTIME)  # 403
        opening = _opening(query, issued)  # 400
        target = Target(REALTIME, _model(query, issued))
        head = PieceHead(model=target.model, end_user=exchange.header(_SAFETY))
        stages.note(exchange, target, head)  # 400
        if issued is not None:
            exchange.end_user, exchange.tags = issued.end_user or exchange.end_user, issued.tags
        exchange.stream = True
        models = await stages.models_of(token, self._directory)  # 503
        model = stages.resolve(exchange.model_asked, models, token.governor)  # 403, 404, 502
        routes, skipped, _ = stages.serving(REALTIME, model, token.governor.choose(model))  # 400, 403
        paid = Paid(token, model, routes, skipped)
        call = Call(token, target, head, b"", model, routes, skipped, stream=True)
        exchange.hold = await self._admission.admit(exchange, call)  # 402, 429, 503
        till, conversation = Till(exchange, self._admission), Conversation()
        responses = Responses(till, paid, conversation)
        taken.responses = responses
        if not opening.transcribes:
            await responses.level()  # 402, 403, 429, 503
        provider = await self._dial(exchange, paid, models, taken, transcribes=opening.transcribes)  # 502, 504
        headers = list(exchange.id_headers)
        if not token.governor.policy.hide_served:
            headers += [*paid.route.served, (b"x-tollgate-attempts", b"%d" % len(exchange.attempts))]
        try:
            await caller.accept(headers)
        except BaseException:
            provider.abort()
            raise
        exchange.sent_head = True
        standing = Standing(exchange, self._directory, digest, models, paid)
        drain = max(config.drain_timeout - _DRAIN_MARGIN, config.drain_timeout / 2)
        return Session(
            exchange,
            caller,
            provider,
            till,
            responses,
            conversation,
            times=Times(config.realtime_idle_timeout, config.realtime_total_timeout, drain),
            opening=opening,
            recheck=standing.recheck,
            transcriber=standing.transcriber,
        )

    async def _authenticate(self, exchange: Exchange) -> tuple[TokenView, bytes, Issued | None]:
        """The token that the request carries, or whose client secret it does; and the token's digest.

        Raises AuthenticationFailed; NotSetUp where nobody can have either yet.
        """
        try:
            return await self._known(exchange)
        except AuthenticationFailed:
            if await self._directory.is_empty():
                raise NotSetUp from None
            raise

    async def _known(self, exchange: Exchange) -> tuple[TokenView, bytes, Issued | None]:
        presented = stages.presented(exchange)
        if not presented.startswith(PREFIX):
            return await stages.authenticate(exchange, self._directory), token_digest(presented), None
        issued = await self._secrets.open(presented)
        if issued is None:
            raise TokenUnknown("This client secret is not known here, or has expired: ask your server for another.")
        digest = bytes.fromhex(issued.token)
        token = await self._directory.token(digest)
        if token is None:
            raise TokenUnknown
        exchange.token = token
        stages.check_live(token)
        return token, digest, issued

    async def _dial(
        self, exchange: Exchange, paid: Paid, models: Models, taken: "Taken", *, transcribes: bool
    ) -> Provider:
        """A session at one of the routes, from then on the only one. Raises GatewayError, Refused."""
        config, headers = exchange.config, exchange.headers
        passing = [(name, headers[name]) for name in _TO_PROVIDER if name in headers]
        attempts = taken.attempts = Attempts(
            paid.routes,
            self._health,
            most=config.upstream_attempts,
            until=self._health.clock() + config.upstream_attempts_time,
            strategy=paid.model.strategy,
        )
        route, wait = attempts.first(), 0.0
        while True:
            if wait:
                await asyncio.sleep(wait)
            attempt = Attempt(route, REALTIME)
            exchange.attempts.append(attempt)
            attempt.is_sent = True
            try:
                account = models.credentials[route.credential.id]
                target = target_of(account, route, transcribes=transcribes)
                provider = await dial(self._dialer, account, target, passing, config.realtime_max_event_bytes)
            except Refused as answer:
                failure, refusal = _failure(attempt, route, answer)
                following = attempts.after(route, failure) if failure is not None else None
                if following is None:
                    raise refusal or answer from None
            except (UpstreamError, UpstreamTimeout) as error:
                attempt.fail(error.code)
                kind: Kind = "refused" if isinstance(error, EgressBlocked) else "failing"
                following = attempts.after(route, Failure(kind, error.code))
                if following is None:
                    raise
            else:
                attempts.succeeded(None)
                paid.routes = (route,)
                attempt.status = 101
                attempt.request_id = clean_text(provider.request_id, MAX_LENGTHS["upstream_request_id"])
                return provider
            route, wait = following


def _find(exchange: Exchange) -> None:
    """Raises UnknownPath, MethodNotAllowed where no session is to be had."""
    raw = exchange.scope.get("raw_path") or exchange.scope["path"].encode()
    if find_target("GET", raw.decode("latin-1"), exchange.headers).endpoint is not REALTIME:
        raise UnknownPath("There is no WebSocket at this path: sessions are opened at /v1/realtime.")


def _query(exchange: Exchange) -> Mapping[str, str]:
    fields = parse_qs(exchange.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _model(query: Mapping[str, str], issued: Issued | None) -> str | None:
    named = query.get("model") or query.get("deployment")
    if issued is None:
        return named
    if named and named != issued.model:
        raise InvalidValue(f"This client secret opens sessions of '{issued.model}' only.", param="model")
    return issued.model


def _opening(query: Mapping[str, str], issued: Issued | None) -> Opening:
    intent = query.get("intent", "")
    if "call_id" in query:
        raise InvalidValue("Calls that were begun elsewhere cannot be joined here: name a 'model'.", param="call_id")
    if intent not in ("", "transcription"):
        raise InvalidValue("Invalid value for 'intent': use transcription, or leave it out.", param="intent")
    if issued is None:
        return Opening(transcribes=bool(intent))
    return Opening(dict(issued.session), issued.transcribes)


def _failure(attempt: Attempt, route: Route, answer: Refused) -> tuple[Failure | None, GatewayError | None]:
    """What a provider's refusal means for another attempt (None: it stands), and what it is if not the client's to read."""
    status = attempt.status = answer.status
    attempt.error = f"upstream_{status}"
    attempt.end()
    if status in REFUSED:
        label = route.credential.label
        return Failure("refused", attempt.error, status=status), UpstreamAuthFailed(
            f"The provider refuses this gateway's credential '{label}' with status {status}: an operator must mend it."
        )
    if status in RETRYABLE:
        return failure_of(status, attempt.error, asked_to_wait(answer.headers, time.time())), None
    if status < 400:
        return None, UpstreamMalformed(
            "The provider answered with no WebSocket: an operator must correct the base URL."
        )
    return None, None


async def _refuse(exchange: Exchange, caller: Caller, error: GatewayError) -> None:
    """An error in a WebSocket's place."""
    dialect = exchange.endpoint.dialect
    body = dialect.error_body(error, exchange.shown_id.decode())
    headers: Headers = [*exchange.id_headers, _JSON, (b"content-length", b"%d" % len(body)), *error.headers]
    if error.retryable is not None:
        headers.append((b"x-should-retry", b"true" if error.retryable else b"false"))
    exchange.count_out(len(body))
    exchange.record(error.status, error)
    await caller.refuse(error.status, headers, body)


async def _relay_refusal(exchange: Exchange, caller: Caller, answer: Refused) -> None:
    """The provider's refusal, once no further attempt is made."""
    body = openai_refusal(answer.status, answer.body)
    exchange.count_out(len(body))
    exchange.record(answer.status, upstream_code=exchange.attempts[-1].error)
    headers: Headers = [*exchange.id_headers, _JSON, (b"content-length", b"%d" % len(body))]
    await caller.refuse(answer.status, headers, body)
