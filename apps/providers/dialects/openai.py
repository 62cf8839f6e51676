"""OpenAI's words: what we read of a request, its error envelope, its error events, its lists of models.

Requests and answers pass as bytes; what is decoded here is the little that the gateway decides on. Facts: OpenAI's API reference
and what its own SDKs send and read.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import GatewayError
from apps.providers.dialects.bodies import each_once, naming, rewrite
from apps.providers.dialects.dialect import Dialect, Headers, Listed
from apps.providers.dialects.heads import ABSENT, Count, Head, Identifier, decoded, require
from apps.providers.dialects.openai_heads import CompletionHead, is_plain, read_plain_head
from apps.providers.dialects.tags import tag_text
from apps.providers.usage import read_answer


class RequestHead(msgspec.Struct):
    """A heads.Head of any of OpenAI's endpoints."""

    model: Identifier | None = None
    stream: bool | None = None
    stream_options: dict[str, msgspec.Raw] | None = None
    user: Identifier | None = None
    safety_identifier: Identifier | None = None
    messages: msgspec.Raw = ABSENT
    input: msgspec.Raw = ABSENT
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    max_output_tokens: Count | None = None
    max_tool_calls: Count | None = None
    n: Count | None = None
    service_tier: Identifier | None = None
    background: bool | None = None
    store: bool | None = None
    metadata: msgspec.Raw = ABSENT
    previous_response_id: msgspec.Raw = ABSENT
    conversation: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT

    pointers: ClassVar[tuple[bytes, ...]] = (
        b'"image',
        b'"input_image',
        b'"file',
        b'"input_file',
        b'"video',
        b'"audio_url',
    )

    @property
    def asks_for_usage(self) -> bool:
        """Whether the client itself wants the usage event at the end of a chat stream."""
        return self.stream_options is not None and bytes(self.stream_options.get("include_usage", ABSENT)) == b"true"

    @property
    def end_user(self) -> str:
        """Whom the client calls for; empty: it does not say."""
        return self.user or self.safety_identifier or ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its `metadata`, as far as it is short texts."""
        if self.metadata == ABSENT:
            return ()
        try:
            metadata = msgspec.json.decode(bytes(self.metadata))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()
        if not isinstance(metadata, dict):
            return ()
        return tuple(tag for key, value in metadata.items() if isinstance(value, str) and (tag := tag_text(key, value)))

    @property
    def answers(self) -> int:
        """How many are asked for at once."""
        return self.n or 1

    @property
    def max_searches(self) -> int | None:
        """A search is a call of a tool; but those of chats are bounded by nothing."""
        return None if _is_said(self.web_search_options) else self.max_tool_calls

    @property
    def points_elsewhere(self) -> bool:
        """Whether it continues something the provider has stored, or has it run tools, whose finds only the provider knows."""
        return (
            _is_said(self.previous_response_id)
            or _is_said(self.conversation)
            or _is_said(self.prompt)
            or _is_said(self.web_search_options)
            or (_is_said(self.tools) and _runs_tools(bytes(self.tools)))
            or (self.input != ABSENT and _refers(bytes(self.input)))
        )

    def output_cap(self, endpoint: str) -> int | None:
        """The output tokens that the request itself allows, for each answer; None: it says nothing."""
        if endpoint == endpoints.RESPONSES:
            return self.max_output_tokens
        caps = [cap for cap in (self.max_tokens, self.max_completion_tokens) if cap is not None]
        return max(caps, default=None)


class _Item(msgspec.Struct):
    """Enough of a tool, or of an item of `input`, to know what it is."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


_OWN_TOOLS = frozenset({"function", "custom"})
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_head = msgspec.json.Decoder(RequestHead).decode


def read_head(body: bytes, endpoint: str) -> Head:
    """What the gateway decides on. Raises BadRequest naming the field."""
    if is_plain(endpoint):
        return read_plain_head(body, endpoint)
    head = decoded(body, _decode_head)
    if endpoint == endpoints.CHAT_COMPLETIONS:
        require(head.messages, "messages", b"[", "an array of messages")
    elif endpoint == endpoints.EMBEDDINGS or head.input != ABSENT:  # a stored prompt of Responses needs no input
        require(head.input, "input", b'"[', "a string or an array")
    return head


def asking_for_usage(body: bytes, head: RequestHead | CompletionHead) -> bytes:
    """The same body with `stream_options.include_usage` true."""
    if head.stream_options is None and b'"stream_options"' not in body:
        return b'{"stream_options":{"include_usage":true},' + body[body.index(b"{") + 1 :]
    options: dict[str, Any] = dict(head.stream_options or {}, include_usage=b"true")
    inner = b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in options.items())
    return rewrite(body, {"stream_options": b"{" + inner + b"}"})


def capping_output(body: bytes, head: RequestHead, endpoint: str, cap: int, default: str) -> bytes:
    """The same body with no more than `cap` output tokens asked for.

    Under the names that it uses; where it names no cap, under `default` (chat: max_tokens or max_completion_tokens).
    """
    if endpoint == endpoints.RESPONSES:
        return rewrite(body, {"max_output_tokens": b"%d" % cap})
    if endpoint == endpoints.COMPACTION:
        return body  # it has no word for a cap
    if endpoint == endpoints.COMPLETIONS:
        return rewrite(body, {"max_tokens": b"%d" % cap})
    names = [name for name in ("max_tokens", "max_completion_tokens") if getattr(head, name) is not None] or [default]
    return rewrite(body, dict.fromkeys(names, b"%d" % cap))


_DECIDING = re.compile(
    rb'"(?:model|max_(?:completion_|output_)?tokens|max_tool_calls|n|service_tier|stream|stream_options|background|store|input|messages'
    rb"|previous_response_id|conversation|prompt|tools|web_search_options"
    rb'|best_of|size|quality|partial_images|stream_format|query|documents)"'
)


def unambiguous(body: bytes) -> bytes:
    """The same body with each field that is decided on once."""
    return each_once(body, _DECIDING)


def _is_said(raw: msgspec.Raw) -> bool:
    return raw != ABSENT and bytes(raw) != b"null"


def _runs_tools(raw: bytes) -> bool:
    """Whether some of these `tools` are the provider's to run: any but functions of the client's own."""
    try:
        return any(tool.type not in _OWN_TOOLS for tool in _decode_items(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True


def _refers(raw: bytes) -> bool:
    """Whether an `input` names items by their ids alone. One that cannot be read so names none."""
    if b'"id"' not in raw and b"\\u00" not in raw:
        return False
    try:
        items = _decode_items(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return any(
        item.type == "item_reference" or (item.type is None and item.role is None and item.id is not None)
        for item in items
    )


def status(error: GatewayError) -> int:
    """The errors' own."""
    return error.status


def error_body(error: GatewayError, request_id: str = "") -> bytes:
    """OpenAI's envelope, all four keys always there; then details, and the request's id, where there are any."""
    return orjson.dumps({"error": _error(error, request_id)})


def error_event(error: GatewayError, endpoint: str, events: int, _request_id: str = "") -> bytes:
    """An error in the middle of a stream: no `[DONE]`, and no `response.completed`, may follow."""
    if endpoint not in (endpoints.RESPONSES, endpoints.STORED_RESPONSES):
        return b"data: " + error_body(error) + b"\n\n"
    event = {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": events,
    }
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def limit_headers(kind: str, limit: int, remaining: int, wait: int, _now: float) -> Headers:
    """x-ratelimit-*, as OpenAI's clients read them."""
    name = kind.encode()
    return [
        (b"x-ratelimit-limit-" + name, b"%d" % limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % remaining),
        (b"x-ratelimit-reset-" + name, _span(wait) if limit else b"0s"),
    ]


def _span(milliseconds: int) -> bytes:
    """In OpenAI's spelling: 12ms, 8.64s, 1m30s."""
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    if milliseconds < 60_000:
        return b"%d.%02ds" % (milliseconds // 1000, milliseconds % 1000 // 10)
    seconds = -(-milliseconds // 1000)
    return b"%dm%ds" % divmod(seconds, 60)


def model_body(model: Listed) -> bytes:
    """The answer to GET /v1/models/{id}."""
    return orjson.dumps(_model(model))


def model_list(models: Sequence[Listed], _query: bytes) -> bytes:
    """The answer to GET /v1/models, all at once."""
    return orjson.dumps({"object": "list", "data": [_model(model) for model in models]})


def _model(model: Listed) -> dict[str, object]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": model.owned_by}


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


def count_body(tokens: int) -> bytes:
    """The answer to a count of a response's input."""
    return orjson.dumps({"object": "response.input_tokens", "input_tokens": tokens})


DIALECT = Dialect(
    name="openai",
    read_head=read_head,
    unambiguous=unambiguous,
    naming=naming,
    capping_output=capping_output,
    asking_for_usage=asking_for_usage,
    to_upstream=(b"openai-beta", b"idempotency-key", b"x-client-request-id", b"traceparent", b"tracestate"),
    defaults=[],
    read_answer=read_answer,
    limit_headers=limit_headers,
    model_list=model_list,
    model_body=model_body,
    status=status,
    error_body=error_body,
    error_event=error_event,
)
