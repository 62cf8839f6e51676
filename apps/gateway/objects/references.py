"""Which objects a request refers to: by their ids, wherever they may stand. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import InvalidValue
from apps.gateway.objects.owners import FILE, RESPONSE
from apps.providers.dialects.heads import Head
from apps.providers.dialects.openai import RequestHead

ITEM, CONVERSATION = "item", "conversation"

_PICTURE = "image_generation_call"

_MOST = 1_000  # of one request
# Letters written as escapes, as nobody does but to hide a name.
_ESCAPED = re.compile(rb"\\u00[2-7]")
_REFERRING = frozenset({endpoints.CHAT_COMPLETIONS, endpoints.RESPONSES, endpoints.INPUT_TOKENS, endpoints.COMPACTION})
_ANSWERING = _REFERRING - {endpoints.CHAT_COMPLETIONS}
# Where parts, items and tools stand. A function's own schema may call anything by such a name.
_PLACES = ("messages", "input", "tools", "prompt")
_SCHEMAS = frozenset({"parameters", "schema", "input_schema", "format"})


@dataclass(frozen=True, slots=True)
class Reference:
    """One id, and the JSON path of the field that it stands in."""

    kind: str
    id: str
    param: str


class _Item(msgspec.Struct):
    type: Any = None
    id: Any = None


class _Thought(msgspec.Struct):
    type: Any = None
    id: Any = None
    encrypted_content: Any = None


_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_thoughts = msgspec.json.Decoder(list[_Thought]).decode


def references(endpoint: str, head: Head, body: bytes) -> list[Reference]:
    """The objects that a request of chat or Responses refers to. Raises InvalidValue for too many."""
    if endpoint not in _REFERRING or not isinstance(head, RequestHead):
        return []
    found: list[Reference] = []
    if endpoint != endpoints.CHAT_COMPLETIONS:
        for kind, param in ((RESPONSE, "previous_response_id"), (CONVERSATION, "conversation")):
            raw = bytes(getattr(head, param))
            if raw not in (b"", b"null"):
                found.append(Reference(kind, _id_of(raw), param))
    if b"file_id" in body or (b"\\u00" in body and _ESCAPED.search(body)) or _may_name_items(bytes(head.input)):
        for each in _within(body):
            found.append(each)
            if len(found) > _MOST:
                raise InvalidValue(f"The request refers to more than {_MOST} files and items.", param=each.param)
    return found


def thoughts(endpoint: str, head: Head, body: bytes) -> list[str]:
    """The ids of reasoning that a request sends back without its content: the account that has stored it knows the rest."""
    if endpoint not in _ANSWERING or b'"reasoning"' not in body or not isinstance(head, RequestHead):
        return []
    raw = bytes(head.input)
    if b'"reasoning"' not in raw or b'"id"' not in raw:
        return []
    try:
        items = _decode_thoughts(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    found = [item.id for item in items if item.type == "reasoning" and not item.encrypted_content]
    return [each for each in found if isinstance(each, str)][-_MOST:]


def _may_name_items(raw: bytes) -> bool:
    """Whether an `input` may name items by their ids alone; what cannot be read may."""
    if b'"id"' not in raw:
        return False
    if b"item_reference" in raw or _PICTURE.encode() in raw:
        return True
    try:
        return any(item.id is not None and item.type is None for item in _decode_items(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True


def _id_of(raw: bytes) -> str:
    value = orjson.loads(raw)
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else ""


def _within(body: bytes) -> Iterator[Reference]:
    request = orjson.loads(body)
    stack: list[tuple[str, Any]] = [(name, request[name]) for name in _PLACES if name in request]
    while stack:
        path, value = stack.pop()
        if isinstance(value, list):
            stack.extend(
                (f"{path}[{position}]", each) for position, each in enumerate(value) if isinstance(each, dict | list)
            )
        elif isinstance(value, dict):
            yield from _named(path, value)
            stack.extend(
                (f"{path}.{name}", each)
                for name, each in value.items()
                if isinstance(each, dict | list) and not (name in _SCHEMAS and _is_tool(path))
            )


def _is_tool(path: str) -> bool:
    """Whether a tool's own description stands there. The variables of a prompt may be called anything."""
    return "tools[" in path and not path.startswith("prompt")


def _named(path: str, value: dict[str, Any]) -> Iterator[Reference]:
    file, files = value.get("file_id"), value.get("file_ids")
    if isinstance(file, str):
        yield Reference(FILE, file, f"{path}.file_id")
    if isinstance(files, list):
        yield from (Reference(FILE, each, f"{path}.file_ids") for each in files if isinstance(each, str))
    item = value.get("id")
    if isinstance(item, str) and path.startswith("input[") and path.endswith("]") and path.count("[") == 1:
        kind = value.get("type")
        named = kind is None and value.get("role") is None
        # A picture that is not in the item is the one that the provider has kept under its id.
        if named or kind == "item_reference" or (kind == _PICTURE and not value.get("result")):
            yield Reference(ITEM, item, f"{path}.id")
