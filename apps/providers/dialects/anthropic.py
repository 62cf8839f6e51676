"""Anthropic's words: what we read of a Messages request, its error envelope and events, its limit headers and lists of models.

Facts: Anthropic's API reference and what its own SDKs send and read.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import GatewayError, InvalidValue, MissingParameter
from apps.providers.dialects.bodies import each_once, naming, rewrite
from apps.providers.dialects.dialect import Dialect, Headers, Listed
from apps.providers.dialects.heads import ABSENT, Count, Identifier, decoded, require
from apps.providers.usage import read_message

VERSION = b"2023-06-01"  # of the API, for clients that name none
_PAGE_MAX = 1000  # models of one list, and as many where the client does not say

# Tools that the client runs itself. Any other type runs at Anthropic, and what it finds is read as input.
_OWN_TOOLS = re.compile(r"custom|(?:bash|text_editor|computer|memory)_\d+")


class _Tool(msgspec.Struct):
    type: Any = None
    max_uses: Any = None

    @property
    def is_hosted(self) -> bool:
        return self.type is not None and (not isinstance(self.type, str) or not _OWN_TOOLS.fullmatch(self.type))

    @property
    def searches(self) -> bool:
        return isinstance(self.type, str) and self.type.startswith("web_search")


class _Metadata(msgspec.Struct):
    user_id: Any = None


_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode


class MessagesHead(msgspec.Struct):
    """A heads.Head of Messages and of counting their tokens."""

    model: Identifier | None = None
    stream: bool | None = None
    messages: msgspec.Raw = ABSENT
    max_tokens: Count | None = None
    metadata: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    container: msgspec.Raw = ABSENT
    tier: Identifier | None = msgspec.field(name="service_tier", default=None)
    speed: Identifier | None = None

    pointers: ClassVar[tuple[bytes, ...]] = (b'"image"', b'"document"', b'"file_id"', b'"container_upload"')
    asks_for_usage: ClassVar[bool] = True  # every stream tells it
    tags: ClassVar[tuple[str, ...]] = ()  # `metadata` has no room for any
    answers: ClassVar[int] = 1
    background: ClassVar[bool] = False

    @property
    def end_user(self) -> str:
        """`metadata.user_id`; empty if there is none."""
        if self.metadata == ABSENT:
            return ""
        try:
            user_id = _decode_metadata(self.metadata).user_id
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""  # Anthropic's to refuse
        return user_id if isinstance(user_id, str) else ""

    @property
    def service_tier(self) -> str | None:
        """As prices know it: the fast mode has its own, whatever the tier."""
        return "fast" if self.speed == "fast" else "default" if self.tier == "standard_only" else self.tier

    @property
    def points_elsewhere(self) -> bool:
        """Whether tools run at Anthropic, whose results are input, or it goes on in a container there."""
        if any(raw not in (b"", b"null", b"[]") for raw in map(bytes, (self.mcp_servers, self.container))):
            return True
        return any(tool.is_hosted for tool in self._tools())

    @property
    def max_searches(self) -> int | None:
        """How many searches its tools allow, if any searches."""
        uses = [tool.max_uses for tool in self._tools() if tool.searches]
        return sum(uses) if all(type(each) is int and each >= 0 for each in uses) else None

    def output_cap(self, _endpoint: str) -> int | None:
        """The output tokens that the request itself allows."""
        return self.max_tokens

    def _tools(self) -> list[_Tool]:
        if self.tools == ABSENT:
            return []
        try:
            return _decode_tools(self.tools)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []  # no list of objects, so Anthropic refuses it


_decode_head = msgspec.json.Decoder(MessagesHead).decode


def read_head(body: bytes, endpoint: str) -> MessagesHead:
    """What the gateway decides on. Raises BadRequest naming the field."""
    head = decoded(body, _decode_head)
    require(head.messages, "messages", b"[", "an array of messages")
    if endpoint == endpoints.MESSAGES and head.max_tokens is None:
        raise MissingParameter("Missing required parameter: 'max_tokens'.", param="max_tokens")
    return head


def capping_output(body: bytes, _head: MessagesHead, _endpoint: str, cap: int, _default: str) -> bytes:
    """The same body with no more than `cap` output tokens asked for."""
    return rewrite(body, {"max_tokens": b"%d" % cap})


def asking_for_usage(body: bytes, _head: MessagesHead) -> bytes:
    """The same body: every stream tells it."""
    return body


_DECIDING = re.compile(rb'"(?:model|max_tokens|service_tier|speed|stream|tools|mcp_servers|container)"')


def unambiguous(body: bytes) -> bytes:
    """The same body with each field that is decided on once."""
    return each_once(body, _DECIDING)


def count_body(tokens: int) -> bytes:
    """The answer to counting a request's tokens."""
    return orjson.dumps({"input_tokens": tokens})


# --- Errors ---

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES = {502: 500, 503: 529}
_BY_TYPE = {"invalid_request_error": 400} | {kind: code for code, kind in _TYPES.items()}


def status(error: GatewayError) -> int:
    """The status that Anthropic's clients know for it: they have no 502, and 503 that is to be tried again is 529."""
    if error.status == 503 and error.retryable is False:
        return 503
    return _STATUSES.get(error.status, error.status)


def status_of(kind: str) -> int:
    """The status that Anthropic gives an error of this type."""
    return _BY_TYPE.get(kind, 500)


def error_body(error: GatewayError, request_id: str = "") -> bytes:
    """Anthropic's envelope. The code that docs/errors.md lists is in `details`, beside the facts there are."""
    details: dict[str, object] = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    if error.details is not None:
        details.update(error.details)
    shows_request = error.names_request and request_id
    shown = {
        "type": _TYPES.get(status(error), "api_error" if error.status >= 500 else "invalid_request_error"),
        "message": f"{error.message} (request {request_id})" if shows_request else error.message,
        "details": details,
    }
    return orjson.dumps({"type": "error", "error": shown, "request_id": request_id or None})


def error_event(error: GatewayError, _endpoint: str, _events: int, request_id: str = "") -> bytes:
    """An error in the middle of a stream. No `message_stop` may follow."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


# --- Limits ---


def limit_headers(kind: str, limit: int, remaining: int, wait: int, now: float) -> Headers:
    """anthropic-ratelimit-*; the time at which all of it is there again in whole seconds, rounded up."""
    name = b"anthropic-ratelimit-" + kind.encode()
    reset = datetime.fromtimestamp(-(-(now * 1000 + wait) // 1000), UTC)
    return [
        (name + b"-limit", b"%d" % limit),
        (name + b"-remaining", b"%d" % remaining),
        (name + b"-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
    ]


# --- Models ---


def model_body(model: Listed) -> bytes:
    """The answer to GET /v1/models/{id}."""
    return orjson.dumps(_model(model))


def model_list(models: Sequence[Listed], query: bytes) -> bytes:
    """The answer to GET /v1/models: a page of them, as `limit`, `after_id` and `before_id` ask for. Raises InvalidValue."""
    asked = parse_qs(query.decode("latin-1"))
    limit = _limit(asked.get("limit", [""])[-1])
    names = [model.name for model in models]
    start, end = 0, len(models)
    if after := asked.get("after_id"):
        start = _place(names, after[-1], "after_id") + 1
    if before := asked.get("before_id"):
        end = _place(names, before[-1], "before_id")
        start = max(start, end - limit)
    page = [_model(model) for model in models[start:end][:limit]]
    return orjson.dumps(
        {
            "data": page,
            "has_more": start > 0 if before and not after else start + len(page) < end,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        }
    )


def _limit(text: str) -> int:
    if not text:
        return _PAGE_MAX
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _PAGE_MAX):
        raise InvalidValue(f"Invalid value for 'limit': use a whole number from 1 to {_PAGE_MAX}.", param="limit")
    return int(text)


def _place(names: list[str], name: str, param: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise InvalidValue(f"Invalid value for '{param}': use the id of a listed model.", param=param) from None


def _model(model: Listed) -> dict[str, object]:
    shown: dict[str, object] = {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }
    if model.context is not None:
        shown["max_input_tokens"] = model.context
    if model.longest is not None:
        shown["max_tokens"] = model.longest
    return shown


DIALECT = Dialect(
    name="anthropic",
    read_head=read_head,
    unambiguous=unambiguous,
    naming=naming,
    capping_output=capping_output,
    asking_for_usage=asking_for_usage,
    to_upstream=(
        b"anthropic-version",
        b"anthropic-beta",
        b"idempotency-key",
        b"x-client-request-id",
        b"traceparent",
        b"tracestate",
    ),
    defaults=[(b"anthropic-version", VERSION)],
    token_header=b"x-api-key",
    read_answer=read_message,
    limit_headers=limit_headers,
    model_list=model_list,
    model_body=model_body,
    status=status,
    error_body=error_body,
    error_event=error_event,
)
