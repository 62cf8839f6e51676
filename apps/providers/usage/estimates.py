"""Our own figures, for what a provider does not tell. They are marked as estimates wherever they go."""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from apps.providers.usage.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS, Usage

# Where an answer or an event holds what the model wrote, and under which names.
_ROOTS = ("choices", "output", "delta", "content", "candidates")
_TEXTS = frozenset(
    {
        "content",
        "text",
        "refusal",
        "reasoning_content",
        "reasoning",
        "thinking",
        "arguments",
        "input",
        "delta",
        "partial_json",
    }
)
_BYTES_PER_TOKEN = 4


def completed(
    usage: Usage | None,
    *,
    tier: str,
    input_tokens: Callable[[], int],
    output_tokens: Callable[[], int] | None,
) -> Usage:
    """`usage`, with an estimate for each side that it does not tell; only those asked for are computed.

    `output_tokens` is None where nothing is written, such as embeddings.
    """
    if usage is None:
        return Usage(input=input_tokens(), output=output_tokens() if output_tokens else None, tier=tier, estimated=True)
    changes: dict[str, Any] = {}
    if usage.input is None:
        changes["input"] = max(0, input_tokens() - _sum(usage, INPUT_BUCKETS))
    if usage.output is None and output_tokens is not None:
        changes["output"] = max(0, output_tokens() - _sum(usage, OUTPUT_BUCKETS), usage.reasoning or 0)
    return msgspec.structs.replace(usage, **changes, estimated=True) if changes else usage


def written_tokens(body: bytes) -> int:
    """Tokens that a whole answer's model wrote: four bytes of its text are one, or of the answer if no text is found in it."""
    try:
        size = written_size(orjson.loads(body))
    except orjson.JSONDecodeError:
        size = 0
    return -(-(size or len(body)) // _BYTES_PER_TOKEN)


def is_error(body: bytes) -> bool:
    """Whether a whole answer is an error and nothing else, whatever status it came with."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(answer, dict):
        return False
    return bool(answer.get("error")) and not any(answer.get(name) for name in _ROOTS)


def written_size(answer: object) -> int:
    """Bytes of text that the model wrote, in an answer's or an event's JSON."""
    if not isinstance(answer, dict):
        return 0
    size = 0
    left: list[tuple[str, object]] = [(name, answer[name]) for name in _ROOTS if name in answer]
    while left:
        name, value = left.pop()
        if isinstance(value, str):
            size += len(value.encode("utf-8", "surrogatepass")) if name in _TEXTS else 0
        elif isinstance(value, dict) and name in (
            "input",
            "args",
        ):  # of a tool that Anthropic's or Gemini's models call
            size += len(orjson.dumps(value))
        elif isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            left += [(name, inner) for inner in value]
    return size


def _sum(usage: Usage, buckets: tuple[str, ...]) -> int:
    return sum(getattr(usage, name) or 0 for name in buckets)
