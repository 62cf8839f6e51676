"""Refusals of providers that speak OpenAI's dialect, and of the servers in between. Pure."""

import orjson

from apps.providers.translation.form import Failed
from apps.providers.translation.responses.told import failure
from apps.providers.translation.told import MESSAGE_MAX, plain_message


def read_error(status: int, body: bytes) -> Failed:
    """What a refusal says, in OpenAI's envelope or without it, or whatever stands in its place: empty if that is nothing."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Failed(message=plain_message(body), status=status)
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
        error = {**error, "message": said if isinstance(said, str) else plain_message(body)}
    found = failure(error)
    found.status = status
    return found
