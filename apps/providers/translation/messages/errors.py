"""Failures in Anthropic's words, read from whatever a provider sends in their place, and written for its clients. Pure."""

from typing import Any

import orjson

from apps.providers.translation.form import Failed
from apps.providers.translation.told import MESSAGE_MAX, plain_message

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPES = {status: kind for kind, status in _STATUSES.items()} | {408: "timeout_error", 503: "overloaded_error"}


def read_error(status: int, body: bytes) -> Failed:
    """What a refusal says: Anthropic's envelope, another's, or any text."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Failed(message=plain_message(body), status=status)
    if isinstance(value, list) and value:
        value = value[0]
    return failed_of(value, status)


def failed_of(value: object, status: int = 0) -> Failed:
    """An error envelope's JSON as a failure. `status`: HTTP's; 0: the error's type says it."""
    outer: dict[str, Any] = value if isinstance(value, dict) else {}
    inner = outer.get("error")
    error: dict[str, Any] = inner if isinstance(inner, dict) else outer
    details = error.get("details")
    kind = _text(error, "type") if error is not outer or outer.get("type") != "error" else ""
    said = inner if isinstance(inner, str) else value if isinstance(value, str) else ""
    message = _text(error, "message") or said or _text(outer, "message") or _text(outer, "detail")
    return Failed(
        message=message.strip()[:MESSAGE_MAX],
        type=kind,
        code=_text(error, "code") or (_text(details, "error_code") if isinstance(details, dict) else ""),
        param=_text(error, "param") or (_text(details, "param") if isinstance(details, dict) else ""),
        status=status or _STATUSES.get(kind, 0),
    )


def error_event(failed: Failed) -> bytes:
    """A failure in the midst of a stream."""
    kind = failed.type if failed.type in _STATUSES else _TYPES.get(failed.status, "api_error")
    error: dict[str, Any] = {"type": kind, "message": failed.message or "The provider's answer broke off."}
    details = {"error_code": failed.code, "param": failed.param}
    if told := {name: value for name, value in details.items() if value}:
        error["details"] = told
    return b"event: error\ndata: " + orjson.dumps({"type": "error", "error": error, "request_id": None}) + b"\n\n"


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value[:MESSAGE_MAX]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
