"""Reading what a client's messages are made of. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.providers.translation.fields import Fields, Unkept, json_bytes, wrong_value
from apps.providers.translation.form import File, Image, Part, Text, Thinking, ToolCall, ToolResult
from apps.providers.translation.losses import shown
from apps.providers.translation.messages.citations import read_citations
from apps.providers.translation.messages.words import NAME
from apps.providers.translation.signatures import opened

_AT_ANTHROPIC = (
    "It belongs to a tool that runs at Anthropic: begin a new conversation, or ask for one of Anthropic's models."
)
_SOURCE_REMEDY = "use a source of type base64, url, file, text or content"


@dataclass(slots=True)
class Met:
    """What is known while a request's messages are read."""

    unkept: Unkept
    tool_names: dict[str, str] = field(default_factory=dict)  # by the id of the call


def read_content(fields: Fields, name: str, met: Met, role: str) -> list[Part]:
    """The parts of a field that is a text, or blocks. Raises BadRequest.

    `role`: of the message; system, document, search_result or tool_result within those.
    """
    content = fields.json.get(name)
    if content is None:
        raise fields.missing(name)
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        raise fields.wrong(name, "a string or an array of content blocks")
    parts: list[Part] = []
    for block in fields.objects(name):
        kind = block.filled_text("type")
        _require_place(block, kind, role)
        reader = _READERS.get(kind) if kind in _INSIDE.get(role, _READERS) else None
        if reader is not None:
            parts += reader(block, met)
        elif kind not in _UNSEEN:
            remedy = (
                _AT_ANTHROPIC
                if kind.endswith(_HOSTED)
                else f"Leave it out: only Anthropic knows '{shown(kind)}' blocks."
            )
            met.unkept.refuse(block.path, remedy)
    return _with_signed_calls(parts)


def read_summary(fields: Fields) -> Text | None:
    """What a message's block of type `compaction` says of all that came before, in whose place it stands; None without one."""
    content = fields.json.get("content")
    for place, each in enumerate(content if isinstance(content, list) else []):
        if isinstance(each, dict) and each.get("type") == "compaction":
            block = Fields(each, f"{fields.named('content')}[{place}]")
            if summary := block.text("content"):
                return Text(summary, read_cache(block))
    return None


def mark_last(parts: list[Part], cache: str) -> None:
    """Let the prompt be kept up to the last of the parts that can be marked, unless it is marked already."""
    for part in reversed(parts):
        if isinstance(part, Text | Image | File | ToolCall | ToolResult):
            part.cache = part.cache or cache
            return


def read_cache(fields: Fields) -> str:
    """The lifetime that `cache_control` asks for; empty without one."""
    mark = fields.inner("cache_control")
    if mark is None or mark.text("type") != "ephemeral":
        return ""
    return "1h" if mark.text("ttl") == "1h" else "5m"


# Blocks that say nothing to a model, or that have been read already.
_UNSEEN = frozenset({"fallback", "compaction", "tool_addition", "tool_removal"})
# What other blocks may hold.
_INSIDE = {
    "system": frozenset({"text"}),
    "document": frozenset({"text", "image"}),
    "search_result": frozenset({"text"}),
    "tool_result": frozenset({"text", "image", "document", "search_result", "tool_reference"}),
}
# What a tool of Anthropic's was asked and has found.
_HOSTED = ("server_tool_use", "_tool_result", "mcp_tool_use", "mcp_tool_listing", "container_upload")
_OF_USERS = frozenset({"tool_result"})
_OF_ASSISTANTS = frozenset({"tool_use", "thinking", "redacted_thinking"})


def _require_place(block: Fields, kind: str, role: str) -> None:
    if kind in _OF_USERS and role != "user":
        raise wrong_value(block.path, f"a {kind} belongs in a message of role 'user'")
    if kind in _OF_ASSISTANTS and role != "assistant":
        raise wrong_value(block.path, f"a {kind} belongs in a message of role 'assistant'")


def _with_signed_calls(parts: list[Part]) -> list[Part]:
    """Calls of tools with the signatures that came before them, as we had to write them: in thoughts without text."""
    if not any(isinstance(part, Thinking) and part.origin not in ("", NAME) for part in parts):
        return parts
    found: list[Part] = []
    for part in parts:
        before = found[-1] if found else None
        if isinstance(part, ToolCall) and isinstance(before, Thinking) and _is_of_call(before):
            part.signature, part.origin = before.signature, before.origin
            found[-1] = part
        else:
            found.append(part)
    return found


def _is_of_call(thought: Thinking) -> bool:
    return thought.origin not in ("", NAME) and not thought.text and not thought.redacted


# --- One reader for each type of block ---


def _text(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _TEXT_FIELDS)
    text = block.text("text")
    if not text:
        return []
    return [Text(text, read_cache(block), read_citations(block.json.get("citations"), 0, len(text)))]


def _image(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _IMAGE_FIELDS)
    source = block.required_inner("source")
    image = Image(cache=read_cache(block))
    match source.filled_text("type"):
        case "base64":
            image.data, image.media_type = source.filled_text("data"), source.filled_text("media_type")
        case "url":
            image.url = source.filled_text("url")
        case "file":
            image.file_id = source.filled_text("file_id")
        case _:
            raise source.impossible("type", "use base64, url or file")
    return [image]


def _document(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _DOCUMENT_FIELDS)
    _leave_citing(block, met)
    source = block.required_inner("source")
    file = File(name=block.text("title"), cache=read_cache(block))
    parts: list[Part] = [Text(context)] if (context := block.text("context")) else []
    match source.filled_text("type"):
        case "base64":
            file.data = source.filled_text("data")
            file.media_type = source.text("media_type") or "application/pdf"
        case "text":
            file.text, file.media_type = source.text("data"), "text/plain"
        case "url":
            file.url, file.media_type = source.filled_text("url"), "application/pdf"
        case "file":
            file.file_id = source.filled_text("file_id")
        case "content":
            return [*parts, *_of_blocks(_within(source, met, "document"), file)]
        case _:
            raise source.impossible("type", _SOURCE_REMEDY)
    return [*parts, file] if file.text or file.media_type != "text/plain" or file.data else parts


def _within(block: Fields, met: Met, role: str) -> list[Part]:
    return read_content(block, "content", met, role)


def _of_blocks(inner: list[Part], file: File) -> list[Part]:
    """A document that is given as blocks: its texts in one, its pictures after it."""
    file.text = "\n\n".join(part.text for part in inner if isinstance(part, Text))
    file.media_type = "text/plain"
    pictures: list[Part] = [part for part in inner if isinstance(part, Image)]
    return [file, *pictures] if file.text else pictures


def _search_result(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _SEARCH_FIELDS)
    _leave_citing(block, met)
    found = [part.text for part in _within(block, met, "search_result") if isinstance(part, Text)]
    text = "\n\n".join([block.text("source"), *found]).strip()
    name = block.text("title")
    return [File(text=text, media_type="text/plain", name=name, cache=read_cache(block))] if text else []


def _thinking(block: Fields, _met: Met) -> list[Part]:
    signature, origin = opened(block.text("signature"), NAME)
    return [Thinking(text=block.text("thinking"), signature=signature, origin=origin)]


def _redacted(block: Fields, _met: Met) -> list[Part]:
    signature, origin = opened(block.filled_text("data"), NAME)
    return [Thinking(signature=signature, origin=origin, redacted=True)]


def _tool_use(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _CALL_FIELDS)
    call_id, name = block.filled_text("id"), block.filled_text("name")
    met.tool_names[call_id] = name
    return [ToolCall(id=call_id, name=name, arguments=_input(block), cache=read_cache(block))]


def _input(block: Fields) -> str:
    """The arguments of a call as JSON text."""
    given = block.inner("input")
    return json_bytes(given.json, given.path).decode() if given is not None else "{}"


def _tool_result(block: Fields, met: Met) -> list[Part]:
    met.unkept.leave_others(block, _RESULT_FIELDS)
    call_id = block.filled_text("tool_use_id")
    found = _within(block, met, "tool_result") if block.has("content") else []
    return [
        ToolResult(
            id=call_id,
            name=met.tool_names.get(call_id, ""),
            parts=[part for part in found if isinstance(part, Text | Image | File)],
            is_error=block.flag("is_error") or False,
            cache=read_cache(block),
        )
    ]


def _tool_reference(block: Fields, _met: Met) -> list[Part]:
    # The tools that it names are offered from the beginning: only that they were found is left to say.
    return [Text(f"Tool found: {block.filled_text('tool_name')}", read_cache(block))]


def _leave_citing(block: Fields, met: Met) -> None:
    citing = block.inner("citations")
    if citing is not None and citing.flag("enabled"):
        met.unkept.leave(block.named("citations"))


_TEXT_FIELDS = frozenset({"type", "text", "cache_control", "citations"})
_IMAGE_FIELDS = frozenset({"type", "source", "cache_control"})
_DOCUMENT_FIELDS = frozenset({"type", "source", "cache_control", "citations", "context", "title"})
_SEARCH_FIELDS = frozenset({"type", "source", "title", "content", "cache_control", "citations"})
_CALL_FIELDS = frozenset({"type", "id", "name", "input", "cache_control", "caller", "toolset_name"})
_RESULT_FIELDS = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"})

_READERS: Mapping[str, Callable[[Fields, Met], list[Any]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "tool_reference": _tool_reference,
}
