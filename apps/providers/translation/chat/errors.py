"""What a provider's refusal says, in whatever form. Pure."""

from typing import Any

import orjson

from apps.providers.refusals import openai_refusal
from apps.providers.translation.form import Failed
from apps.providers.translation.told import MESSAGE_MAX

_STATUSES = range(400, 600)


def read_error(status: int, body: bytes) -> Failed:
    """The refusal."""
    error = orjson.loads(openai_refusal(status, body))["error"]
    code, param, kind = error.get("code"), error.get("param"), error.get("type")
    return Failed(
        message=error["message"][:MESSAGE_MAX],
        type=kind if isinstance(kind, str) else "",
        code=code if isinstance(code, str) else "",
        param=param if isinstance(param, str) else "",
        status=status,
    )


def failure_in(said: dict[str, Any]) -> Failed | None:
    """The failure that a part of a stream, or an answer of status 200, tells; None if it tells none.

    A message that is no part of an answer is one, as Cohere's are.
    """
    is_message = "choices" not in said and isinstance(said.get("message"), str)
    if not said.get("error") and said.get("object") != "error" and not is_message:
        choices = said.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or not first.get("error"):
            return None
        said = {"error": first["error"]}
    error = said.get("error")
    code = error.get("code") if isinstance(error, dict) else said.get("code")
    try:
        status = int(code) if isinstance(code, str | int) else 0
    except ValueError:
        status = 0
    try:
        found = read_error(status, orjson.dumps(said))
    except TypeError:  # too deep to be looked into
        found = Failed(message="The provider failed in a way that cannot be read.")
    found.status = status if status in _STATUSES else 0
    return found
