"""Usage as a request record keeps it, and back: amounts can be computed again from records alone."""

from collections.abc import Mapping
from operator import attrgetter
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
_COLUMN_NAMES = tuple(COLUMNS.values())
_owned = attrgetter(*COLUMNS)
_others = attrgetter(*OTHERS)
_NOTHING = (None,) * len(OTHERS)


def to_columns(usage: Usage) -> dict[str, Any]:
    """The record's columns of usage. A mismatch has none: it is MISMATCH_FLAG among the record's `flags`."""
    found = _others(usage)
    columns: dict[str, Any] = dict(zip(_COLUMN_NAMES, _owned(usage), strict=True))
    columns["other_usage"] = (
        None
        if found == _NOTHING
        else {name: value for name, value in zip(OTHERS, found, strict=True) if value is not None}
    )
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
