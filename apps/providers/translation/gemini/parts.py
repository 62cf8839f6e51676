"""The parts of answers in Gemini's words, both ways, and the ids of calls that have none. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from apps.providers.translation.form import (
    Audio,
    Citation,
    File,
    Image,
    Json,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.gemini import kept, media
from apps.providers.translation.gemini.citations import Measure


def call_id(call: Mapping[str, Any], answer_id: str, choice: int, index: int, name: str, arguments: str) -> str:
    """A call's own id; else one that is the same whenever this answer is read, and another for each call."""
    given = call.get("id")
    if isinstance(given, str) and given:
        return given
    seed = f"{answer_id}/{choice}/{index}/{name}/{arguments}".encode(errors="replace")
    return "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()


def arguments_of(call: Mapping[str, Any]) -> str:
    """The arguments of a call in an answer, as JSON; an empty object if they are none."""
    args = call.get("args")
    try:
        return orjson.dumps(args).decode() if isinstance(args, dict) else "{}"
    except TypeError:  # nested too deeply
        return "{}"


def object_of(arguments: str, *, custom: bool) -> orjson.Fragment | None:
    """Arguments as a call holds them, on one line; None if they are no JSON object."""
    if custom:
        return orjson.Fragment(orjson.dumps({"input": arguments}))
    text = arguments.strip() or "{}"
    try:
        if not isinstance(orjson.loads(text), dict):
            return None
    except (orjson.JSONDecodeError, RecursionError):
        return None
    # Line ends are between its tokens, and would end a line of a stream.
    return orjson.Fragment(text.replace("\n", " ").replace("\r", " "))


def written(
    parts: Iterable[Part], *, thoughts: bool
) -> tuple[list[Json], list[tuple[Citation, Measure, int | None]], str]:
    """The parts of a candidate; the citations of its texts; and the name of a call whose arguments are no object, if any.

    `thoughts`: whether the client asked to see them. Their signatures it is given in any case.
    """
    found: list[Json] = []
    cited: list[tuple[Citation, Measure, int | None]] = []
    broken = ""
    for part in parts:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text) and part.citations:
                measure = Measure(part.text)
                cited.extend((citation, measure, len(found)) for citation in part.citations)
            if part.text:
                found.append({"text": part.text})
        elif isinstance(part, Thinking):
            found.extend(thought(part.text if thoughts else "", part.signature, part.origin, redacted=part.redacted))
        elif isinstance(part, ToolCall):
            made = called(part.id, part.name, part.arguments, part.signature, part.origin, custom=part.custom)
            if made is None:
                broken = broken or part.name
            else:
                found.append(made)
        elif isinstance(part, Image | Audio | File):
            found.extend(shown(part))
    return found, cited, broken


def thought(text: str, signature: str, origin: str, *, redacted: bool) -> list[Json]:
    """A thought as a part; nothing if there is neither text nor signature."""
    if not text and not signature:
        return []
    part: Json = {"text": text, "thought": True}
    if signature:
        part["thoughtSignature"] = kept.shown(signature, origin, redacted=redacted)
    return [part]


def called(id_: str, name: str, arguments: str, signature: str, origin: str, *, custom: bool) -> Json | None:
    """A call as a part; None if its arguments are no object."""
    args = object_of(arguments, custom=custom)
    if args is None:
        return None
    call: Json = {"name": name, "args": args}
    if id_:
        call["id"] = id_
    part: Json = {"functionCall": call}
    if signature:
        part["thoughtSignature"] = kept.shown(signature, origin)
    return part


def shown(part: Image | Audio | File) -> list[Json]:
    """A picture as a part; nothing if there is neither data nor URL."""
    found = media.inline_data(part)
    if found is None and not isinstance(part, Audio) and part.url:
        found = media.file_data(part)
    return [] if found is None else [found]
