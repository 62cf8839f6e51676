"""Gemini's words: what we read of a request to generate, count or embed, its error envelope, its lists of models.

The model stands in the path. Field names are read in both spellings that Google reads (`generationConfig`, `generation_config`).
Facts: Google's API reference and what its own SDKs send and read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
import orjson

from apps.core import endpoints
from apps.core.errors import GatewayError, InvalidValue
from apps.providers.dialects.bodies import rewrite
from apps.providers.dialects.dialect import Dialect, Headers, Listed
from apps.providers.dialects.heads import ABSENT, Count, Identifier, decoded, require
from apps.providers.told_json import mended
from apps.providers.usage import Answer, gemini_searches, gemini_usage, tier_name

_TOOLS = re.compile(
    rb'"(?:google_?[sS]earch(?:_?[rR]etrieval)?|url_?[cC]ontext|file_?[sS]earch|google_?[mM]aps|mcp_?[sS]ervers)"'
)
_HIDDEN = re.compile(rb"\\u00[2-7]")  # letters and digits written as escapes, which nobody does but to hide a word
_ELSEWHERE = re.compile(rb'"file_?[dD]ata"')


class _Generation(msgspec.Struct):
    cap: Count | None = msgspec.field(name="maxOutputTokens", default=None)
    cap_too: Count | None = msgspec.field(name="max_output_tokens", default=None)
    candidates: Count | None = msgspec.field(name="candidateCount", default=None)
    candidates_too: Count | None = msgspec.field(name="candidate_count", default=None)


class _Fields(msgspec.Struct):
    contents: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    requests: msgspec.Raw = ABSENT
    whole: msgspec.Raw = msgspec.field(name="generateContentRequest", default=ABSENT)
    whole_too: msgspec.Raw = msgspec.field(name="generate_content_request", default=ABSENT)
    generation: _Generation | None = msgspec.field(name="generationConfig", default=None)
    generation_too: _Generation | None = msgspec.field(name="generation_config", default=None)
    tools: msgspec.Raw = ABSENT
    cached: msgspec.Raw = msgspec.field(name="cachedContent", default=ABSENT)
    cached_too: msgspec.Raw = msgspec.field(name="cached_content", default=ABSENT)
    tier: Identifier | None = msgspec.field(name="serviceTier", default=None)
    tier_too: Identifier | None = msgspec.field(name="service_tier", default=None)


class ContentHead:
    """A heads.Head of any of Gemini's endpoints."""

    __slots__ = ("endpoint", "fields", "points_at_files")

    pointers: ClassVar[tuple[bytes, ...]] = (b'"inlineData"', b'"inline_data"', b'"fileData"', b'"file_data"')
    model: ClassVar[str | None] = None  # the path's to say
    asks_for_usage: ClassVar[bool] = True  # every chunk tells it
    end_user: ClassVar[str] = ""  # it has no field for one
    tags: ClassVar[tuple[str, ...]] = ()
    background: ClassVar[bool] = False
    max_searches: ClassVar[int | None] = None

    def __init__(self, fields: _Fields, endpoint: str, *, points_at_files: bool) -> None:
        self.fields, self.endpoint, self.points_at_files = fields, endpoint, points_at_files

    @property
    def stream(self) -> bool:
        """The path says so."""
        return self.endpoint == endpoints.STREAM_GENERATE_CONTENT

    @property
    def answers(self) -> int:
        """How many are asked for at once."""
        config = self._generation
        return 1 if config is None else config.candidates or config.candidates_too or 1

    @property
    def service_tier(self) -> str | None:
        """As prices know it."""
        return tier_name(self.fields.tier or self.fields.tier_too) or None

    @property
    def points_elsewhere(self) -> bool:
        """Whether it draws in a cached content, a file, or what Google's own tools find."""
        if any(bytes(raw) not in (b"", b"null") for raw in (self.fields.cached, self.fields.cached_too)):
            return True
        return self.points_at_files or _TOOLS.search(bytes(self.fields.tools)) is not None

    def output_cap(self, _endpoint: str) -> int | None:
        """The output tokens that the request itself allows, for each candidate, what was thought included."""
        config = self._generation
        if config is None:
            return None
        return config.cap if config.cap is not None else config.cap_too

    @property
    def _generation(self) -> _Generation | None:
        return self.fields.generation or self.fields.generation_too


_decode_head = msgspec.json.Decoder(_Fields).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode

_NEEDED = {
    endpoints.EMBED_CONTENT: ("content", b"{", "an object"),
    endpoints.BATCH_EMBED_CONTENTS: ("requests", b"[", "an array of requests"),
}


def read_head(body: bytes, endpoint: str) -> ContentHead:
    """What the gateway decides on. Raises BadRequest naming the field."""
    fields = decoded(body, _decode_head)
    if endpoint != endpoints.COUNT_CONTENT or fields.whole == fields.whole_too:  # both absent
        name, first, expected = _NEEDED.get(endpoint, ("contents", b"[{", "an array of contents"))
        require(getattr(fields, name), name, first, expected)
    _refuse_both(fields.generation, fields.generation_too, "generationConfig")
    config = fields.generation or fields.generation_too
    if config is not None:
        _refuse_both(config.cap, config.cap_too, "generationConfig.maxOutputTokens")
        _refuse_both(config.candidates, config.candidates_too, "generationConfig.candidateCount")
    _refuse_both(fields.tier, fields.tier_too, "serviceTier")
    points_at_files = _ELSEWHERE.search(body) is not None or _HIDDEN.search(body) is not None
    return ContentHead(fields, endpoint, points_at_files=points_at_files)


def _refuse_both(one: object, other: object, param: str) -> None:
    if one is not None and other is not None:
        raise InvalidValue(f"'{param}' is there in both of its spellings: keep one.", param=param)


# --- Changing a body ---


def naming(body: bytes, head: ContentHead, model: str) -> bytes:
    """The same body, with the provider's name of the model wherever it names one beside the path."""
    if b'"model"' not in body and not _HIDDEN.search(body):
        return body
    name = orjson.dumps(f"models/{model}")
    if head.endpoint == endpoints.BATCH_EMBED_CONTENTS:
        try:
            requests = _decode_list(head.fields.requests)
        except msgspec.DecodeError:
            return body  # no list of objects: Google refuses it
        renamed = [_renamed(request, name) for request in requests]
        return rewrite(body, {"requests": b"[" + b",".join(renamed) + b"]"})
    changes = {"model": name} if "model" in _decode_fields(body) else {}
    for field, raw in (
        ("generateContentRequest", head.fields.whole),
        ("generate_content_request", head.fields.whole_too),
    ):
        if _is_object(raw):
            changes[field] = _renamed(_decode_fields(raw), name)
    return rewrite(body, changes) if changes else body


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:64]).lstrip()[:1] == b"{"


def _renamed(fields: Mapping[str, msgspec.Raw], name: bytes) -> bytes:
    return _joined({**fields, "model": msgspec.Raw(name)})


def _joined(fields: Mapping[str, msgspec.Raw]) -> bytes:
    return b"{" + b",".join(orjson.dumps(name) + b":" + bytes(raw) for name, raw in fields.items()) + b"}"


def capping_output(body: bytes, head: ContentHead, _endpoint: str, cap: int, _default: str) -> bytes:
    """The same body with no more than `cap` output tokens asked for, in the spelling that it uses."""
    outer = "generation_config" if head.fields.generation_too is not None else "generationConfig"
    config = head.fields.generation or head.fields.generation_too
    inner = "max_output_tokens" if config is not None and config.cap_too is not None else "maxOutputTokens"
    raw = _decode_fields(body).get(outer)
    fields = _decode_fields(raw) if raw is not None and bytes(raw) != b"null" else {}
    fields[inner] = msgspec.Raw(b"%d" % cap)
    return rewrite(body, {outer: _joined(fields)})


def asking_for_usage(body: bytes, _head: ContentHead) -> bytes:
    """The same body: every stream tells it."""
    return body


_DECIDING = re.compile(
    rb'"(?:generation_?[cC]onfig|max_?[oO]utput_?[tT]okens|candidate_?[cC]ount|service_?[tT]ier|cached_?[cC]ontent|tools|requests)"'
)


def unambiguous(body: bytes) -> bytes:
    """The same body with each field that is decided on once, as it was read: the last one, also within its configuration."""
    found = _DECIDING.findall(body)
    if len(found) == len(set(found)) and not _HIDDEN.search(body):
        return body
    fields = _decode_fields(body)
    configs: dict[str, bytes] = {
        name: _joined(_decode_fields(fields[name]))
        for name in ("generationConfig", "generation_config")
        if name in fields and _is_object(fields[name])
    }
    return rewrite(body, configs)


# --- Answers ---


class _Generated(msgspec.Struct):
    usage: Any = msgspec.field(name="usageMetadata", default=None)
    model: Any = msgspec.field(name="modelVersion", default=None)
    candidates: msgspec.Raw = ABSENT


_decode_answer = msgspec.json.Decoder(_Generated).decode
_decode_any = msgspec.json.Decoder().decode


def read_answer(body: bytes) -> Answer:
    """Usage and model of a whole answer. What cannot be read tells nothing."""
    try:
        answer = _decode_answer(body)
        grounded = b'"groundingMetadata"' in body and answer.candidates != ABSENT
        searches = gemini_searches({"candidates": _decode_any(answer.candidates)}) if grounded else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = mended(body)
        return Answer() if whole is body else read_answer(whole)
    usage = gemini_usage(answer.usage, searches=searches) if isinstance(answer.usage, dict) else None
    return Answer(usage=usage, model=answer.model if isinstance(answer.model, str) else "")


def count_body(tokens: int) -> bytes:
    """The answer to counting a request's tokens."""
    return orjson.dumps({"totalTokens": tokens})


# --- Errors ---

_WORDS = {
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def status(error: GatewayError) -> int:
    """The status that Gemini's clients know for it: they have no 502."""
    return 503 if error.status == 502 else error.status


def error_body(error: GatewayError, request_id: str = "") -> bytes:
    """Google's envelope. The code that docs/errors.md lists is the reason of its ErrorInfo, beside the facts there are."""
    code = status(error)
    facts: dict[str, str] = {}
    if error.param is not None:
        facts["param"] = error.param
    if error.details is not None:
        facts.update({name: _text(value) for name, value in error.details.items() if value is not None})
    if request_id:
        facts["request_id"] = request_id
    details: list[dict[str, object]] = [
        {"@type": _INFO, "reason": error.code.upper(), "domain": "tollgate", "metadata": facts}
    ]
    if (delay := dict(error.headers).get(b"retry-after-ms")) is not None:
        details.append({"@type": _RETRY, "retryDelay": f"{int(delay) / 1000:g}s"})
    shows_request = error.names_request and request_id
    shown = {
        "code": code,
        "message": f"{error.message} (request {request_id})" if shows_request else error.message,
        "status": _WORDS.get(code, "INVALID_ARGUMENT"),
        "details": details,
    }
    return orjson.dumps({"error": shown})


def error_event(error: GatewayError, _endpoint: str, _events: int, request_id: str = "") -> bytes:
    """An error in the middle of a stream, after which nothing comes. Comments and names of events would break Google's client."""
    return b"data: " + error_body(error, request_id) + b"\n\n"


def array_error(error: GatewayError, events: int, request_id: str = "") -> bytes:
    """An error as the last element of a JSON array of which `events` have passed, and the array's end."""
    return (b",\r\n" if events else b"") + error_body(error, request_id) + b"]"


def _array_error_event(error: GatewayError, _endpoint: str, events: int, request_id: str = "") -> bytes:
    return array_error(error, events, request_id)


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def limit_headers(_kind: str, _limit: int, _remaining: int, _wait: int, _now: float) -> Headers:
    """None: Gemini's clients know no such headers."""
    return []


# --- Models ---


def model_body(model: Listed) -> bytes:
    """The answer to GET /v1beta/models/{id}."""
    return orjson.dumps(_model(model))


def model_list(models: Sequence[Listed], _query: bytes) -> bytes:
    """The answer to GET /v1beta/models, all at once."""
    return orjson.dumps({"models": [_model(model) for model in models]})


_GENERATES = ("generateContent", "countTokens")
_EMBEDS = ("embedContent", "batchEmbedContents", "countTokens")


def _model(model: Listed) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": f"models/{model.name}",
        "version": "",
        "displayName": model.name,
        "supportedGenerationMethods": _EMBEDS if "embed" in model.name.lower() else _GENERATES,
    }
    if model.context is not None:
        shown["inputTokenLimit"] = model.context
    if model.longest is not None:
        shown["outputTokenLimit"] = model.longest
    return shown


DIALECT = Dialect(
    name="gemini",
    read_head=read_head,
    unambiguous=unambiguous,
    naming=naming,
    capping_output=capping_output,
    asking_for_usage=asking_for_usage,
    to_upstream=(b"x-client-request-id", b"traceparent", b"tracestate"),
    defaults=[],
    read_answer=read_answer,
    limit_headers=limit_headers,
    model_list=model_list,
    model_body=model_body,
    status=status,
    error_body=error_body,
    error_event=error_event,
)

# For streams that are one JSON array.
ARRAY_DIALECT = replace(DIALECT, error_event=_array_error_event)
