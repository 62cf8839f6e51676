"""The price book in memory: which rows price a model at a time. Pure.

A name is looked up as it is, then without its date, then as a documented alias. Never by a prefix: `gpt-5` says nothing about
what `gpt-5-mini` or `gpt-5.5` cost.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import inf
from typing import Any

from apps.providers.prices.kinds import KINDS, STANDARD
from apps.providers.prices.seed import aliases
from apps.providers.prices.sheet import PriceSheet, Row, read_row

# %(organization)s: whose rows come beside the installation's, or NULL; %(models)s: only these names, or NULL for all.
PRICES_SQL = f"""
SELECT id, organization_id, provider, model, tier, above_input_tokens, effective_from, {", ".join(KINDS)}
FROM providers_price
WHERE withdrawn_at IS NULL AND (organization_id IS NULL OR organization_id = %(organization)s::uuid)
  AND (%(models)s::text[] IS NULL OR model = ANY(%(models)s::text[]))
ORDER BY provider, model, tier, above_input_tokens, effective_from, id
"""

_DATE = re.compile(
    r"[-@](?:20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))\Z"
)
_SANDBOX_SUFFIX = re.compile(r"-\d{1,7}(?:ms|s)?\Z")
_CACHED = 4096  # sheets in memory; more names than that are a sign that somebody tries them out


def undated(model: str) -> str:
    """The name without a trailing date (`-2026-03-05`, `-20260305`, `@20260305`); as it is if it has none."""
    return _DATE.sub("", model)


def names_of(provider: str, model: str) -> tuple[str, ...]:
    """The names under which the book may price this model, best first."""
    names = [model, undated(model)]
    names += [known for name in names if (known := aliases().get((provider, name)))]
    if provider == "sandbox":
        names.append(_SANDBOX_SUFFIX.sub("", model))  # sandbox-long-500 is sandbox-long
    return tuple(dict.fromkeys(name for name in names if name))


def candidates(model: str) -> list[str]:
    """The names to ask the table for, whatever the provider: for the `models` of PRICES_SQL. `model` may be a `priced_as`."""
    words = [model]
    if "/" in model:
        words.append(model.partition("/")[2])  # provider/name
    providers = {provider for provider, _ in aliases()} | {"sandbox"}
    return list(dict.fromkeys(name for word in words for provider in providers for name in names_of(provider, word)))


def compile_book(rows: Iterable[Mapping[str, Any]]) -> "PriceBook":
    """The book of the rows that PRICES_SQL returns, as mappings from column to value: one organization's and the installation's."""
    return PriceBook(rows)


class PriceBook:
    """What an organization pays, by provider and model."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `compile_book`."""
        self._own: dict[tuple[str, str], list[Row]] = {}
        self._shared: dict[tuple[str, str], list[Row]] = {}
        self._found: dict[tuple[str, str, str], tuple[float, float, PriceSheet | None]] = {}
        self._house: PriceBook | None = None
        for row in rows:
            side = self._shared if row["organization_id"] is None else self._own
            side.setdefault((row["provider"], row["model"]), []).append(read_row(row))

    def sheet(self, provider: str, model: str, at: float, priced_as: str = "") -> PriceSheet | None:
        """The prices of `model` at Unix second `at`; None: it has none. An organization's own come before the installation's.

        `priced_as`: look up this name instead, of the same provider, or `provider/name` of another one.
        """
        key = (provider, model, priced_as)
        known = self._found.get(key)
        if known is None or not known[0] <= at < known[1]:
            if len(self._found) >= _CACHED:
                self._found.clear()
            known = self._found[key] = self._look_up(key, at)
        return known[2]

    def of_the_installation(self) -> "PriceBook":
        """Without the organization's own prices: what it pays for the use of the installation's credentials."""
        if self._house is None:
            self._house = PriceBook(())
            self._house._shared = self._shared
        return self._house

    def find(self, provider: str, model: str, at: float) -> tuple[str, list[Row]] | None:
        """The name under which the book prices `model` at `at`, and the rows in force: one per tier and threshold."""
        for name in names_of(provider, model):
            for side in (self._own, self._shared):
                rows = side.get((provider, name))
                if rows and (found := in_force(rows, at)):
                    return name, found
        return None

    def _look_up(self, key: tuple[str, str, str], at: float) -> tuple[float, float, PriceSheet | None]:
        provider, model, priced_as = key
        places = [(provider, priced_as or model)]
        if "/" in priced_as:
            other, _, name = priced_as.partition("/")
            places.append((other, name))
        times = sorted(
            {
                row.effective_from
                for place in places
                for name in names_of(*place)
                for side in (self._own, self._shared)
                for row in side.get((place[0], name), ())
            }
        )
        starts, ends = next(span for span in pairwise([-inf, *times, inf]) if span[0] <= at < span[1])
        for place in places:
            if found := self.find(*place, at):
                name, rows = found
                return starts, ends, PriceSheet(rows, provider=place[0], model=name, starts_at=starts, ends_at=ends)
        return starts, ends, None


def in_force(rows: Iterable[Row], at: float) -> list[Row]:
    """Of one model's rows, the latest of each tier and threshold at `at`; none while there is no standard row among them."""
    latest: dict[tuple[str, int], Row] = {}
    for row in rows:
        if row.effective_from <= at:
            known = latest.get((row.tier, row.above))
            if known is None or known.effective_from <= row.effective_from:
                latest[row.tier, row.above] = row
    return list(latest.values()) if (STANDARD, 0) in latest else []
