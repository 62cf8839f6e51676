"""Models that the owner lists beside the catalogue, and what it changed of the catalogue's."""

from collections.abc import Sequence
from typing import Any

from apps.configuration.fields import (
    Field,
    one_of,
    reference_or_none,
    switch,
    text,
    text_or_none,
    written_reference,
)
from apps.configuration.section import Found, Owner, Section, Values, credential_of, referred
from apps.core.actor import Actor
from apps.providers.actions import model_add, model_remove, model_update
from apps.providers.catalogue import listed_kind
from apps.providers.models import ModelKind, Provider, ProviderModel


class Models(Section):
    """Models by name, provider and the one credential that serves them."""

    name = "models"
    noun = "model"
    identity = ("name", "provider", "credential")
    hosted = True
    fields = (
        Field(name="name", read=text, required=True),
        Field(name="provider", read=one_of(Provider.values), required=True),
        Field(name="credential", read=reference_or_none, write=written_reference),
        Field(name="kind", read=one_of(ModelKind.values), default=str(ModelKind.CHAT)),
        Field(name="upstream_name", read=text_or_none, default=""),
        Field(name="priced_as", read=text_or_none, default=""),
        Field(name="disabled", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """The name, and whose model it is."""
        served = f" by {values['credential']}" if values["credential"] is not None else ""
        return f"model {values['provider']}/{values['name']}{served}"

    def rows(self, owner: Owner) -> list[Found]:
        """By name."""
        found = ProviderModel.objects.filter(organization=owner).select_related("credential")
        return [
            self.found(values, row, shipped=_is_shipped(owner, values))
            for row in found.order_by("name", "provider", "credential__label", "credential__organization")
            for values in [_values(row, owner)]
        ]

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """List it."""
        row = model_add(
            organization=owner,
            provider=values["provider"],
            name=values["name"],
            credential=credential_of(values["credential"], owner, "credential"),
            kind=values["kind"],
            upstream_name=values["upstream_name"],
            priced_as=values["priced_as"],
            actor=actor,
        )
        if values["disabled"]:
            model_update(model=row, enabled=False, actor=actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change how it is offered."""
        del owner
        self._update(found, values, actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Take it off the list; one of the catalogue is as it shipped again."""
        kind = _catalogued(owner, found.values)
        if kind is None:
            model_remove(model=found.row, actor=actor)
        else:
            shipped = {field.name: field.default for field in self.fields if not field.required}
            self._update(found, {**found.values, **shipped, "kind": kind}, actor)
        return True

    def _update(self, found: Found, values: Values, actor: Actor) -> None:
        model_update(
            model=found.row,
            kind=values["kind"],
            upstream_name=values["upstream_name"],
            priced_as=values["priced_as"],
            enabled=not values["disabled"],
            actor=actor,
        )


def _values(row: ProviderModel, owner: Owner) -> dict[str, Any]:
    return {
        "name": row.name,
        "provider": row.provider,
        "credential": referred(row.credential, owner),
        "kind": row.kind,
        "upstream_name": row.upstream_name,
        "priced_as": row.priced_as,
        "disabled": not row.enabled,
    }


def _catalogued(owner: Owner, values: Values) -> str | None:
    """What the catalogue knows a row of the installation to be; None: it is not the catalogue's."""
    if owner is not None or values["credential"] is not None:
        return None
    return listed_kind(values["provider"], values["name"])


def _is_shipped(owner: Owner, values: Values) -> bool:
    kind = _catalogued(owner, values)
    changed = values["upstream_name"] or values["priced_as"] or values["disabled"] or values["kind"] != kind
    return kind is not None and not changed
