"""A request is a sequence of questions: this file is that sequence, and the one place where a refusal becomes an answer."""

import asyncio

from apps.core import endpoints
from apps.core.errors import ClientClosed, GatewayError, ModelNotFound, RecordUnavailable, ShuttingDown, UpgradeRequired
from apps.core.logs import get_logger
from apps.gateway import stages
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import ModelView, TokenView
from apps.gateway.dispatch import dispatch
from apps.gateway.exchange import Exchange, Headers
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import estimated_input
from apps.gateway.idempotency.idempotency import HEADER
from apps.gateway.means import Means
from apps.gateway.objects.pins import likely_account, pin_of, pinned
from apps.gateway.objects.references import references, thoughts
from apps.gateway.objects.responses import NewResponse
from apps.gateway.objects.serving import serve_kept
from apps.gateway.relay.refusals import answer_estimate
from apps.gateway.surfaces import CALLS, RESPONSES, Target, find_target, unknown
from apps.gateway.translation.ways import can_serve
from apps.gateway.uploads.form import Form
from apps.gateway.uploads.parsing import parse_form
from apps.gateway.uploads.reading import read_form
from apps.providers.dialects.dialect import Dialect, Listed
from apps.providers.dialects.heads import Head

log = get_logger(__name__)

_JSON = (b"content-type", b"application/json")


async def handle(exchange: Exchange, means: Means, *, records_are_possible: bool) -> None:
    """Answer one request, whatever happens; its record is written before the answer's last byte leaves."""
    try:
        await answer(exchange, means, records_are_possible=records_are_possible)
    except GatewayError as error:
        await refuse(exchange, error)
    except asyncio.CancelledError:
        # Outside of a call upstream only the server cancels us, when the time to drain is over.
        await refuse(exchange, ShuttingDown())
    except Exception as exc:
        log.exception("request_failed", request_id=exchange.shown_id.decode())
        unforeseen = GatewayError()
        unforeseen.__cause__ = exc
        await refuse(exchange, unforeseen)
    finally:
        # The record settles. Should it ever fail to, the call's slots and holds must not be kept for good.
        exchange.hold.settle(exchange.usage, 0)


async def answer(exchange: Exchange, means: Means, *, records_are_possible: bool) -> None:
    """The questions, in order: cheap refusals first, money last. What admission holds is settled with the record."""
    directory = means.directory
    path, query = exchange.scope["raw_path"].decode("latin-1"), exchange.scope["query_string"]
    try:
        target = find_target(exchange.scope["method"], path, exchange.headers, query)  # 404, 405
    except GatewayError:
        exchange.endpoint = unknown(path, exchange.headers, query)
        raise
    exchange.endpoint = target.endpoint
    token = await stages.authenticate(exchange, directory)  # 401, 503
    if not records_are_possible:
        raise RecordUnavailable
    stages.authorize(exchange, token, target.endpoint)  # 403
    if target.endpoint.name == endpoints.REALTIME:
        raise UpgradeRequired
    if target.endpoint.name == endpoints.REALTIME_SECRETS:
        await means.realtime.issue(exchange, target, token)
        return
    if target.endpoint.name == endpoints.MODELS:
        await list_models(exchange, target, token, await stages.models_of(token, directory))
        return
    if target.endpoint.keeps:
        await serve_kept(exchange, means, token, target)  # 400, 404, 429, 502, 503
        return
    if target.endpoint.takes_form:
        form = await read_form(exchange, means.uploads)  # 400, 408, 413, 503
        try:
            head, fields = await parse_form(exchange, target, form)  # 400
            await ask_model(exchange, means, token, target, head, fields, form)
        finally:
            form.close()
        return
    body = await stages.read_body(exchange)  # 408, 413
    head = stages.parse(exchange, target, body)  # 400
    await ask_model(exchange, means, token, target, head, body)


async def ask_model(
    exchange: Exchange,
    means: Means,
    token: TokenView,
    target: Target,
    head: Head,
    body: bytes,
    form: Form | None = None,
) -> None:
    """The questions about a request that is known to be well formed. `form`: as it came, if it is one."""
    governor = token.governor
    models = await stages.models_of(token, means.directory)
    named = references(target.endpoint.name, head, body)  # 400
    pin = await pin_of(means.owners, token, named) if named else None  # 400, 404, 503
    if pin is not None:
        models = models.undrained
    model = stages.resolve(exchange.model_asked, models, governor)  # 403, 404, 502
    choice = governor.choose(model)  # 403
    routes, skipped, native = stages.serving(target.endpoint, model, choice)  # 400
    if pin is not None:
        routes = pinned(pin, routes, model.name)  # 400
    likely = ""
    if len(routes) > 1 and (stored := thoughts(target.endpoint.name, head, body)):
        likely = await likely_account(means.owners, token, stored)
    counted = target.endpoint.counted
    if counted is not None:
        routes = tuple([route for route in routes if route.serves(target.endpoint.name)])
        if not routes:
            await answer_estimate(exchange, counted(estimated_input(body)))
            return
    call = Call(
        token,
        target,
        head,
        body,
        model,
        routes,
        skipped,
        stream=exchange.stream,
        form=form,
        lacking=means.health.lacking,
        native=native,
        likely=likely,
    )
    if target.endpoint is RESPONSES and getattr(head, "store", None) is not False:
        call.keeping = NewResponse(exchange, means.owners, token, model.name, background=bool(head.background))
    stages.translate(exchange, call)  # 400
    if HEADER not in exchange.headers or counted is not None or form is not None:
        await make(exchange, means, call)
    elif (claim := await means.idempotency.claim(exchange, token, body)) is not None:  # 400, 409, 503
        try:
            await make(exchange, means, call)
        finally:
            await claim.end()


async def make(exchange: Exchange, means: Means, call: Call) -> None:
    """The call itself, or its answer from the cache."""
    stages.find_cached(call)
    if call.target.endpoint.counted is None:
        exchange.hold = await means.admission.admit(exchange, call)  # 400, 402, 403, 429, 503
    await dispatch(exchange, call, means.pool, means.health)  # 502, 504


async def list_models(exchange: Exchange, target: Target, token: TokenView, models: Models) -> None:
    """GET /v1/models and /v1/models/{id}: what this token may really call."""
    dialect = target.endpoint.dialect
    if target.model is None:
        shown = [model for model in models.values() if _may_call(token, model, dialect, is_listed=True)]
        shown.sort(key=lambda model: model.name)
        body = dialect.model_list([_listed(model) for model in shown], exchange.scope["query_string"])
    else:
        exchange.model_asked = target.model
        found = models.get(target.model)
        if found is None or not _may_call(token, found, dialect):
            raise ModelNotFound(f"The model '{target.model}' does not exist here.", param="model")
        body = dialect.model_body(_listed(found))
    exchange.count_out(len(body))
    exchange.record(200)
    headers: Headers = [*exchange.id_headers, _JSON, (b"content-length", str(len(body)).encode())]
    await exchange.answer(200, headers, body)


def _may_call(token: TokenView, model: ModelView, dialect: Dialect, *, is_listed: bool = False) -> bool:
    """Whether the model is of any use to this token, and to a client that speaks this dialect.

    `is_listed`: and whether a provider that tells what it serves tells of this.
    """
    governor = token.governor
    if not model.routes or not governor.may_call(model):
        return False
    calls = [endpoint for endpoint in CALLS if endpoint.dialect is dialect]
    routes = [route for route in governor.choice(model).routes if route.is_listed or not is_listed]
    return any(can_serve(route, endpoint) for route in routes for endpoint in calls)


def _listed(model: ModelView) -> Listed:
    route = model.routes[0]
    return Listed(model.name, model.created, model.owned_by, route.context, route.longest)


async def refuse(exchange: Exchange, error: GatewayError) -> None:
    """The error as the caller's dialect says it: an answer, or an event where the answer has begun. Then nothing follows."""
    endpoint, shown_id = exchange.endpoint, exchange.shown_id.decode()
    dialect = endpoint.dialect
    status = dialect.status(error)
    if exchange.sent_head:
        event = dialect.error_event(error, endpoint.name, exchange.events, shown_id) if exchange.stream else b""
        if exchange.is_inside_event:
            event = b"\n\n" + event
        exchange.bytes_out += len(event)
        exchange.record(status, error)
        if exchange.stream:
            await exchange.send({"type": "http.response.body", "body": event, "more_body": False})
        # A buffered answer that breaks off is left without its end, which the server turns into a closed connection.
        return
    body = dialect.error_body(error, shown_id)
    headers: Headers = [*exchange.id_headers, _JSON, (b"content-length", str(len(body)).encode()), *error.headers]
    if error.retryable is not None:
        headers.append((b"x-should-retry", b"true" if error.retryable else b"false"))
    if not isinstance(error, ClientClosed):
        exchange.count_out(len(body))
    exchange.record(status, error)
    await exchange.answer(status, headers, body)
