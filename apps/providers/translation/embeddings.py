"""Vectors of texts: OpenAI's embeddings, and Gemini's embedContent and batchEmbedContents, both ways. Pure.

A request is for one vector per text, in their order.
"""

import base64
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from apps.providers.translation.fields import missing, parsed, wrong_type, wrong_value
from apps.providers.translation.form import Json
from apps.providers.translation.gemini.contents import CONTENT
from apps.providers.translation.gemini.fields import (
    fields,
    joined,
    listed,
    spellings,
    string,
    unknown,
    whole,
    word,
)
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream
from apps.providers.usage import Usage, gemini_usage, input_sum, openai_usage

_LEFT_MAX = 64


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """`tokens`: it is of token ids and not of texts. `task`, `title`: as Gemini calls what vectors are for, and a document's title.

    `base64`: how an OpenAI client wants them. `single`: a Gemini client wants one, outside of a list. `left`, `fatal`: as of
    form.Request.
    """

    model: str
    texts: list[str]
    tokens: bool = False
    dimensions: int | None = None
    task: str = ""
    title: str = ""
    user: str = ""
    base64: bool = False
    single: bool = False
    left: list[str] = msgspec.field(default_factory=list)
    fatal: dict[str, str] = msgspec.field(default_factory=dict)


class EmbeddingsAnswer(msgspec.Struct, kw_only=True):
    """`vectors`: one for each text. `usage`: None if the provider told none."""

    vectors: list[list[float]]
    usage: Usage | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenEmbeddings:
    """One dialect's words for them. Readers of requests raise BadRequest, those of answers ValueError."""

    read_request: Callable[[bytes, str], EmbeddingsRequest]  # body, model of the path or empty
    write_request: Callable[[EmbeddingsRequest, Upstream, Losses], bytes]
    read_answer: Callable[[bytes], EmbeddingsAnswer]
    write_answer: Callable[[EmbeddingsAnswer, EmbeddingsRequest, str], bytes]  # with the model as the client calls it


# --- OpenAI ---

_OPENAI = {name: name for name in ("input", "model", "dimensions", "encoding_format", "user")}


def _read_openai(body: bytes, model: str) -> EmbeddingsRequest:
    given = fields(parsed(body).json, "", _OPENAI)
    if "input" not in given:
        raise missing("input")
    wanted = given["input"]
    inputs = wanted if isinstance(wanted, list) else [wanted]
    if not inputs:
        raise wrong_value("input", "expected at least one text")
    tokens = any(isinstance(each, int | list) and not isinstance(each, bool) for each in inputs)
    if not tokens and not all(isinstance(each, str) for each in inputs):
        raise wrong_type("input", "a string or an array of strings")
    form = string(given, "encoding_format", "") or "float"
    if form not in ("float", "base64"):
        raise wrong_value("encoding_format", "use float or base64")
    return EmbeddingsRequest(
        model=model or string(given, "model", ""),
        texts=[] if tokens else inputs,
        tokens=tokens,
        dimensions=whole(given, "dimensions", ""),
        user=string(given, "user", ""),
        base64=form == "base64",
        left=unknown(given, _OPENAI)[:_LEFT_MAX],
    )


def _write_openai(request: EmbeddingsRequest, upstream: Upstream, losses: Losses) -> bytes:
    for field, value in (("taskType", request.task), ("title", request.title)):
        if value:
            losses.hint(field)
    body: Json = {"model": upstream.model, "input": request.texts, "encoding_format": "float"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.user:
        body["user"] = request.user
    return orjson.dumps(body)


def _read_openai_answer(body: bytes) -> EmbeddingsAnswer:
    data = _object(orjson.loads(body))
    found = data.get("data")
    if not isinstance(found, list):
        raise ValueError("the answer has no vectors")  # noqa: TRY004  # what SpokenEmbeddings says of it
    items = [_object(each) for each in found]
    places = [item.get("index") for item in items]
    if sorted(place for place in places if type(place) is int) == list(range(len(items))):
        items.sort(key=_place)
    raw, model = data.get("usage"), data.get("model")
    return EmbeddingsAnswer(
        vectors=[_vector(item.get("embedding")) for item in items],
        usage=openai_usage(raw) if isinstance(raw, dict) else None,
        model=model if isinstance(model, str) else "",
    )


def _write_openai_answer(answer: EmbeddingsAnswer, request: EmbeddingsRequest, model: str) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector) if request.base64 else vector}
        for index, vector in enumerate(answer.vectors)
    ]
    tokens = _tokens(answer.usage)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}  # clients rely on it, whoever has counted
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})


def _place(item: Mapping[str, Any]) -> int:
    return int(item["index"])


# --- Gemini ---

_BATCH = spellings("requests")
_EMBED = spellings("model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig")
_CONFIG = spellings("taskType", "title", "outputDimensionality")
_TEXT = {"text": "text"}


def _read_gemini(body: bytes, model: str) -> EmbeddingsRequest:
    said = parsed(body).json
    request = EmbeddingsRequest(model=model, texts=[], single="requests" not in said)
    given = fields(said, "", _EMBED if request.single else _BATCH)
    if request.single:
        each = [(given, "")]
    else:
        request.left += unknown(given, _BATCH)
        wanted = listed(given, "requests", "")
        each = [(fields(one, f"requests[{place}]", _EMBED), f"requests[{place}]") for place, one in enumerate(wanted)]
    if not each:
        raise wrong_value("requests", "expected at least one request")
    asked = [_read_one(one, at, request) for one, at in each]
    tasks, titles, sizes = ({one[place] for one in asked} for place in range(3))
    if len(tasks) > 1 or len(titles) > 1 or len(sizes) > 1:
        request.fatal["requests"] = "Ask for vectors of one kind and size at a time."
    request.task, request.title, request.dimensions = asked[0]
    del request.left[_LEFT_MAX:]
    return request


def _read_one(given: Mapping[str, Any], at: str, request: EmbeddingsRequest) -> tuple[str, str, int | None]:
    """Adds the text of one vector; returns what it is for, its title and its size."""
    if "content" not in given:
        path = joined(at, "content")
        raise missing(path)
    path = joined(at, "content")
    parts = []
    for index, part in enumerate(listed(fields(given["content"], path, CONTENT), "parts", path)):
        place = f"{path}.parts[{index}]"
        inner = fields(part, place, _TEXT)
        if unknown(inner, _TEXT):
            request.fatal[place] = "Send text."
        parts.append(string(inner, "text", place))
    request.texts.append("\n".join(parts))
    lost = unknown(given, _EMBED)
    config_at = joined(at, "embedContentConfig")
    config = fields(given.get("embedContentConfig", {}), config_at, _CONFIG)
    lost += [joined("embedContentConfig", name) for name in unknown(config, _CONFIG)]
    for name in lost[: _LEFT_MAX - len(request.left)]:
        if not any(path == name or path.endswith("." + name) for path in request.left):
            request.left.append(joined(at, name))
    said = {**config, **{name: value for name, value in given.items() if name in _CONFIG}}
    return word(said, "taskType", at), string(said, "title", at), whole(said, "outputDimensionality", at)


def _write_gemini(request: EmbeddingsRequest, upstream: Upstream, losses: Losses) -> bytes:
    """The body of batchEmbedContents, however many texts there are."""
    if request.tokens:
        losses.impossible("input", "Send text, not token ids.")
    if request.user:
        losses.hint("user")
    common: Json = {"model": f"models/{upstream.model.removeprefix('models/')}"}
    for name, value in (
        ("taskType", request.task),
        ("title", request.title),
        ("outputDimensionality", request.dimensions),
    ):
        if value:
            common[name] = value
    return orjson.dumps({"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in request.texts]})


def _read_gemini_answer(body: bytes) -> EmbeddingsAnswer:
    data = _object(orjson.loads(body))
    found = [data["embedding"]] if "embedding" in data else data.get("embeddings")
    if not isinstance(found, list):
        raise ValueError("the answer has no vectors")  # noqa: TRY004  # what SpokenEmbeddings says of it
    raw = data.get("usageMetadata")
    return EmbeddingsAnswer(
        vectors=[_vector(_object(each).get("values")) for each in found],
        usage=gemini_usage(raw) if isinstance(raw, dict) else None,
    )


def _write_gemini_answer(answer: EmbeddingsAnswer, request: EmbeddingsRequest, _model: str) -> bytes:
    vectors = [{"values": vector} for vector in answer.vectors]
    body: Json = {"embedding": vectors[0] if vectors else {"values": []}} if request.single else {"embeddings": vectors}
    if answer.usage is not None:
        tokens = _tokens(answer.usage)
        body["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
    return orjson.dumps(body)


# --- Both ---


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("the answer has no vectors")  # noqa: TRY004  # what SpokenEmbeddings says of it
    return value


def _vector(value: object) -> list[float]:
    """Numbers as they are, or the float32 values that a text encodes."""
    if isinstance(value, list):
        if not all(type(each) in (float, int) for each in value):
            raise ValueError("a vector has other than numbers")
        return value
    if not isinstance(value, str):
        raise ValueError("the answer has no vectors")  # noqa: TRY004  # what SpokenEmbeddings says of it
    return _little_endian(base64.b64decode(value, validate=True)).tolist()


def _encoded(vector: Iterable[float]) -> str:
    """Little-endian float32 values as base64."""
    return base64.b64encode(_swapped(array("f", vector)).tobytes()).decode()


def _little_endian(data: bytes) -> "array[float]":
    return _swapped(array("f", data))


def _swapped(values: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _tokens(usage: Usage | None) -> int:
    return 0 if usage is None else input_sum(usage)


OPENAI = SpokenEmbeddings(
    read_request=_read_openai,
    write_request=_write_openai,
    read_answer=_read_openai_answer,
    write_answer=_write_openai_answer,
)
GEMINI = SpokenEmbeddings(
    read_request=_read_gemini,
    write_request=_write_gemini,
    read_answer=_read_gemini_answer,
    write_answer=_write_gemini_answer,
)
