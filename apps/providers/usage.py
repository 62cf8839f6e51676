"""What a call used, in disjoint buckets, whatever words a provider has for them."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one call. Token buckets exclude one another, but `reasoning`, which is inside `output`. None: nobody said.

    `tier` is the service tier that the provider says it served ("" for its standard one). `mismatch`: the provider's own total
    differs from the sum of the buckets. `estimated`: the provider said nothing (or not to the end), and these are our figures.
    """

    input: int | None = None  # text, neither read from nor written to a provider's cache
    cache_read: int | None = None
    cache_write_5m: int | None = None  # a provider's usual lifetime, whatever it is
    cache_write_1h: int | None = None  # its long one
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_cache_read: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_cache_read: int | None = None
    image_output: int | None = None
    images: int | None = None  # pictures made
    seconds: int | None = None  # of audio heard or spoken, begun seconds counted whole
    characters: int | None = None  # of text to be spoken
    searches: int | None = None  # web searches made by the provider on the way
    tier: str = ""
    estimated: bool = False
    mismatch: bool = False


# The buckets of tokens that went in, and that came out.
INPUT_BUCKETS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_cache_read",
    "image_input",
    "image_cache_read",
)
OUTPUT_BUCKETS = ("output", "audio_output", "image_output")


def openai_usage(raw: Mapping[str, Any]) -> Usage | None:
    """The buckets of an OpenAI `usage` object (chat, Responses or embeddings); None if it holds no count.

    OpenAI's totals include what its details name, so details are subtracted. Counts that are no whole numbers of 0 or more are
    taken as not said: providers' mistakes must not become ours.
    """
    chat = "prompt_tokens" in raw or "completion_tokens" in raw  # the other words are those of Responses
    total_in = _count(raw.get("prompt_tokens" if chat else "input_tokens"))
    total_out = _count(raw.get("completion_tokens" if chat else "output_tokens"))
    if total_in is None and total_out is None:
        return None
    details_in = raw.get("prompt_tokens_details" if chat else "input_tokens_details")
    details_out = raw.get("completion_tokens_details" if chat else "output_tokens_details")
    cache_read = cache_write = audio_in = audio_out = reasoning = None
    if isinstance(details_in, dict):
        cache_read = _count(details_in.get("cached_tokens"))
        cache_write = _count(details_in.get("cache_write_tokens"))
        audio_in = _count(details_in.get("audio_tokens"))
    if isinstance(details_out, dict):
        audio_out = _count(details_out.get("audio_tokens"))
        reasoning = _count(details_out.get("reasoning_tokens"))
    if total_in is not None:
        total_in = max(0, total_in - (cache_read or 0) - (cache_write or 0) - (audio_in or 0))
    if total_out is not None:
        total_out = max(0, total_out - (audio_out or 0))
    return Usage(
        input=total_in,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=total_out,
        reasoning=reasoning,
        audio_input=audio_in,
        audio_output=audio_out,
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 62 else None
