"""Usage in Responses' words. Pure."""

from apps.providers.translation.form import Json
from apps.providers.usage import Usage, cached_sum, input_sum, output_sum

# As OpenAI names what it has served.
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_BYTES_PER_TOKEN = 4


def usage_json(usage: Usage) -> Json:
    """The `usage` of a response: totals, which include what their details name."""
    read, written, lasting = cached_sum(usage), usage.cache_write_5m or 0, usage.cache_write_1h or 0
    inputs, outputs = input_sum(usage), output_sum(usage)
    of_input: Json = {"cached_tokens": read, "cache_write_tokens": written + lasting}
    if lasting:
        of_input["cache_write_tokens_details"] = {"ttl_30m_tokens": written, "ttl_12h_tokens": lasting}
    return {
        "input_tokens": inputs,
        "input_tokens_details": of_input,
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": inputs + outputs,
    }


def estimated(input_tokens: int, written: int) -> Usage:
    """What stands in for usage that nobody has told: clients cannot do without. `written`: characters of the answer."""
    return Usage(input=input_tokens, output=-(-written // _BYTES_PER_TOKEN), estimated=True)


def written(items: list[Json]) -> int:
    """Characters of an output: of what is said, thought and called for."""
    pieces = [part for item in items for part in (*item.get("content", ()), *item.get("summary", ()), item)]
    return sum(len(part.get(name) or "") for part in pieces for name in ("text", "refusal", "arguments", "input"))


def tier_shown(tier: str) -> str:
    """The `service_tier` of a response: OpenAI's word, or "default" for what it has none for."""
    return tier if tier in _TIERS else "default"
