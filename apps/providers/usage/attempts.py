"""Usage of attempts that were charged though another one followed: as a record's `attempts` keep it, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.providers.usage.buckets import Usage
from apps.providers.usage.columns import from_columns, to_columns

# Of a record: those of its attempts that cost something of their own, null for nearly all records.
CHARGED_SQL = """CASE WHEN jsonb_array_length(attempts) > 1
       THEN jsonb_path_query_array(attempts, '$[*] ? (exists(@.cost_usd))') END"""


@dataclass(frozen=True, slots=True)
class Charged:
    """One attempt. `prices`: the ids of the price rows that it was computed from, apart by commas."""

    usage: Usage
    prices: str
    hosted: bool  # it was the installation's credential


def usage_facts(usage: Usage) -> dict[str, Any]:
    """Usage as an attempt keeps it: what was said, under the names of the record's columns."""
    return {
        name: value
        for name, value in to_columns(usage).items()
        if value is not None and value is not False and value != ""
    }


def charged(attempts: Sequence[Mapping[str, Any]] | None) -> list[Charged]:
    """The attempts that CHARGED_SQL finds."""
    return [
        Charged(
            from_columns(attempt.get("usage") or {}),
            ",".join(attempt.get("price_ids") or ()),
            hosted=bool(attempt.get("hosted")),
        )
        for attempt in attempts or ()
    ]
