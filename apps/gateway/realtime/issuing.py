"""POST /v1/realtime/client_secrets: a secret for a browser, with the session that it opens."""

from typing import Any, Literal

import msgspec
import orjson

from apps.core.errors import BodyTooLarge, InvalidValue, MissingParameter
from apps.core.ids import uuid7
from apps.gateway import stages
from apps.gateway.directory.directory import Directory
from apps.gateway.directory.views import TokenView
from apps.gateway.exchange import Exchange
from apps.gateway.governance.admission import Admission
from apps.gateway.governance.call import Call
from apps.gateway.json_depth import is_deeper_than
from apps.gateway.realtime.pieces import PieceHead
from apps.gateway.realtime.secrets import Issued, Secrets
from apps.gateway.surfaces import REALTIME, Target
from apps.providers.dialects.heads import decoded
from apps.services.tokens import token_digest

_BODY_MOST = 64 * 1024
_SECONDS_LEAST, _SECONDS, _SECONDS_MOST = 10, 600, 7200  # as OpenAI has them
_OBJECTS = {False: "realtime.session", True: "realtime.transcription_session"}


class _Expiry(msgspec.Struct):
    anchor: Literal["created_at"] = "created_at"
    seconds: int | None = None


class _Request(msgspec.Struct):
    session: dict[str, Any] | None = None
    expires_after: _Expiry | None = None


_decode = msgspec.json.Decoder(_Request).decode


async def issue(
    exchange: Exchange, target: Target, token: TokenView, directory: Directory, admission: Admission, secrets: Secrets
) -> None:
    """Answer with a new client secret. It is checked now that such a session may be had, and again when it is opened."""
    body = await stages.read_body(exchange)
    if len(body) > _BODY_MOST:
        raise BodyTooLarge(f"The configuration of a session is larger than {_BODY_MOST} bytes.")
    asked = decoded(body, _decode)
    if is_deeper_than(body, exchange.config.max_json_depth):
        raise InvalidValue("The configuration of the session is nested too deeply.", param="session")
    session = asked.session or {}
    transcribes = session.get("type") == "transcription"
    model = _model(session, transcribes=transcribes)
    seconds = _seconds(asked.expires_after)
    head = PieceHead(model=model)
    stages.note(exchange, target, head)
    governor = token.governor
    view = stages.resolve(model, await stages.models_of(token, directory), governor)
    routes, skipped, _ = stages.serving(REALTIME, view, governor.choose(view))
    exchange.hold = await admission.admit(exchange, Call(token, target, head, b"", view, routes, skipped))
    digest = token_digest(stages.presented(exchange)).hex()
    issued = Issued(digest, model, session, transcribes, exchange.end_user, exchange.tags)
    value, expires_at = await secrets.issue(issued, seconds)
    shown = {"type": "realtime", **session, "object": _OBJECTS[transcribes], "id": f"sess_{uuid7().hex}"}
    answer = orjson.dumps({"value": value, "expires_at": expires_at, "session": shown})
    exchange.count_out(len(answer))
    exchange.record(200)
    headers = [
        *exchange.id_headers,
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(answer)),
    ]
    await exchange.answer(200, headers, answer)


def _model(session: dict[str, Any], *, transcribes: bool) -> str:
    named: Any = session.get("model")
    where = "session.model"
    if transcribes:
        where = "session.audio.input.transcription.model"
        named = session
        for name in where.split(".")[1:]:
            named = named.get(name) if isinstance(named, dict) else None
    if not isinstance(named, str) or not named:
        raise MissingParameter(f"Missing required parameter: '{where}'.", param=where)
    return named


def _seconds(expiry: _Expiry | None) -> int:
    seconds = expiry.seconds if expiry is not None and expiry.seconds is not None else _SECONDS
    if not _SECONDS_LEAST <= seconds <= _SECONDS_MOST:
        raise InvalidValue(
            f"Invalid value for 'expires_after.seconds': use {_SECONDS_LEAST} to {_SECONDS_MOST}.",
            param="expires_after.seconds",
        )
    return seconds
