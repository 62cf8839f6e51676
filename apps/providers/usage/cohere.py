"""Usage in Cohere's words: what it bills, and beside it what its models saw, of which we take the first."""

from collections.abc import Mapping
from typing import Any

from apps.providers.usage.buckets import Usage, count, split_input


def cohere_usage(raw: Mapping[str, Any]) -> Usage | None:
    """The buckets of a `usage` object (chat) or a `meta` object (embed, rerank); None if it holds no count.

    Cohere writes counts as JSON numbers with or without a fraction. Search units are searches.
    """
    billed, seen = (_object(raw.get(name)) for name in ("billed_units", "tokens"))
    total_in, total_out = (
        _whole(billed.get(name)) if _whole(billed.get(name)) is not None else _whole(seen.get(name))
        for name in ("input_tokens", "output_tokens")
    )
    if total_in is None:
        total_in = _whole(billed.get("text_tokens"))
    searches = _whole(billed.get("search_units"))
    if total_in is None and total_out is None and searches is None:
        return None
    inputs, fits = split_input(total_in, cached=_whole(raw.get("cached_tokens")))
    return Usage(**inputs, output=total_out, searches=searches, mismatch=not fits)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return count(value)
