"""POST /v1/embeddings: unit vectors by feature hashing; a text always lands on the same point, similar ones near it."""

import base64
import math
import re
import sys
import zlib
from array import array
from collections.abc import Sequence

from apps.providers.sandbox.ask import tokens
from apps.providers.sandbox.catalogue import SandboxModel
from apps.providers.sandbox.errors import ApiError, missing, wrong_type, wrong_value
from apps.providers.sandbox.fields import Fields
from apps.providers.sandbox.reply import Reply, whole

DIMENSIONS = 1536  # unless the request says otherwise
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048
MOST_TOKENS = 8192  # of one input
_WORD = re.compile(r"\w+")

type Input = str | list[int]


def reply(fields: Fields, model: SandboxModel, chunks: int | None) -> Reply:  # noqa: ARG001  # every surface's signature
    """Answer an embeddings request."""
    inputs = _inputs(fields)
    size = fields.integer("dimensions", 1, MOST_DIMENSIONS) or DIMENSIONS
    form = fields.choice("encoding_format", ("float", "base64")) or "float"
    used = [tokens(each) if isinstance(each, str) else len(each) for each in inputs]
    if (most := max(used)) > MOST_TOKENS:
        message = f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {most} tokens."
        raise ApiError(400, message, param="input", code="context_length_exceeded")
    data = []
    for index, each in enumerate(inputs):
        point = vector(each, size)
        data.append(
            {"object": "embedding", "index": index, "embedding": _base64(point) if form == "base64" else list(point)}
        )
    body = {"object": "list", "data": data, "model": model.name}
    return whole(
        {**body, "usage": {"prompt_tokens": sum(used), "total_tokens": sum(used)}} if model.behaviour.usage else body
    )


def vector(text: Input, size: int = DIMENSIONS) -> "array[float]":
    """The embedding of a text or of its tokens: `size` float32 values of length 1.

    Every word and every three letters in a row of a word push one coordinate up or down; words weigh more.
    """
    point = array("f", bytes(4 * size))
    if isinstance(text, str):
        for word in _WORD.findall(text.lower()):
            _push(point, word.encode(), 2.0)
            for at in range(len(word) - 2):
                _push(point, word[at : at + 3].encode(), 0.5)
    else:
        for token in text:
            _push(point, token.to_bytes(8, signed=True), 1.0)
    length = math.sqrt(math.sumprod(point, point))
    if length == 0.0:
        point[0] = length = 1.0  # neither words nor luck: blank texts, and features that cancel each other out
    return array("f", [value / length for value in point])


def _push(point: "array[float]", feature: bytes, weight: float) -> None:
    mark = zlib.crc32(feature)
    point[(mark >> 1) % len(point)] += weight if mark & 1 else -weight


def _base64(point: "array[float]") -> str:
    if sys.byteorder == "big":  # clients decode little-endian
        point = array("f", point)
        point.byteswap()
    return base64.b64encode(point.tobytes()).decode()


def _inputs(fields: Fields) -> Sequence[Input]:
    """One text, texts, one list of tokens, or lists of tokens."""
    value = fields.json.get("input")
    if value is None:
        raise missing("input")
    inputs: list[Input]
    if isinstance(value, str):
        inputs = [value]
    elif not isinstance(value, list):
        raise wrong_type("input", "a string or an array", value)
    elif value and all(_is_token(item) for item in value):
        inputs = [value]
    else:
        inputs = value
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise wrong_value("input", len(inputs), f"Expected 1 to {MOST_INPUTS} inputs.")
    for index, each in enumerate(inputs):
        if each in ("", []):
            raise ApiError(400, f"Invalid 'input[{index}]': it must not be empty.", param="input", code="invalid_value")
        if not isinstance(each, str) and not (isinstance(each, list) and all(_is_token(item) for item in each)):
            raise wrong_type(f"input[{index}]", "a string or an array of token ids", each)
    return inputs


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**31
