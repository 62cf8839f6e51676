"""Taking what belongs to another provider out of a request that is otherwise relayed as it is. Pure.

A client keeps the signed thoughts that it was given and sends them back, to whoever serves its model next: a provider refuses what
it has not signed itself. Requests that hold nothing of that kind are left byte for byte.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from apps.core import endpoints
from apps.providers.translation.gemini.kept import MARKED
from apps.providers.translation.signatures import MARK

_OURS_BEGIN = b'"tollgate.'
_SIGNED = re.compile(rb'"tollgate\.')
_SIGNED_OR_EMPTY = re.compile(rb'"tollgate\.|"signature"\s*:\s*""')
_SIGNED_FOR_GEMINI = re.compile(b'"' + MARKED.encode())
_THOUGHT_SIGNATURES = ("thoughtSignature", "thought_signature")
_OURS = ("reasoning_details", "reasoning_content")

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def without_foreign(body: bytes, endpoint: str) -> bytes:
    """The same request without thoughts that were signed elsewhere; mostly the same bytes."""
    found = _CLEANERS.get(endpoint)
    if found is None:
        return body
    needles, pattern, field, clean = found
    # The words first: they are found much faster than the pattern, and hardly any request has one.
    if not any(needle in body for needle in needles) or not pattern.search(body):
        return body
    try:
        fields = _decode_fields(body)
        items = orjson.loads(bytes(fields[field])) if field in fields else None
        if not isinstance(items, list):
            return body
        fields[field] = msgspec.Raw(orjson.dumps([kept for item in items if (kept := clean(item)) is not None]))
    except (msgspec.DecodeError, orjson.JSONDecodeError, TypeError, RecursionError):
        return body  # the provider's to refuse
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


def _clean_message(message: Any) -> Any:
    """A turn of Messages; None if nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not _is_foreign_block(block)]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None


def _is_foreign_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    if block.get("type") == "thinking":
        return not block.get("signature") or _is_marked(block["signature"])
    return block.get("type") == "redacted_thinking" and _is_marked(block.get("data"))


def _clean_item(item: Any) -> Any:
    """An item of a Responses input."""
    is_foreign = (
        isinstance(item, dict) and item.get("type") == "reasoning" and _is_marked(item.get("encrypted_content"))
    )
    return None if is_foreign else item


def _clean_turn(turn: Any) -> Any:
    """A turn of a chat: fields that are ours, where they hold a signature of somebody else's."""
    if not isinstance(turn, dict) or not _SIGNED.search(orjson.dumps(turn)):
        return turn
    calls = turn.get("tool_calls")
    kept = {name: value for name, value in turn.items() if name not in _OURS}
    if isinstance(calls, list):
        kept["tool_calls"] = [
            {name: value for name, value in call.items() if name != "extra_content"} if isinstance(call, dict) else call
            for call in calls
        ]
    return kept


def _clean_content(content: Any) -> Any:
    """A turn of generateContent."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return content
    return {**content, "parts": [_clean_part(part) for part in parts]}


def _clean_part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {
        name: value
        for name, value in part.items()
        if name not in _THOUGHT_SIGNATURES or not isinstance(value, str) or not value.startswith(MARKED)
    }


def _is_marked(text: object) -> bool:
    return isinstance(text, str) and text.startswith(MARK)


_CLEANERS: Mapping[str, tuple[tuple[bytes, ...], re.Pattern[bytes], str, Callable[[Any], Any]]] = {
    endpoints.MESSAGES: ((_OURS_BEGIN, b'"signature"'), _SIGNED_OR_EMPTY, "messages", _clean_message),
    endpoints.COUNT_TOKENS: ((_OURS_BEGIN, b'"signature"'), _SIGNED_OR_EMPTY, "messages", _clean_message),
    endpoints.RESPONSES: ((_OURS_BEGIN,), _SIGNED, "input", _clean_item),
    endpoints.CHAT_COMPLETIONS: ((_OURS_BEGIN,), _SIGNED, "messages", _clean_turn),
    endpoints.GENERATE_CONTENT: ((MARKED.encode(),), _SIGNED_FOR_GEMINI, "contents", _clean_content),
    endpoints.STREAM_GENERATE_CONTENT: ((MARKED.encode(),), _SIGNED_FOR_GEMINI, "contents", _clean_content),
}
