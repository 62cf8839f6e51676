"""The questions a request is asked, in order; each returns what later ones need, or raises a GatewayError.

Limits and budgets, which take something, are asked in apps.gateway.governance.admission.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from apps.audit.record import MAX_LENGTHS, clean_text
from apps.core.errors import (
    AuthenticationFailed,
    BadRequest,
    BodyTooLarge,
    ClientClosed,
    DialectMismatch,
    EndpointNotAllowed,
    InvalidJson,
    InvalidValue,
    MissingParameter,
    ModelNotFound,
    NoCredential,
    NotSetUp,
    RequestTimeout,
    TokenAmbiguous,
    TokenExpired,
    TokenMalformed,
    TokenMissing,
    TokenRevoked,
    TokenSuspended,
    TokenUnknown,
    UnsupportedEncoding,
)
from apps.gateway.directory.directory import Directory
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import ModelView, Route, TokenView
from apps.gateway.exchange import Exchange
from apps.gateway.governance.call import Call
from apps.gateway.governance.governor import Choice, Governor, Served
from apps.gateway.json_depth import is_deeper_than
from apps.gateway.surfaces import CALLS, Endpoint, Target, key_of
from apps.gateway.translation.choice import translation_of
from apps.gateway.translation.ways import can_serve, way
from apps.providers.dialects.heads import Head
from apps.providers.dialects.tags import tag_text
from apps.providers.names import model_name_is_valid
from apps.services.tokens import token_digest, token_is_well_formed

# A client that sends nothing more of its body for this long has gone or means no good.
_BODY_SILENCE = 60.0
_TAGS = b"x-tollgate-tags"
_TAGS_MAX = 16
_ALIKE_SHOWN = 3  # names told to a client that asked for one like them


# --- Who asks: 401, 503 ---


async def authenticate(exchange: Exchange, directory: Directory) -> TokenView:
    """The live token that the request carries. Raises AuthenticationFailed; NotSetUp where nobody can have one yet."""
    try:
        plaintext = presented(exchange)
        digest = token_digest(plaintext)
        token = directory.known_token(digest)
        if token is None:
            if not token_is_well_formed(plaintext):
                raise TokenMalformed
            token = await directory.token(digest)
            if token is None:
                raise TokenUnknown
    except AuthenticationFailed:
        if await directory.is_empty():
            raise NotSetUp from None
        raise
    exchange.token = token
    check_live(token)
    return token


def check_live(token: TokenView) -> None:
    """Raises TokenRevoked, TokenExpired, TokenSuspended."""
    if token.revoked:
        raise TokenRevoked
    if token.expires_at <= time.time():
        raise TokenExpired
    if token.suspended:
        raise TokenSuspended


def presented(exchange: Exchange) -> str:
    """What the request carries for a token. Raises TokenMissing, TokenAmbiguous."""
    query = exchange.scope["query_string"]
    return _plaintext(exchange.headers, exchange.endpoint.dialect.token_header, key_of(query) if query else "")


def _plaintext(headers: Mapping[bytes, bytes], first: bytes, in_query: str) -> str:
    """`first`: the header that counts where several carry different tokens; empty: none does, and that is refused."""
    sent = headers.get(b"authorization", b"").strip()
    scheme, _, rest = sent.partition(b" ")
    found = {rest.strip() if scheme.lower() == b"bearer" else sent} if sent else set()
    for name in (b"api-key", b"x-api-key", b"x-goog-api-key"):
        if value := headers.get(name):
            found.add(value.strip())
    found.add(in_query.strip().encode("latin-1", "replace"))
    found.discard(b"")
    if not found:
        raise TokenMissing
    if len(found) > 1:
        if sent := headers.get(first, b"").strip():
            return sent.decode("latin-1")
        raise TokenAmbiguous
    return found.pop().decode("latin-1")


# --- What is asked: 400, 408, 413 ---


async def read_body(exchange: Exchange) -> bytes:
    """The whole request body, refused as soon as it is too large."""
    limit = exchange.config.max_body_bytes
    if exchange.headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise UnsupportedEncoding
    declared = exchange.headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await exchange.receive()
    if message["type"] == "http.disconnect":
        raise ClientClosed
    body: bytes = message["body"]
    if message.get("more_body"):
        body = await _read_rest(exchange, bytearray(body), limit)
    exchange.body_size = len(body)
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _read_rest(exchange: Exchange, body: bytearray, limit: int) -> bytes:
    more = True
    while more:
        try:
            async with asyncio.timeout(_BODY_SILENCE):
                message = await exchange.receive()
        except TimeoutError as exc:
            raise RequestTimeout(headers=((b"connection", b"close"),)) from exc
        exchange.body_size = len(body)
        if message["type"] == "http.disconnect":
            raise ClientClosed
        body += message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request body is larger than {limit} bytes (MAX_BODY_BYTES).", headers=((b"connection", b"close"),)
    )


def parse(exchange: Exchange, target: Target, body: bytes) -> Head:
    """The fields we decide on, checked."""
    endpoint = target.endpoint
    head = endpoint.dialect.read_head(body, endpoint.name)
    check_depth(exchange, body)
    exchange.stream = bool(head.stream) and (endpoint.writes or endpoint.made is not None)
    note(exchange, target, head)
    return head


def check_depth(exchange: Exchange, body: bytes) -> None:
    """Raises InvalidJson for a body that is nested too deeply."""
    depth = exchange.config.max_json_depth
    if is_deeper_than(body, depth):
        raise InvalidJson(f"The request body is nested more than {depth} levels deep (MAX_JSON_DEPTH).")


def note(exchange: Exchange, target: Target, head: Head) -> None:
    """Whom the call is for, its tags and its model. Raises MissingParameter, InvalidValue."""
    note_whose(exchange, head)
    model = target.model or head.model
    if not model:
        raise MissingParameter("Missing required parameter: 'model'.", param="model")
    exchange.model_asked = model
    if not model_name_is_valid(model):
        raise InvalidValue("Invalid value for 'model': use a name such as gpt-4o-mini.", param="model")


def note_whose(exchange: Exchange, head: Head) -> None:
    """Whom the call is for, and its tags."""
    named = exchange.config.end_user_header
    end_user = (exchange.header(named) if named else "") or head.end_user
    exchange.end_user = clean_text(end_user, MAX_LENGTHS["end_user"])
    exchange.tags = _tags(exchange, head)


def _tags(exchange: Exchange, head: Head) -> tuple[str, ...]:
    """The request's tags, sorted, not more than so many: of x-tollgate-tags (a=b,c=d), and of its body, where there is room."""
    sent = exchange.headers.get(_TAGS)
    found = head.tags
    if sent is None and not found:
        return ()
    by_key: dict[str, str] = {}
    for part in (sent or b"").decode("latin-1").split(","):
        key, _, value = part.partition("=")
        if tag := tag_text(key, value):
            by_key[tag.partition("=")[0]] = tag
    # A proxy's tags come first: a client must not leave a budget of one by sending many of its own.
    for tag in sorted(found):
        by_key.setdefault(tag.partition("=")[0], tag)
    return tuple(sorted(list(by_key.values())[:_TAGS_MAX]))


# --- Who could answer: 404, 502 ---


async def models_of(token: TokenView, directory: Directory) -> Models:
    """What the token's organization may ask for."""
    known = directory.known_models(token.organization_id)
    return known if known is not None else await directory.models(token.organization_id)


def resolve(name: str, models: Models, governor: Governor) -> ModelView:
    """The model and its routes. Raises ModelNotFound, ModelNotAllowed, NoCredential, in this order."""
    model = models.get(name)
    if model is None:
        raise ModelNotFound(_unknown(name, models, governor), param="model")
    governor.check_model(name, model.plain)
    if not model.routes:
        raise NoCredential(_unserved(model))
    return model


def _unknown(name: str, models: Models, governor: Governor) -> str:
    """With the names that may have been meant, of those that this token may call."""
    views = [view for near in models.near(name) if (view := models.get(near)) is not None]
    alike = [view.name for view in views if governor.may_call(view)][:_ALIKE_SHOWN]
    but = f", but {' and '.join(alike)} {'does' if len(alike) == 1 else 'do'}" if alike else ""
    return f"The model '{name}' does not exist here{but}: GET /v1/models lists what this token may call."


def _unserved(model: ModelView) -> str:
    if not model.provider:
        return f"The alias '{model.name}' is known, but no enabled credential serves what it leads to: manage.py explain says more."
    return (
        f"The model '{model.name}' is known, but no enabled credential of provider '{model.provider}' serves it: "
        "an operator can add one in the console or with manage.py add_credential."
    )


def serving(endpoint: Endpoint, model: ModelView, choice: Choice) -> Served:
    """Those of the routes whose provider has this endpoint or one like it. Raises DialectMismatch if none is left."""
    known = choice.served.get(endpoint.name)
    if known is None:
        known = choice.served[endpoint.name] = _serving(endpoint, model, choice)
    return known


def _serving(endpoint: Endpoint, model: ModelView, choice: Choice) -> Served:
    name, routes = endpoint.name, choice.routes
    left = tuple([route for route in routes if can_serve(route, endpoint)])
    native = all(way(route, endpoint, stream=False) is endpoint for route in left)
    if len(left) == len(routes):
        return Served(routes, choice.skipped, native)
    if not left:
        providers = " and ".join(dict.fromkeys(f"'{route.credential.provider}'" for route in routes))
        places = [f"/v1{call.path}" for call in CALLS if any(can_serve(route, call) for route in routes)]
        where = f"call it at {' or '.join(places)}" if places else "it cannot be called here yet"
        raise DialectMismatch(
            f"The model '{model.name}' is served by {providers}, which has no '{name}': {where}.", param="model"
        )
    lacking = ((route.credential.label, f"has no '{name}'") for route in routes if route not in left)
    return Served(left, (*choice.skipped, *lacking), native)


def translate(exchange: Exchange, call: Call) -> None:
    """Where routes speak another dialect: read the request for them, and leave out those that cannot express it.

    Raises BadRequest if none is left.
    """
    endpoint = call.target.endpoint
    call.reading = partial(
        translation_of,
        endpoint,
        call.body,
        exchange.model_asked,
        request_id=exchange.id,
        at=exchange.arrived_at,
        stream=exchange.stream,
        headers=exchange.headers,
    )
    if call.is_native or all(call.way(route) is endpoint for route in call.routes):
        return
    mode = call.token.governor.policy.untranslatable
    left: list[Route] = []
    failure: BadRequest | None = None
    for route in call.routes:
        there = call.way(route)
        if there is not endpoint:
            try:
                call.translation.write(route, there, mode, None)
            except BadRequest as error:
                failure = failure or error
                call.skipped += ((route.credential.label, f"cannot be asked: {error.message}"),)
                continue
        left.append(route)
    if failure is not None:
        if not left:
            raise failure
        call.routes = tuple(left)


# --- May this caller: 403 ---


def authorize(exchange: Exchange, token: TokenView, endpoint: Endpoint) -> None:
    """The token's scopes must hold the endpoint, and its policies allow it, from there and now. Raises PolicyRefusal."""
    token.governor.check_caller(exchange.address, endpoint.scope)
    _check_scopes(token, endpoint.scope)


def check_scope(token: TokenView, scope: str) -> None:
    """The same of an endpoint that a batch will ask at some time, from wherever its provider is. Raises PolicyRefusal."""
    token.governor.check_endpoint(scope)
    _check_scopes(token, scope)


def _check_scopes(token: TokenView, scope: str) -> None:
    if token.scopes and scope not in token.scopes:
        raise EndpointNotAllowed(f"This token may not call '{scope}'; it may call: {', '.join(sorted(token.scopes))}.")


# --- Do we know the answer ---


def find_cached(call: Call) -> None:
    """An answer that may be given again. There is no cache yet."""
    del call
