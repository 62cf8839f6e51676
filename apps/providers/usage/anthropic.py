"""Usage in Anthropic's words. Its `input_tokens` holds neither what was read from the cache nor what was written to it."""

from collections.abc import Mapping
from typing import Any

from apps.providers.usage.buckets import Usage, tier_name, told


def anthropic_usage(raw: Mapping[str, Any], *later: Mapping[str, Any]) -> Usage | None:
    """The buckets of a Messages `usage` object; None if it holds no count.

    Of a stream: the one of `message_start`, then those of each `message_delta`, which are cumulative and name only what they tell.
    """
    said = dict(raw)
    for more in later:
        tell_later(said, more)
    total_in, total_out = told(said, "input_tokens"), told(said, "output_tokens")
    if total_in is None and total_out is None:
        return None
    short, long, agrees = _written(said)
    reasoning = told(said, "output_tokens_details", "thinking_tokens")
    if total_out is not None and reasoning is not None and reasoning > total_out:
        total_out, agrees = reasoning, False
    return Usage(
        input=total_in,
        cache_read=told(said, "cache_read_input_tokens"),
        cache_write_5m=short,
        cache_write_1h=long,
        output=total_out,
        reasoning=reasoning,
        searches=told(said, "server_tool_use", "web_search_requests"),
        # The fast mode has a price of its own, whatever the tier.
        tier=tier_name("fast" if said.get("speed") == "fast" else said.get("service_tier")),
        mismatch=not agrees,
    )


def tell_later(said: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Take what a `message_delta` tells into what was said before: it counts from the beginning, and names only what it tells."""
    parts = said.get("cache_creation")
    if more.get("cache_creation_input_tokens") is not None and isinstance(parts, dict):
        # A new total makes the parts of the old one stale, but for what was written for long: nothing else says how much that is.
        said["cache_creation"] = {"ephemeral_1h_input_tokens": parts.get("ephemeral_1h_input_tokens")}
    said.update({name: value for name, value in more.items() if value is not None})


def _written(said: Mapping[str, Any]) -> tuple[int | None, int | None, bool]:
    """What was written to the cache, for short and for long, and whether its parts are its total."""
    total = told(said, "cache_creation_input_tokens")
    short = told(said, "cache_creation", "ephemeral_5m_input_tokens")
    long = told(said, "cache_creation", "ephemeral_1h_input_tokens")
    if total is None or (short is None and long is None):
        return short if total is None else total, long, True
    rest = total - (long or 0)  # what the parts do not explain was written for the usual lifetime
    return max(short or 0, rest, 0), long, rest == (short if short is not None else max(rest, 0))
