"""Usage as a request record keeps it, and back: amounts can be computed again from records alone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from apps.audit.record import clean_count
from apps.providers.usage.buckets import TIER_MAX, Usage

# Bucket → column of its own. The other buckets share `other_usage`, an object of those that somebody said.
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "input": "input_tokens",
        "cache_read": "cache_read_tokens",
        "cache_write_5m": "cache_write_5m_tokens",
        "cache_write_1h": "cache_write_1h_tokens",
        "output": "output_tokens",
        "reasoning": "reasoning_tokens",
        "audio_input": "audio_input_tokens",
        "audio_output": "audio_output_tokens",
        "image_input": "image_input_tokens",
        "image_output": "image_output_tokens",
    }
)
OTHERS = ("audio_cache_read", "image_cache_read", "images", "seconds", "characters", "searches")
MISMATCH_FLAG = "usage_mismatch"


def to_columns(usage: Usage) -> dict[str, Any]:
    """The record's columns of usage. A mismatch has none: it is MISMATCH_FLAG among the record's `flags`."""
    others = {name: value for name in OTHERS if (value := getattr(usage, name)) is not None}
    columns: dict[str, Any] = {column: getattr(usage, name) for name, column in COLUMNS.items()}
    columns["other_usage"] = others or None
    columns["service_tier"] = usage.tier
    columns["usage_estimated"] = usage.estimated
    return columns


def from_columns(columns: Mapping[str, Any]) -> Usage:
    """The usage that a record's columns were made of. Columns that are missing were not known to the record's writer."""
    others = columns.get("other_usage")
    if not isinstance(others, Mapping):
        others = {}
    return Usage(
        **{name: columns.get(column) for name, column in COLUMNS.items()},
        **{name: clean_count(others.get(name)) for name in OTHERS},
        tier=str(columns.get("service_tier") or "")[:TIER_MAX],
        estimated=bool(columns.get("usage_estimated")),
        mismatch=MISMATCH_FLAG in (columns.get("flags") or ()),
    )
