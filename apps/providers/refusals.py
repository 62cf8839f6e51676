"""Providers' refusals in the form that OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`. Pure.

Of any other form those clients show the reader nothing but a status. Seen so far: the error as a text (xAI), the message at the top
(Cohere, Mistral, vLLM), a list of what is wrong where (`detail`: Mistral and whatever checks with pydantic), a number for a code
(OpenRouter, Perplexity), all of it within a list (Gemini).
"""

from collections.abc import Mapping
from typing import Any

import orjson

_SHOWN = 2000  # characters of a message
_DEEPEST = 6  # levels of a refusal that are looked into


def openai_refusal(status: int, body: bytes) -> bytes:
    """The refusal in OpenAI's form; the same bytes if it is that already."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = body.decode("utf-8", "replace").strip()
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error") if isinstance(data, Mapping) else None
    if isinstance(error, Mapping) and _can_be_read(error) and not body.lstrip().startswith(b"["):
        return body
    found = _Found(status)
    found.look_into(data)
    return orjson.dumps({"error": found.as_openai()})


def _can_be_read(error: Mapping[str, Any]) -> bool:
    code = error.get("code")
    return isinstance(error.get("message"), str) and (code is None or isinstance(code, str))


class _Found:
    """What a refusal says, gathered from wherever it says it: what is found first counts."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._message = ""
        self._type = ""
        self._param: str | None = None
        self._code: str | None = None

    def look_into(self, said: object, depth: int = 0) -> None:
        """Take what `said` tells: a text, an object, or a list of what is wrong where."""
        if isinstance(said, str):
            self._message = self._message or said
        elif isinstance(said, list):
            self._take_details(said)
        elif isinstance(said, Mapping) and depth < _DEEPEST:
            for key in ("error", "message", "detail", "msg"):
                self.look_into(said.get(key), depth + 1)
            self._take_labels(said)  # after those of what is inside it

    def _take_labels(self, said: Mapping[str, Any]) -> None:
        kind, param, code = said.get("type"), said.get("param"), said.get("code")
        if isinstance(kind, str):
            self._type = self._type or kind
        if isinstance(param, str):
            self._param = self._param or param
        if isinstance(code, str | int) and not isinstance(code, bool):
            self._code = self._code or str(code)

    def _take_details(self, details: list[Any]) -> None:
        """`[{"loc": ["body", "messages", 0], "msg": "Field required"}, …]`."""
        sentences = []
        for detail in details:
            if not isinstance(detail, Mapping) or not isinstance(detail.get("msg"), str):
                continue
            where = detail.get("loc")
            path = [str(part) for part in where if part != "body"] if isinstance(where, list) else []
            self._param = self._param or ".".join(path) or None
            sentences.append(f"{'.'.join(path)}: {detail['msg']}" if path else detail["msg"])
        self._message = self._message or "; ".join(sentences)

    def as_openai(self) -> dict[str, str | None]:
        """The error object, all four keys."""
        message = self._message or f"The provider answered with status {self._status} and said no more."
        return {
            "message": message[:_SHOWN],
            "type": self._type or _type_of(self._status),
            "param": self._param,
            "code": self._code,
        }


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
