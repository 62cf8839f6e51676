"""What some providers want otherwise in a request of OpenAI's form. Pure.

The same meaning under the name that the provider knows: nothing that a caller asks for is left out.
"""

import re
from collections.abc import Mapping

import msgspec
import orjson

from apps.providers.kinds import Kind

_NEWER_CAP = "max_completion_tokens"
_OLDER_CAP = "max_tokens"
_STREAM_OPTIONS = "stream_options"

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_MEANS_STREAM_OPTIONS = re.compile(rb"stream_options|include_usage")


def suited(body: bytes, kind: Kind) -> bytes:
    """The same request as this provider takes it; mostly the same bytes.

    An output cap goes under the only name that the provider knows, the newer of two if both are there; otherwise it would be
    refused, or worse, not be heeded. `stream_options` is left out where it is refused and usage comes all the same.
    """
    renames = kind.output_cap == _OLDER_CAP and _quoted(_NEWER_CAP) in body
    strips = not kind.takes_stream_options and _quoted(_STREAM_OPTIONS) in body
    if not renames and not strips:
        return body
    fields = _decode_fields(body)
    if strips:
        fields.pop(_STREAM_OPTIONS, None)
    if renames:
        cap = fields.pop(_NEWER_CAP, None)
        if cap is not None and (bytes(cap) != b"null" or _OLDER_CAP not in fields):
            fields[_OLDER_CAP] = cap
    return _joined(fields)


def without_stream_options(body: bytes) -> bytes:
    """The same request, for a server that does not know the field."""
    if _quoted(_STREAM_OPTIONS) not in body:
        return body
    fields = _decode_fields(body)
    fields.pop(_STREAM_OPTIONS, None)
    return _joined(fields)


def means_stream_options(status: int, refusal: bytes) -> bool:
    """Whether a provider refused a request because of its `stream_options`, as servers do that do not know the field."""
    return status in {400, 422} and _MEANS_STREAM_OPTIONS.search(refusal) is not None


def _quoted(name: str) -> bytes:
    return b'"' + name.encode() + b'"'


def _joined(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"
