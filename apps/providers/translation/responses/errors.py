"""Refusals of providers that speak OpenAI's dialect, and of the servers in between. Pure."""

import re

import orjson

from apps.providers.translation.form import Failed
from apps.providers.translation.responses.told import MESSAGE_MAX, failure

_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})</title", re.IGNORECASE)


def read_error(status: int, body: bytes) -> Failed:
    """What a refusal says, in OpenAI's envelope or without it, or whatever stands in its place: empty if that is nothing."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Failed(message=_plain(body), status=status)
    if isinstance(data, list):
        data = data[0] if data else None
    if isinstance(data, str):
        return Failed(message=data[:MESSAGE_MAX], status=status)
    if not isinstance(data, dict):
        return Failed(message="", status=status)
    error = data.get("error") or data
    if isinstance(error, dict) and not error.get("message"):
        said = next((error[name] for name in ("detail", "error", "title", "msg") if error.get(name)), None)
        if not said:
            return Failed(message="", status=status)
        error = {**error, "message": said if isinstance(said, str) else _plain(body)}
    found = failure(error)
    found.status = status
    return found


def _plain(body: bytes) -> str:
    text = body[: 4 * MESSAGE_MAX].decode(errors="replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        return title[1].strip() if title else ""
    return text[:MESSAGE_MAX]
