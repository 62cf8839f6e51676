"""Policies by name, and where they hold."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from apps.configuration.document import Node, Problem
from apps.configuration.fields import Field, Wrong, items, text
from apps.configuration.section import Found, Owner, Section, Stated, Values, missing
from apps.configuration.sections.rules import RULES, all_rules, rules_for_actions, rules_of
from apps.core.actor import Actor
from apps.policies.actions.policies import policy_attach, policy_create, policy_delete, policy_detach, policy_update
from apps.policies.models import Attachment, Layer, Policy
from apps.services.selectors import service_by_name

_WHOLE = {str(Layer.ORGANIZATION), str(Layer.INSTALLATION)}


def _places(node: Node) -> list[tuple[str, str]]:
    """Layer and name of each place, in one order."""
    return sorted({_place(item) for item in items(node)})


def _place(node: Node) -> tuple[str, str]:
    if isinstance(node.value, str) and node.value in _WHOLE:
        return node.value, ""
    if isinstance(node.value, dict) and set(node.value) == {"service"}:
        return str(Layer.SERVICE), text(node.value["service"])
    raise Wrong(node, "write organization, {service: name}, or for one of the installation's: installation")


def _written_places(places: Sequence[tuple[str, str]]) -> list[Any]:
    return [{layer: name} if name else layer for layer, name in places]


class Policies(Section):
    """Policies. What holds for one token alone is neither exported nor touched, as tokens are not in the file."""

    name = "policies"
    noun = "policy"
    identity = ("name",)
    hosted = True
    fields = (
        Field(name="name", read=text, required=True),
        *RULES,
        Field(name="attached_to", read=_places, default=[], write=_written_places),
    )

    def key(self, values: Values) -> Hashable:
        """The name, whatever its case."""
        return str(values["name"]).casefold()

    def label(self, values: Values) -> str:
        """The name."""
        return f"policy {values['name']}"

    def rows(self, owner: Owner) -> list[Found]:
        """By name, with their places."""
        places: dict[Any, list[tuple[str, str]]] = {}
        attached = Attachment.objects.filter(organization=owner, inline=False).exclude(layer=Layer.TOKEN)
        for each in attached.select_related("service"):
            name = "" if each.service is None else each.service.name
            places.setdefault(each.policy_id, []).append((each.layer, name))
        rows = Policy.objects.filter(organization=owner).exclude(name="").select_related("pinned_credential")
        return [
            self.found(
                {"name": row.name, **all_rules(rules_of(row, owner)), "attached_to": sorted(places.get(row.pk, []))},
                row,
            )
            for row in rows.order_by("name")
        ]

    def disagreements(self, entries: Sequence[Stated]) -> list[Problem]:
        """At one place one policy holds."""
        taken: dict[tuple[str, str], str] = {}
        problems = []
        for stated in entries:
            for place in stated.values["attached_to"]:
                first = taken.setdefault(place, stated.values["name"])
                if first != stated.values["name"]:
                    where = " ".join(part for part in place if part)
                    problems.append(
                        stated.node.at("attached_to").problem(
                            f"at {where} policy {first} holds: one place has one policy"
                        )
                    )
        return problems

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Create it, and let it hold."""
        row = policy_create(
            organization=owner, name=values["name"], fields=rules_for_actions(values, owner), actor=actor
        )
        return self._attach(owner, row, values["attached_to"], actor)

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change what it says, and where it holds."""
        fields = {"name": values["name"], **rules_for_actions(values, owner)}
        row = policy_update(policy=found.row, fields=fields, actor=actor)
        for place in found.values["attached_to"]:
            if place not in values["attached_to"]:
                policy_detach(policy=row, actor=actor, **_where(owner, place))
        return self._attach(owner, row, values["attached_to"], actor)

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Detach and forget it."""
        for place in found.values["attached_to"]:
            policy_detach(policy=found.row, actor=actor, **_where(owner, place))
        policy_delete(policy=found.row, actor=actor)
        return True

    def _attach(self, owner: Owner, row: Policy, places: Sequence[tuple[str, str]], actor: Actor) -> Sequence[str]:
        notes = []
        for place in places:
            former = policy_attach(policy=row, actor=actor, **_where(owner, place))
            if former is not None:
                notes.append(
                    f"at {' '.join(part for part in place if part)} it takes the place of policy {former.name}"
                )
        return notes


def _where(owner: Owner, place: tuple[str, str]) -> Mapping[str, Any]:
    """A place as policies' actions take it. Raises ValidationError for a service that there is not."""
    layer, name = place
    if owner is None and layer != Layer.INSTALLATION:
        raise ValidationError({"attached_to": "a policy of the installation holds for all: write installation"})
    if owner is not None and layer == Layer.INSTALLATION:
        raise ValidationError({"attached_to": f"a policy of {owner} holds there: write organization or a service"})
    if layer != Layer.SERVICE or owner is None:
        return {"layer": layer, "organization": owner}
    service = service_by_name(owner, name)
    if service is None:
        raise ValidationError({"attached_to": missing("service", name, owner)})
    return {"layer": layer, "service": service}
