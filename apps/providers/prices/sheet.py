"""One model's prices at one time, compiled: what a call cost to the last digit, and the most that one could cost.

Amounts are whole pico-USD (10^-12). Pure, and on the gateway's hot path.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from apps.providers.prices.kinds import (
    DEARER_TIERS,
    MEASURES,
    OTHER_KINDS,
    STANDARD,
    TIER_WORDS,
    TOKEN_BUCKETS,
    TOKEN_KINDS,
)
from apps.providers.prices.money import pico_per_unit
from apps.providers.usage import Usage

_ANY_TIER = "*"
_INPUTS = ("input", "cache_read", "cache_write_5m", "cache_write_1h")
_OUTPUTS = ("output", "reasoning")
_AUDIO_INPUTS, _AUDIO_OUTPUTS = ("audio_input", "audio_cache_read"), ("audio_output",)
_IMAGE_INPUTS, _IMAGE_OUTPUTS = ("image_input", "image_cache_read"), ("image_output",)
_BUCKETS = (*TOKEN_BUCKETS, *MEASURES)
_SEARCHES = list(MEASURES).index("searches")


class Row(msgspec.Struct, frozen=True):
    """One row of the price book: `prices` holds pico-USD per unit by kind, for the kinds that have one."""

    id: str  # hex
    tier: str
    above: int  # the row applies when a request has more input tokens than this; 0: any
    effective_from: float  # Unix seconds
    prices: dict[str, int]


def read_row(row: Mapping[str, Any]) -> Row:
    """A row of the table `providers_price`, column name → value. Raises ValueError for a price that is not exact."""
    prices = {kind: row[kind] for kind in (*TOKEN_KINDS, *OTHER_KINDS)}
    return Row(
        row["id"].hex,
        row["tier"],
        row["above_input_tokens"],
        row["effective_from"].timestamp(),
        {kind: pico_per_unit(Decimal(price)) for kind, price in prices.items() if price is not None},
    )


class Cost(msgspec.Struct, frozen=True):
    """What one call cost."""

    pico: int | None  # pico-USD of all that has a price; None: nothing of what was used has one
    price_ids: tuple[str, ...]  # hex ids of the rows used, the standard tier's first; none if there is no amount
    missing: str = ""  # a bucket that was used and has no price: the amount is without it
    unknown_tier: str = ""  # the tier served, if no row is for it: then the dearest tier's prices were taken


class _Plan:
    """The rates of one tier above one threshold, what is missing filled in."""

    __slots__ = ("above", "ids", "per_request", "rates", "rows", "sole", "token_priced", *_BUCKETS)

    input: int | None
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    audio_input: int | None
    audio_cache_read: int | None
    audio_output: int | None
    image_input: int | None
    image_cache_read: int | None
    image_output: int | None

    def __init__(self, chain: list[Row]) -> None:
        """`chain`: the rows to look in, best first."""
        self.above = max(row.above for row in chain)
        self.rows = {}
        rates: dict[str, int | None] = {}
        kinds = {**TOKEN_BUCKETS, **{bucket: (kind,) for bucket, kind in MEASURES.items()}}
        for bucket, candidates in {**kinds, "per_request": ("per_request",)}.items():
            row, kind = next(
                ((row, kind) for kind in candidates for row in chain if kind in row.prices),
                (None, ""),
            )
            rates[bucket] = row.prices[kind] if row else None
            if row:
                self.rows[bucket] = row.id
        for bucket in _BUCKETS:
            setattr(self, bucket, rates[bucket])
        self.rates: dict[str, int | None] = rates
        self.per_request: int = rates["per_request"] or 0
        self.token_priced = any(rates[bucket] is not None for bucket in TOKEN_BUCKETS)
        self.ids = tuple(row.id for row in reversed(chain))  # the standard tier's base row first
        used = set(self.rows.values())
        self.sole = tuple(used) if len(used) == 1 else None

    def dearest(self, buckets: Iterable[str], others: Iterable[str]) -> int | None:
        """The highest rate of `buckets`; of `others` if none of those has one; None if none has."""
        found = [rate for bucket in buckets if (rate := self.rates[bucket]) is not None]
        found = found or [rate for bucket in others if (rate := self.rates[bucket]) is not None]
        return max(found, default=None)


class PriceSheet:
    """One model's prices at one time."""

    __slots__ = ("_bounds", "_plans", "ends_at", "model", "provider", "rows", "starts_at")

    def __init__(
        self, rows: Iterable[Row], *, provider: str = "", model: str = "", starts_at: float = -inf, ends_at: float = inf
    ) -> None:
        """`rows`: at most one per tier and threshold. `provider`, `model`: what the rows are for.

        From `starts_at` (Unix seconds) on these are the rows that apply, and from `ends_at` on others may.
        """
        self.provider = provider
        self.model = model
        self.starts_at = starts_at
        self.ends_at = ends_at
        self.rows = tuple(rows)
        by_place = {(row.tier, row.above): row for row in self.rows}
        tiers = {tier for tier, _ in by_place} | {STANDARD}
        thresholds = sorted({above for _, above in by_place} | {0}, reverse=True)
        self._plans: dict[str, tuple[_Plan, ...]] = {}
        for tier in sorted(tiers):
            plans = []
            for position, above in enumerate(thresholds):
                if above and (tier, above) not in by_place and (STANDARD, above) not in by_place:
                    continue
                places = (
                    (named, lower) for lower in thresholds[position:] for named in dict.fromkeys((tier, STANDARD))
                )
                if chain := [by_place[place] for place in places if place in by_place]:
                    plans.append(_Plan(chain))
            if plans:
                self._plans[tier] = tuple(plans)
        # Providers' other words lead to the same plans; a cheaper tier that no row is for is billed as standard.
        for word, tier in TIER_WORDS.items():
            if tier in self._plans:
                self._plans[word] = self._plans[tier]
            elif tier not in DEARER_TIERS and STANDARD in self._plans:
                self._plans[word] = self._plans[STANDARD]
        self._bounds: dict[tuple[str, bool, bool], tuple[_Bound, ...]] = {}

    @property
    def prices_searches(self) -> bool:
        """Whether searches have a price."""
        return any(plan.rates["searches"] is not None for plans in self._plans.values() for plan in plans)

    def cost(self, usage: Usage) -> Cost:
        """What a call with this usage cost, exactly, at the prices of the tier that the provider says it served.

        Counts of None and 0 cost nothing; a price of 0 is a price. A tier that no row is for is billed at the dearest tier's.
        """
        plans = self._plans.get(usage.tier)
        if plans is None:
            plans = self._plans.get(usage.tier.strip().lower())
            if plans is None:
                return self._dearest(usage)
        return _cost(plans, usage)

    def bound(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        tier: str = "",
        audio: bool = False,
        images: bool = False,
        characters: int = 0,
        seconds: int = 0,
        pictures: int = 0,
        searches: int = 0,
    ) -> int | None:
        """Pico-USD that no call with at most these counts exceeds, served in `tier` or the standard one; None: unpriced.

        `audio`, `images`: whether tokens may be those of sound and pictures. The rest count what is billed by other measures.
        """
        word = tier if tier in self._plans else tier.strip().lower()
        key = (word if word in self._plans else _ANY_TIER, audio, images)
        bounds = self._bounds.get(key)
        if bounds is None:
            bounds = self._bounds[key] = self._compile_bounds(*key)
        for bound in bounds:
            if input_tokens > bound.above:
                break
        return bound.most(input_tokens, output_tokens, (pictures, seconds, characters, searches))

    def _dearest(self, usage: Usage) -> Cost:
        """At the dearest tier's prices; unpriced if any tier lacks a price."""
        costs = [_cost(plans, usage) for plans in {id(plans): plans for plans in self._plans.values()}.values()]
        found = next((cost for cost in costs if cost.pico is None), None) or max(costs, key=lambda cost: cost.pico or 0)
        return Cost(found.pico, found.price_ids, found.missing, usage.tier)

    def _compile_bounds(self, tier: str, audio: bool, images: bool) -> "tuple[_Bound, ...]":  # noqa: FBT001 - parts of a key
        taken = list(self._plans) if tier == _ANY_TIER else [tier, STANDARD]
        plans = {id(plan): plan for name in taken for plan in self._plans.get(name, ())}.values()
        inputs = _INPUTS + (_AUDIO_INPUTS if audio else ()) + (_IMAGE_INPUTS if images else ())
        outputs = _OUTPUTS + (_AUDIO_OUTPUTS if audio else ()) + (_IMAGE_OUTPUTS if images else ())
        bounds = []
        for above in sorted({plan.above for plan in plans} | {0}, reverse=True):
            # Never cheaper than a lower threshold's: fewer tokens may come than were announced.
            within = [plan for plan in plans if plan.above <= above]
            bounds.append(
                _Bound(
                    above=above or -1,
                    input=_most(plan.dearest(inputs, _AUDIO_INPUTS + _IMAGE_INPUTS) for plan in within),
                    output=_most(plan.dearest(outputs, _AUDIO_OUTPUTS + _IMAGE_OUTPUTS) for plan in within),
                    token_priced=any(plan.token_priced for plan in within),
                    measures=tuple(_most(plan.rates[measure] for plan in within) for measure in MEASURES),
                    per_request=max(plan.per_request for plan in within),
                )
            )
        return tuple(bounds)


class _Bound(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rates up to one threshold and above it."""

    above: int
    input: int | None
    output: int | None
    token_priced: bool
    measures: tuple[int | None, ...]  # in the order of MEASURES
    per_request: int

    def most(self, input_tokens: int, output_tokens: int, counts: tuple[int, ...]) -> int | None:
        total = self.per_request
        measured = False
        unpriced = False
        if counts != (0, 0, 0, 0):
            for count, rate in zip(counts, self.measures, strict=True):
                if count and rate is not None:
                    total += count * rate
                    measured = True
                elif count:
                    unpriced = True
            if counts[_SEARCHES] and self.measures[_SEARCHES] is None:
                return None  # paid beside the tokens, so these do not cover it
        if self.token_priced:
            if input_tokens:
                if self.input is None:
                    return None
                total += input_tokens * self.input
            if output_tokens:
                if self.output is None:
                    return None
                total += output_tokens * self.output
        elif not measured and (input_tokens or output_tokens or unpriced) and not self.per_request:
            return None
        return total


def _most(rates: Iterable[int | None]) -> int | None:
    return max((rate for rate in rates if rate is not None), default=None)


def _cost(plans: tuple[_Plan, ...], usage: Usage) -> Cost:
    # One branch per bucket instead of a loop: most calls use two of them, and this runs for every call.
    fresh = usage.input
    read = usage.cache_read
    write_5m = usage.cache_write_5m
    write_1h = usage.cache_write_1h
    heard = usage.audio_input
    heard_read = usage.audio_cache_read
    seen = usage.image_input
    seen_read = usage.image_cache_read
    out = usage.output
    reasoning = usage.reasoning
    spoken = usage.audio_output
    drawn = usage.image_output

    plan = plans[-1]
    if len(plans) > 1:
        total = (fresh or 0) + (read or 0) + (write_5m or 0) + (write_1h or 0)
        total += (heard or 0) + (heard_read or 0) + (seen or 0) + (seen_read or 0)
        for plan in plans:
            if total > plan.above:
                break

    pico = plan.per_request
    missing = ""
    if fresh:
        if (rate := plan.input) is None:
            missing = "input"
        else:
            pico += fresh * rate
    if read:
        if (rate := plan.cache_read) is None:
            missing = missing or "cache_read"
        else:
            pico += read * rate
    if write_5m:
        if (rate := plan.cache_write_5m) is None:
            missing = missing or "cache_write_5m"
        else:
            pico += write_5m * rate
    if write_1h:
        if (rate := plan.cache_write_1h) is None:
            missing = missing or "cache_write_1h"
        else:
            pico += write_1h * rate
    if reasoning and (out is None or reasoning > out):
        out = reasoning  # a provider that counts it beside `output` must not make it free
    if out:
        apart = plan.reasoning if reasoning else None
        if apart is not None and reasoning:
            pico += reasoning * apart
            out -= reasoning
        if out:
            if (rate := plan.output) is None:
                missing = missing or "output"
            else:
                pico += out * rate
    if heard:
        if (rate := plan.audio_input) is None:
            missing = missing or "audio_input"
        else:
            pico += heard * rate
    if heard_read:
        if (rate := plan.audio_cache_read) is None:
            missing = missing or "audio_cache_read"
        else:
            pico += heard_read * rate
    if spoken:
        if (rate := plan.audio_output) is None:
            missing = missing or "audio_output"
        else:
            pico += spoken * rate
    if seen:
        if (rate := plan.image_input) is None:
            missing = missing or "image_input"
        else:
            pico += seen * rate
    if seen_read:
        if (rate := plan.image_cache_read) is None:
            missing = missing or "image_cache_read"
        else:
            pico += seen_read * rate
    if drawn:
        if (rate := plan.image_output) is None:
            missing = missing or "image_output"
        else:
            pico += drawn * rate
    if usage.images or usage.seconds or usage.characters or usage.searches:
        pico, missing = _measured(plan, usage, pico, missing)
    elif missing and plan.per_request and not plan.token_priced:
        missing = ""  # billed by the request alone
    if missing:
        return Cost(pico, _ids(plan, usage), missing) if pico else Cost(None, (), missing)
    return Cost(pico, plan.sole or _ids(plan, usage))


def _measured(plan: _Plan, usage: Usage, pico: int, missing: str) -> tuple[int, str]:
    """The amount with what is billed by other measures than tokens, and the bucket without a price.

    A model is billed in tokens or by another measure, and providers may report both: what the model has no price for is left
    out if the other count, of the very same thing, is paid.
    """
    paid = bool(plan.per_request)
    unpaid = ""
    for bucket in MEASURES:
        count = getattr(usage, bucket)
        if not count:
            continue
        rate = plan.rates[bucket]
        if rate is not None:
            pico += count * rate
            paid = True
        elif bucket == "searches" or not _told_in_tokens(plan, usage, bucket):
            unpaid = unpaid or bucket
    if plan.token_priced:
        return pico, missing or unpaid
    return pico, (missing or unpaid) if not paid else ("searches" if unpaid == "searches" else "")


def _told_in_tokens(plan: _Plan, usage: Usage, measure: str) -> bool:
    """Whether the thing that `measure` counts is also counted in tokens of a kind that the model is billed in."""
    if not plan.token_priced:
        return False
    if measure == "images":
        return bool(usage.image_output or usage.output)
    if measure == "characters":
        return bool(usage.audio_output or usage.output)
    return bool(usage.audio_input or usage.audio_output or (usage.input and usage.output))


def _ids(plan: _Plan, usage: Usage) -> tuple[str, ...]:
    """The rows that the amount came from; the last resort of the plan if nothing was used."""
    used = {plan.rows[bucket] for bucket in _BUCKETS if getattr(usage, bucket) and bucket in plan.rows}
    if "per_request" in plan.rows:
        used.add(plan.rows["per_request"])
    if usage.reasoning and not usage.output and "output" in plan.rows:
        used.add(plan.rows["output"])
    return tuple(row for row in plan.ids if row in used) or plan.ids[:1]
