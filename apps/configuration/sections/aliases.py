"""Names that stand for models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.configuration.document import Node
from apps.configuration.fields import (
    Field,
    Reference,
    items,
    one_of,
    read_fields,
    reference_or_none,
    switch,
    text,
    whole,
    write_fields,
    written_reference,
)
from apps.configuration.section import Found, Owner, Section, Values, credential_of, referred
from apps.core.actor import Actor
from apps.providers.aliases.actions import AliasGoal, alias_add, alias_remove, alias_update
from apps.providers.aliases.models import Alias, Strategy
from apps.providers.aliases.selectors import all_aliases

_TARGET = (
    Field(name="model", read=text, required=True),
    Field(name="tier", read=whole),
    Field(name="weight", read=whole, default=1),
    Field(name="credential", read=reference_or_none, write=written_reference),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A model that an alias leads to."""

    model: str
    tier: int
    weight: int = 1
    credential: Reference | None = None

    def __str__(self) -> str:
        weight = f" weight {self.weight}" if self.weight != 1 else ""
        return f"{self.model} (tier {self.tier}{weight}{f' by {self.credential}' if self.credential else ''})"


def _targets(node: Node) -> list[dict[str, Any]]:
    """Each a model's name, or a mapping. Which tier is meant where none is said depends on the strategy."""
    return [
        {"model": text(item), "tier": None, "weight": 1, "credential": None}
        if not isinstance(item.value, dict)
        else read_fields(item, _TARGET)
        for item in items(node)
    ]


class Aliases(Section):
    """Aliases by name."""

    name = "aliases"
    noun = "alias"
    identity = ("name",)
    hosted = True
    fields = (
        Field(name="name", read=text, required=True),
        Field(name="strategy", read=one_of(Strategy.values), default=str(Strategy.ORDERED)),
        Field(name="targets", read=_targets, required=True),
        Field(name="disabled", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """The name."""
        return f"alias {values['name']}"

    def rows(self, owner: Owner) -> list[Found]:
        """By name."""
        return [self.found(_values(row, owner), row) for row in all_aliases().filter(organization=owner)]

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Targets with their tiers, the lowest first."""
        tiers = _usual_tiers(values)
        targets = [
            Target(**{**target, "tier": usual if target["tier"] is None else target["tier"]})
            for target, usual in zip(values["targets"], tiers, strict=True)
        ]
        return {**values, "targets": sorted(targets, key=lambda target: target.tier)}

    def write(self, rows: Sequence[Found]) -> Any:
        """Targets by their bare names where nothing is special about them."""
        return [
            write_fields({**found.values, "targets": _written_targets(found.values)}, self.fields) for found in rows
        ]

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Let the name stand for its targets."""
        row = alias_add(
            organization=owner,
            name=values["name"],
            strategy=values["strategy"],
            targets=_goals(owner, values),
            actor=actor,
        )
        if values["disabled"]:
            alias_update(alias=row, enabled=False, actor=actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change what it stands for."""
        alias_update(
            alias=found.row,
            strategy=values["strategy"],
            enabled=not values["disabled"],
            targets=_goals(owner, values),
            actor=actor,
        )
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Forget it."""
        del owner
        alias_remove(alias=found.row, actor=actor)
        return True


def _values(row: Alias, owner: Owner) -> dict[str, Any]:
    return {
        "name": row.name,
        "strategy": row.strategy,
        "targets": [
            Target(target.model, target.tier, target.weight, referred(target.credential, owner))
            for target in row.targets.all()
        ],
        "disabled": not row.enabled,
    }


def _goals(owner: Owner, values: Values) -> list[AliasGoal]:
    return [
        AliasGoal(
            model=target.model,
            tier=target.tier,
            weight=target.weight,
            credential=credential_of(target.credential, owner, "targets"),
        )
        for target in values["targets"]
    ]


def _usual_tiers(values: Values) -> list[int]:
    """The tiers of targets that do not say: one after the other if they are ordered, else all the first."""
    count = len(values["targets"])
    return list(range(1, count + 1)) if values["strategy"] == Strategy.ORDERED else [1] * count


def _written_targets(values: Values) -> list[Any]:
    found: list[Any] = []
    for target, usual in zip(values["targets"], _usual_tiers(values), strict=True):
        special = write_fields(
            {
                "model": target.model,
                "tier": None if target.tier == usual else target.tier,
                "weight": target.weight,
                "credential": target.credential,
            },
            _TARGET,
        )
        found.append(special if len(special) > 1 else target.model)
    return found
