"""OpenAI's words: what we read of a request, its error envelope, its error events, its lists of models.

Requests and answers pass as bytes; what is decoded here is the little that the gateway decides on. Facts: OpenAI's API reference
and what its own SDKs send and read.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import BadRequest, GatewayError, InvalidJson, InvalidType, InvalidValue, MissingParameter

# A client's string that we keep or compare; longer ones are no identifiers.
_Identifier = Annotated[str, msgspec.Meta(max_length=4096)]

# A number of tokens, or of anything else that a request may ask for.
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]

_ABSENT = msgspec.Raw(b"")


class RequestHead(msgspec.Struct):
    """The fields of a request body that the gateway reads. Everything else passes unread."""

    model: _Identifier | None = None
    stream: bool | None = None
    stream_options: dict[str, msgspec.Raw] | None = None
    user: _Identifier | None = None
    safety_identifier: _Identifier | None = None
    messages: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    max_output_tokens: _Tokens | None = None
    max_tool_calls: _Tokens | None = None
    n: _Tokens | None = None
    service_tier: _Identifier | None = None
    background: bool | None = None
    metadata: msgspec.Raw = _ABSENT
    previous_response_id: msgspec.Raw = _ABSENT
    conversation: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT

    @property
    def points_elsewhere(self) -> bool:
        """Whether it continues something the provider has stored, of a length that only the provider knows."""
        return any(
            raw != _ABSENT and bytes(raw) != b"null"
            for raw in (self.previous_response_id, self.conversation, self.prompt)
        )

    def output_cap(self, endpoint: str) -> int | None:
        """The output tokens that the request itself allows, for each answer; None: it says nothing."""
        if endpoint == endpoints.RESPONSES:
            return self.max_output_tokens
        caps = [cap for cap in (self.max_tokens, self.max_completion_tokens) if cap is not None]
        return max(caps, default=None)


_decode_head = msgspec.json.Decoder(RequestHead).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

Needs = Literal["messages", "input", "input_if_any"]


def read_head(body: bytes, *, needs: Needs) -> RequestHead:
    """What the gateway decides on. Raises BadRequest naming the field.

    `needs`: which field must be there, an array (`messages`) or a string or array (`input`).
    """
    try:
        head = _decode_head(body)
    except msgspec.ValidationError as exc:
        raise _wrong_type(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidJson(f"The request body is not valid JSON ({exc}): send a JSON object.") from exc
    if needs == "messages":
        _require(head.messages, "messages", b"[", "an array of messages")
    elif needs == "input" or head.input != _ABSENT:
        _require(head.input, "input", b'"[', "a string or an array")
    return head


def rewrite(body: bytes, changes: dict[str, bytes]) -> bytes:
    """The same JSON object with some top-level fields set to raw JSON values. Every other value keeps its bytes."""
    fields: dict[str, Any] = _decode_fields(body)
    fields.update(changes)
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


def asking_for_usage(body: bytes, head: RequestHead) -> bytes:
    """The same body with `stream_options.include_usage` true."""
    if head.stream_options is None and b'"stream_options"' not in body:
        return b'{"stream_options":{"include_usage":true},' + body[body.index(b"{") + 1 :]
    options: dict[str, Any] = dict(head.stream_options or {}, include_usage=b"true")
    inner = b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in options.items())
    return rewrite(body, {"stream_options": b"{" + inner + b"}"})


def capping_output(body: bytes, head: RequestHead, endpoint: str, cap: int, *, default: str) -> bytes:
    """The same body with no more than `cap` output tokens asked for.

    Under the names that it uses; where it names no cap, under `default` (chat: max_tokens or max_completion_tokens).
    """
    if endpoint == endpoints.RESPONSES:
        return rewrite(body, {"max_output_tokens": b"%d" % cap})
    names = [name for name in ("max_tokens", "max_completion_tokens") if getattr(head, name) is not None] or [default]
    return rewrite(body, dict.fromkeys(names, b"%d" % cap))


_DECIDING = re.compile(rb'"(?:model|max_(?:completion_|output_)?tokens|n|service_tier|stream)"')
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")


def unambiguous(body: bytes) -> bytes:
    """The same body with each field once, as we have read it: the last one.

    A provider that takes the first of two must not be asked for another model, or for more, than was decided on. Bodies in which no
    such field can occur twice, nearly all, stay as they are.
    """
    found = _DECIDING.findall(body)
    if len(found) != len(set(found)):
        return rewrite(body, {})
    # No client escapes letters, but whoever wants to hide a field's name.
    if b"\\u00" in body and _ESCAPED_ASCII.search(body):
        return rewrite(body, {})
    return body


def tags_of(head: RequestHead) -> tuple[str, ...]:
    """The `metadata` of a request as tags, `key=value`; entries that are no short texts are left out."""
    if head.metadata == _ABSENT:
        return ()
    try:
        metadata = msgspec.json.decode(bytes(head.metadata))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    if not isinstance(metadata, dict):
        return ()
    return tuple(tag for key, value in metadata.items() if isinstance(value, str) and (tag := tag_text(key, value)))


_TAG_KEY = re.compile(r"[a-z0-9_.-]{1,64}")
_TAG_VALUE_MAX = 128


def tag_text(key: str, value: str) -> str:
    """`key=value`, the key in lower case; empty if it cannot be a tag."""
    key, value = key.strip().lower(), value.strip()
    fits = _TAG_KEY.fullmatch(key) and 0 < len(value) <= _TAG_VALUE_MAX and value.isprintable()
    return f"{key}={value}" if fits else ""


def asks_for_usage(head: RequestHead) -> bool:
    """Whether the client itself wants the usage event at the end of a chat stream."""
    return head.stream_options is not None and bytes(head.stream_options.get("include_usage", _ABSENT)) == b"true"


def error_body(error: GatewayError, request_id: str = "") -> bytes:
    """OpenAI's envelope, all four keys always there; then details, and the request's id, where there are any."""
    return orjson.dumps({"error": _error(error, request_id)})


def chat_error_event(error: GatewayError, _sequence: int) -> bytes:
    """An error in the middle of a chat stream. No `[DONE]` may follow."""
    return b"data: " + error_body(error) + b"\n\n"


def responses_error_event(error: GatewayError, sequence: int) -> bytes:
    """An error in the middle of a Responses stream, numbered `sequence`. No `response.completed` may follow."""
    event = {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": sequence,
    }
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def model_object(name: str, created: int, owned_by: str) -> dict[str, Any]:
    """One entry of a model list. `created`: Unix seconds."""
    return {"id": name, "object": "model", "created": created, "owned_by": owned_by}


def model_body(name: str, created: int, owned_by: str) -> bytes:
    """The answer to GET /v1/models/{id}."""
    return orjson.dumps(model_object(name, created, owned_by))


def model_list(models: Iterable[dict[str, Any]]) -> bytes:
    """The answer to GET /v1/models."""
    return orjson.dumps({"object": "list", "data": list(models)})


def _error(error: GatewayError, request_id: str = "") -> dict[str, object]:
    shown: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.details is not None:
        shown.update(error.details)
    if request_id:
        shown["request_id"] = request_id
        if error.names_request:
            shown["message"] = f"{error.message} (request {request_id})"
    return shown


def _require(raw: msgspec.Raw, name: str, first: bytes, expected: str) -> None:
    start = bytes(memoryview(raw)[:64]).lstrip()[:1]
    if not start:
        raise MissingParameter(f"Missing required parameter: '{name}'.", param=name)
    if start not in first:
        raise InvalidType(f"Invalid type for '{name}': expected {expected}.", param=name)


def _wrong_type(message: str) -> BadRequest:
    """msgspec says `Expected `str`, got `int` - at `$.model``; say it in OpenAI's words."""
    what, _, where = message.partition(" - at `$")
    param = where.rstrip("`").lstrip(".")
    if not param:
        return InvalidJson("The request body must be a JSON object.")
    if "length" in what:
        return InvalidValue(f"Invalid value for '{param}': it is too long.", param=param)
    if "`int` >=" in what or "`int` <=" in what:
        return InvalidValue(f"Invalid value for '{param}': use a whole number from 0 to 1000000000.", param=param)
    return InvalidType(
        f"Invalid type for '{param}': {what[0].lower()}{what[1:].replace('`', '').replace(' | null', '')}.", param=param
    )
