"""What some providers' chats have otherwise than OpenAI's own clients can read them, put right where a chat is relayed. Pure.

The same answer: nothing is left out of it, and what clients can read as it is stays as it came, byte for byte.
"""

import re
from typing import Any

import orjson

from apps.providers.refusals import openai_refusal
from apps.providers.told_json import loads
from apps.providers.translation.chat.answers_read import arguments_text, content_parts
from apps.providers.translation.chat.errors import failure_in
from apps.providers.translation.form import Json, Text, Thinking

# What is looked into, written without spaces or with one. Quotes within a text are escaped: none of these is ever said in one.
_LISTED, _LISTED_SPACED = b'"content":[', b'"content": ['
_MEANT, _MEANT_SPACED = b'"arguments":{', b'"arguments": {'
_LIMITED = b'"model_length"'
_FILTERS = b'"prompt_filter_results"'
_CHOICES = b'"choices"'
_DATA = b"data:"
_ROLE = re.compile(rb'"role"\s*:\s*"assistant"\s*,\s*|,?\s*"role"\s*:\s*"assistant"')
_FAILED = 502


def mended_answer(body: bytes) -> bytes:
    """A whole answer, for which OpenAI's clients have a text as content and text as arguments."""
    if not _has_parts(body):
        return body
    try:
        said = loads(body)
    except orjson.JSONDecodeError:
        return body
    return _dumped(said, body) if isinstance(said, dict) and _mend(said) else body


def needs_mending(events: bytes) -> bool:
    """Whether any of these events may have to be put right. Asked of every piece of a stream: most hold nothing of the kind."""
    return (
        b'"role"' in events
        or events.count(_CHOICES) < events.count(_DATA)
        or _FILTERS in events
        or _LISTED in events
        or _LISTED_SPACED in events
        or _MEANT in events
        or _MEANT_SPACED in events
        or _LIMITED in events
    )


def _has_parts(said: bytes) -> bool:
    return any(each in said for each in (_LISTED, _LISTED_SPACED, _MEANT, _MEANT_SPACED, _LIMITED))


def mended_event(event: bytes, *, told_role: bool, takes_filters: bool) -> bytes:
    """One event of a stream; empty: the client is not to have it.

    Its helpers join what is said twice, so that a role is told once. A chunk without choices is an end to them, or breaks them:
    what Azure's filters have found in the prompt is for Azure's own clients (`takes_filters`), and failures get OpenAI's form.
    """
    if _CHOICES not in event:
        return _failure(event)
    if _FILTERS in event and not takes_filters and _is_empty(_json_of(event)):
        return b""
    if _has_parts(event):
        said = _json_of(event)
        if _mend(said):
            event = b"data: " + _dumped(said, b"{}") + b"\n\n"
    return _ROLE.sub(b"", event) if told_role else event


def _is_empty(said: Json) -> bool:
    return said.get("choices") == [] and not said.get("usage")


def _failure(event: bytes) -> bytes:
    said = _json_of(event)
    if not said or failure_in(said) is None:
        return event
    whole = orjson.dumps(said)
    told = openai_refusal(_FAILED, whole)
    return event if told is whole else b"data: " + told + b"\n\n"


def _json_of(event: bytes) -> Json:
    lines = [line[5:] for line in event.splitlines() if line.startswith(_DATA)]
    try:
        said = loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _dumped(said: Json, otherwise: bytes) -> bytes:
    try:
        return orjson.dumps(said)
    except TypeError:  # nested more deeply than it can be written
        return otherwise


def _mend(said: Json) -> bool:
    """Put an answer, or a chunk of one, right; returns whether there was anything."""
    choices = said.get("choices")
    found = False
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if (
            choice.get("finish_reason") == "model_length"
        ):  # Mistral: the model's own limit was reached, not the request's
            choice["finish_reason"] = "length"
            found = True
        for name in ("message", "delta"):
            if isinstance(choice.get(name), dict):
                found = _mend_message(choice[name]) or found
    return found


def _mend_message(message: Json) -> bool:
    found = isinstance(message.get("content"), list) and _join(message)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
            found = _write_arguments(function) or found
    return found


def _join(message: Json) -> bool:
    """Make a text of the parts of a message, and another one of what was thought."""
    content: list[Any] = message["content"]
    parts = content_parts(content)
    if not all(isinstance(part, Text | Thinking) for part in parts):
        return False  # a picture, say, for which there is no other place
    message["content"] = "".join(part.text for part in parts if isinstance(part, Text))
    if thoughts := "".join(part.text for part in parts if isinstance(part, Thinking)):
        message["reasoning_content"] = thoughts
    return True


def _write_arguments(function: Json) -> bool:
    try:
        function["arguments"] = arguments_text(function["arguments"])
    except ValueError:
        return False
    return True
