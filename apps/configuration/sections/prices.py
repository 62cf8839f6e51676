"""Prices of the owner's own, beside those that ship with a release."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from django.utils.timezone import now

from apps.configuration.document import Node, Problem
from apps.configuration.fields import Field, amount_or_none, moment, one_of, text, text_or_none, whole, written_moment
from apps.configuration.section import Found, Owner, Section, Stated, Values
from apps.core.actor import Actor
from apps.providers.prices.actions import price_set, price_withdraw
from apps.providers.prices.kinds import KINDS, STANDARD, TIERS
from apps.providers.prices.models import Price
from apps.providers.prices.selectors import prices_of

_PLACE = ("provider", "model", "tier", "above_input_tokens")


class Prices(Section):
    """Prices by model, tier, threshold and time. Without a time, what holds now: a new price then begins when it is applied."""

    name = "prices"
    noun = "price"
    identity = (*_PLACE, "effective_from")
    hosted = True
    fields = (
        Field(name="provider", read=text, required=True),
        Field(name="model", read=text, required=True),
        Field(name="tier", read=one_of(TIERS, none=True), default=STANDARD),
        Field(name="above_input_tokens", read=whole, default=0),
        Field(name="effective_from", read=moment, write=written_moment),
        *(Field(name=kind, read=amount_or_none) for kind in KINDS),
        Field(name="source", read=text_or_none, default=""),
        Field(name="note", read=text_or_none, default=""),
    )

    def label(self, values: Values) -> str:
        """The model, and what is special about the price."""
        special = f" {values['tier']}" if values["tier"] else ""
        above = f" above {values['above_input_tokens']} tokens" if values["above_input_tokens"] else ""
        since = f" from {written_moment(values['effective_from'])}" if values["effective_from"] else ""
        return f"price {values['provider']}/{values['model']}{special}{above}{since}"

    def rows(self, owner: Owner) -> list[Found]:
        """By model and time, the standard price before what depends on it."""
        return [
            self.found(values, row, shipped=row.shipped)
            for row in prices_of(owner).order_by(*_PLACE, "effective_from")
            for values in [{field.name: getattr(row, field.name) for field in self.fields}]
        ]

    def contradictions(self, values: Values, node: Node) -> list[Problem]:
        """A row without a price says nothing."""
        if all(values[kind] is None for kind in KINDS):
            return [node.problem("no price at all: leave the entry out, or write 0 for what is free")]
        return []

    def disagreements(self, entries: Sequence[Stated]) -> list[Problem]:
        """A price without a time, and others of the same with one, contradict each other as time goes by."""
        dated = {_place(stated.values) for stated in entries if stated.values["effective_from"] is not None}
        return [
            stated.node.problem("this model has prices with a time in the file: give this one a time as well")
            for stated in entries
            if stated.values["effective_from"] is None and _place(stated.values) in dated
        ]

    def find(self, stated: Stated, rows: Mapping[Hashable, Found]) -> Found | None:
        """The row of the very same time, or of no time the one in force."""
        if stated.values["effective_from"] is not None:
            return rows.get(stated.key)
        place, at = _place(stated.values), now()
        past = [
            found for found in rows.values() if _place(found.values) == place and found.values["effective_from"] <= at
        ]
        return max(past, key=lambda found: found.values["effective_from"], default=None)

    def is_same(self, found: Found, stated: Stated) -> bool:
        """Whether it costs that, and from then on if a time is stated."""
        since = stated.values["effective_from"] or found.values["effective_from"]
        return bool(found.values == {**stated.values, "effective_from": since})

    def listed(self, rows: Sequence[Found], entries: Sequence[Stated]) -> set[Hashable]:
        """Those of a stated time; of what is stated without one, all: the past stays as it was."""
        undated = {_place(stated.values) for stated in entries if stated.values["effective_from"] is None}
        return {stated.key for stated in entries} | {found.key for found in rows if _place(found.values) in undated}

    def order(self, entries: Sequence[Stated]) -> Sequence[Stated]:
        """Standard prices first, as tiers and thresholds need them."""
        return sorted(entries, key=lambda stated: bool(stated.values["tier"] or stated.values["above_input_tokens"]))

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Set the price."""
        self._set(owner, values, actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Set it instead of the row of the same time, or from now on."""
        del found
        self._set(owner, values, actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Withdraw it."""
        del owner
        return price_withdraw(price=found.row, actor=actor)

    def _set(self, owner: Owner, values: Values, actor: Actor) -> Price:
        return price_set(
            organization=owner,
            provider=values["provider"],
            model=values["model"],
            tier=values["tier"],
            above_input_tokens=values["above_input_tokens"],
            effective_from=values["effective_from"] or now(),
            prices={kind: values[kind] for kind in KINDS if values[kind] is not None},
            source=values["source"],
            note=values["note"],
            replace=True,
            actor=actor,
        )


def _place(values: Values) -> tuple[Any, ...]:
    return tuple(values[name] for name in _PLACE)
