"""The buckets that a call's usage is counted in, and how a provider's totals and details are made to exclude one another."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import msgspec

from apps.audit.record import clean_text


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

# No request comes near it, and no price makes a cost of it that the record or a budget's counter cannot hold.
COUNT_MAX = 1 << 36
_input_tokens = attrgetter(*INPUT_BUCKETS)
_output_tokens = attrgetter(*OUTPUT_BUCKETS)
_cached_tokens = attrgetter("cache_read", "audio_cache_read", "image_cache_read")
TIER_MAX = 32

_STANDARD_TIERS = frozenset(
    {"default", "standard", "auto", "on_demand", "service_tier_unspecified", "traffic_type_unspecified"}
)


def count(value: object) -> int | None:
    """A provider's count; None for anything but a whole number from 0 to COUNT_MAX, as providers' mistakes must not become ours."""
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None


def told(fields: Mapping[str, Any], *path: str) -> int | None:
    """The count at the end of a path through objects; None if there is none."""
    value: object = fields
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return count(value)


def tier_name(value: object) -> str:
    """One name for each tier, whoever served it: "" for the standard one, `priority`, `flex`, `batch` … At most 32 characters."""
    if value is None or value == "default":  # nearly always
        return ""
    name = clean_text(value, TIER_MAX).strip().lower()[:TIER_MAX]
    if not name or name in _STANDARD_TIERS:
        return ""
    name = name.removeprefix("on_demand_")  # Vertex AI: on_demand_priority, on_demand_flex
    return "priority" if name == "fast" else name


def token_sum(usage: Usage) -> int:
    """All tokens of the call, in and out: what a provider's own total is held against."""
    return input_sum(usage) + output_sum(usage)


def input_sum(usage: Usage) -> int:
    """All tokens that went in."""
    return sum(filter(None, _input_tokens(usage)))


def output_sum(usage: Usage) -> int:
    """All tokens that came out."""
    return sum(filter(None, _output_tokens(usage)))


def cached_sum(usage: Usage) -> int:
    """Of the tokens that went in, those that were read from a cache."""
    return sum(filter(None, _cached_tokens(usage)))


def split_input(
    total: int | None,
    *,
    cached: int | None = None,
    cached_audio: int | None = None,
    cached_image: int | None = None,
    written: int | None = None,
    written_long: int | None = None,
    audio: int | None = None,
    image: int | None = None,
) -> tuple[dict[str, Any], bool]:
    """Input buckets of an inclusive total and what of it was cached, written or no text; and whether the parts fit into it.

    What was cached may itself be audio or images. Where the provider does not say how much of it, text comes first.
    """
    sounds, pictures, read = audio or 0, image or 0, cached or 0
    write = (written if written is not None else written_long) or 0
    long_lived = min(written_long or 0, write)
    text = read + write if total is None else total - sounds - pictures
    if cached_audio is None and cached_image is None:
        beyond_text = max(0, read + write - max(text, 0))
        read_sounds = min(beyond_text, sounds, read)
        read_pictures = min(beyond_text - read_sounds, pictures, read - read_sounds)
    else:
        read_sounds = min(cached_audio or 0, sounds, read)
        read_pictures = min(cached_image or 0, pictures, read - read_sounds)
    # The parts that lie inside others must not be larger than those.
    fits = (written_long or 0) <= write and read_sounds >= (cached_audio or 0) and read_pictures >= (cached_image or 0)
    read_text = read - read_sounds - read_pictures
    rest = text - read_text - write
    return {
        "input": None if total is None else max(0, rest),
        "cache_read": None if cached is None else read_text,
        "cache_write_5m": None if written is None and written_long is None else write - long_lived,
        "cache_write_1h": None if written_long is None else long_lived,
        "audio_input": None if audio is None else sounds - read_sounds,
        "audio_cache_read": read_sounds if read_sounds or cached_audio is not None else None,
        "image_input": None if image is None else pictures - read_pictures,
        "image_cache_read": read_pictures if read_pictures or cached_image is not None else None,
    }, fits and rest >= 0


def split_output(
    total: int | None, *, reasoning: int | None = None, audio: int | None = None, image: int | None = None
) -> tuple[dict[str, Any], bool]:
    """Output buckets of an inclusive total and what of it was thought or no text; and whether the parts fit into it."""
    text = None if total is None else total - (audio or 0) - (image or 0)
    fits = text is None or text >= (reasoning or 0)
    return {
        "output": None if text is None else max(text, reasoning or 0, 0),
        "reasoning": reasoning,
        "audio_output": audio,
        "image_output": image,
    }, fits
