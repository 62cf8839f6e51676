"""What recorded calls cost, computed once more: from the price rows that each record names, or from the book as it is today.

Pure: rows come in, amounts go out. Records and sheets are the caller's to fetch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.ids import request_id
from apps.providers.prices.kinds import KINDS
from apps.providers.prices.money import usd
from apps.providers.prices.sheet import PriceSheet, read_row
from apps.providers.usage.attempts import CHARGED_SQL, Charged, charged
from apps.providers.usage.columns import COLUMNS, from_columns

# Every record that cost something, or should have: with its amount as text and its price rows' ids as text, as they are quicker
# to compare than to convert. %(first)s, %(last)s: ids that leave out the partitions of other months.
RECORDS_SQL = f"""
SELECT id, created_at, organization_id, service_id, token_id, end_user, tags, provider, model_asked,
       cost_usd::text AS cost, array_to_string(price_ids, ',') AS prices, flags, other_usage, service_tier, usage_estimated,
       COALESCE((attempts -> -1 ->> 'hosted')::boolean, false) AS hosted, {CHARGED_SQL} AS charged, {", ".join(COLUMNS.values())}
FROM audit_requestrecord
WHERE id >= %(first)s AND id < %(last)s AND created_at >= %(since)s AND created_at < %(until)s
  AND (cost_usd IS NOT NULL OR price_ids <> '{{}}' OR 'unpriced' = ANY (flags))
  AND (%(organization)s::uuid IS NULL OR organization_id = %(organization)s::uuid)
"""
# Withdrawn ones too: what was computed with them stays.
ROWS_SQL = f"""
SELECT id, tier, above_input_tokens, effective_from, provider, model, {", ".join(KINDS)}
FROM providers_price WHERE id = ANY(%(ids)s::uuid[])
"""
_KEPT = 10_000  # sheets in memory


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A record whose amount does not come out again. Amounts are USD with 12 decimals; None: unpriced."""

    request: str
    recorded: str | None
    recomputed: str | None
    reason: str


@dataclass(slots=True)
class Totals:
    """Over all records looked at. Amounts in pico-USD."""

    records: int = 0
    unpriced: int = 0
    recorded: int = 0
    recomputed: int = 0
    mismatches: int = 0


type FetchRows = Callable[[list[str]], Iterable[Mapping[str, Any]]]


class NamedSheets:
    """Sheets of exactly the rows that records name. Few distinct ones serve many records."""

    def __init__(self, fetch: FetchRows) -> None:
        """`fetch`: the rows of these ids, as ROWS_SQL returns them."""
        self._fetch = fetch
        self._known: dict[str, tuple[PriceSheet | None, tuple[str, str] | None]] = {}

    def sheet(self, ids: str) -> PriceSheet | None:
        """Of comma-separated ids; None if a row is missing."""
        return self._look_up(ids)[0]

    def model(self, ids: str) -> tuple[str, str] | None:
        """The provider and model that the rows are for."""
        return self._look_up(ids)[1]

    def _look_up(self, ids: str) -> tuple[PriceSheet | None, tuple[str, str] | None]:
        known = self._known.get(ids)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            names = ids.split(",")
            rows = list(self._fetch(names))
            complete = len(rows) == len(set(names))
            known = self._known[ids] = (
                PriceSheet([read_row(row) for row in rows]) if complete else None,
                (rows[0]["provider"], rows[0]["model"]) if rows else None,
            )
        return known


def compare(records: Iterable[Mapping[str, Any]], sheets: NamedSheets, totals: Totals) -> Iterator[Mismatch]:
    """Compute every record's amount from its own price rows and counts, add them up, and tell those that differ.

    Takes one record at a time, as RECORDS_SQL returns them.
    """
    for record in records:
        totals.records += 1
        recorded, prices = record["cost"], record["prices"]
        before = charged(record["charged"])
        if recorded is None and not prices and not before:
            totals.unpriced += 1
            continue
        amount: int | None = None
        reason = ""
        if not prices and before:
            amount = 0
        elif not prices:
            reason = "the record names no price"
        elif (found := sheets.sheet(prices)) is None:
            reason = "a price that it names is missing"
        else:
            cost = found.cost(from_columns(record))
            amount = cost.pico
            if amount is None:
                reason = f"{cost.missing} has no price"
        if amount is not None and before:
            amount, reason = _with_attempts(amount, before, sheets)
        recomputed = None if amount is None else usd(amount)
        totals.recomputed += amount or 0
        if recomputed == recorded:
            totals.recorded += amount or 0
            continue
        totals.recorded += pico_of(recorded)
        totals.mismatches += 1
        yield Mismatch(request_id(record["id"]), recorded, recomputed, reason or "another amount")


def _with_attempts(amount: int, before: Iterable[Charged], sheets: NamedSheets) -> tuple[int | None, str]:
    """An amount, and that of the attempts before the last; None, and why, where one cannot be computed."""
    for attempt in before:
        found = sheets.sheet(attempt.prices)
        cost = None if found is None else found.cost(attempt.usage).pico
        if cost is None:
            return None, "a price that one of its attempts names is missing"
        amount += cost
    return amount, ""


def pico_of(text: str | None) -> int:
    """An amount of RECORDS_SQL, which has 12 decimals, in pico-USD; 0 for none."""
    return int(text.replace(".", "")) if text else 0
