"""What a call used, in disjoint buckets, whatever words a provider has for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. Every bucket excludes the others, but `reasoning`, which is inside `output`. None: nobody said."""

    input: int | None = None  # neither read from nor written to a provider's cache
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    estimated: bool = False


def openai_usage(raw: Mapping[str, Any]) -> Usage | None:
    """The buckets of an OpenAI `usage` object (chat, Responses or embeddings); None if it holds no count.

    OpenAI's totals include what its details name, so details are subtracted. Counts that are no whole numbers of 0 or more are
    taken as not said: providers' mistakes must not become ours.
    """
    total_in = _count(raw, "prompt_tokens", "input_tokens")
    total_out = _count(raw, "completion_tokens", "output_tokens")
    if total_in is None and total_out is None:
        return None
    details_in = _details(raw, "prompt_tokens_details", "input_tokens_details")
    details_out = _details(raw, "completion_tokens_details", "output_tokens_details")
    cache_read = _count(details_in, "cached_tokens")
    cache_write = _count(details_in, "cache_write_tokens")
    audio_in = _count(details_in, "audio_tokens")
    audio_out = _count(details_out, "audio_tokens")
    return Usage(
        input=_less(total_in, cache_read, cache_write, audio_in),
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=_less(total_out, audio_out),
        reasoning=_count(details_out, "reasoning_tokens"),
        audio_input=audio_in,
        audio_output=audio_out,
    )


def _count(raw: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if type(value) is int and 0 <= value < 1 << 62:
            return value
    return None


def _details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = raw.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _less(total: int | None, first: int | None, second: int | None = None, third: int | None = None) -> int | None:
    return None if total is None else max(0, total - (first or 0) - (second or 0) - (third or 0))
