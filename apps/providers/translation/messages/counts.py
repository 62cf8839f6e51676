"""Usage as Anthropic's clients read it. Pure."""

from collections.abc import Iterable
from typing import Any

from apps.providers.usage import Usage

_TIERS = frozenset({"priority", "batch"})


def usage_json(usage: Usage | None, *, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """A whole answer's `usage`. `input_tokens`, `output_tokens`: what is said where nobody else has."""
    found = delta_usage(usage, input_tokens=input_tokens, output_tokens=output_tokens)
    short, long = (usage.cache_write_5m or 0, usage.cache_write_1h or 0) if usage is not None else (0, 0)
    found["cache_creation"] = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    found["service_tier"] = usage.tier if usage is not None and usage.tier in _TIERS else "standard"
    return found


def delta_usage(usage: Usage | None, *, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """The `usage` of the last event of a stream but one, where the true figures are."""
    told = Usage() if usage is None else usage
    read = _sum((told.cache_read, told.audio_cache_read, told.image_cache_read))
    fresh = _sum((told.input, told.audio_input, told.image_input))
    written = _sum((told.cache_write_5m, told.cache_write_1h))
    out = _sum((told.output, told.audio_output, told.image_output))
    found: dict[str, Any] = {
        "input_tokens": input_tokens if fresh is None and read is None else fresh or 0,
        "cache_creation_input_tokens": written or 0,
        "cache_read_input_tokens": read or 0,
        "output_tokens": output_tokens if out is None else out,
    }
    if told.reasoning is not None:
        found["output_tokens_details"] = {"thinking_tokens": told.reasoning}
    if told.searches:
        found["server_tool_use"] = {"web_search_requests": told.searches, "web_fetch_requests": 0}
    return found


def _sum(counts: Iterable[int | None]) -> int | None:
    """What is counted together; None if nobody has counted any of it."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
