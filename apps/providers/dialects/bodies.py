"""Changing a request's body where it must be: every value that is not meant keeps its bytes."""

import re
from typing import Any

import msgspec
import orjson

from apps.providers.dialects.heads import Head

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")


def rewrite(body: bytes, changes: dict[str, bytes]) -> bytes:
    """The same JSON object with some top-level fields set to raw JSON values. Every other value keeps its bytes."""
    fields: dict[str, Any] = _decode_fields(body)
    fields.update(changes)
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


def naming(body: bytes, head: Head, model: str) -> bytes:
    """The same body asking for the model by another name, where that is a field of the body."""
    return rewrite(body, {"model": orjson.dumps(model)}) if head.model != model else body


def each_once(body: bytes, deciding: re.Pattern[bytes]) -> bytes:
    """The same body with each field once, as we have read it: the last one. `deciding` finds the names that are decided on.

    A provider that takes the first of two must not be asked for another model, or for more, than was decided on. Bodies in which no
    such field can occur twice, nearly all, stay as they are.
    """
    found = deciding.findall(body)
    if len(found) != len(set(found)):
        return rewrite(body, {})
    # No client escapes letters, but whoever wants to hide a field's name.
    if b"\\u00" in body and _ESCAPED_ASCII.search(body):
        return rewrite(body, {})
    return body
