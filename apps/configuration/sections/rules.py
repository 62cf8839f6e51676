"""The own rules of one place: an organization's, or the installation's. And what all rules share."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.configuration.document import Node
from apps.configuration.fields import (
    Field,
    read_fields,
    reference_or_none,
    switch_or_none,
    text_or_none,
    texts,
    whole_or_none,
    write_fields,
    written_reference,
)
from apps.configuration.section import Found, Owner, Section, Values, credential_of, referred
from apps.core.actor import Actor
from apps.policies.actions.policies import inline_set
from apps.policies.effective import LIST_NAMES, RULE_FIELDS
from apps.policies.models import NUMBER_FIELDS, SWITCH_FIELDS, Layer, Policy
from apps.policies.selectors.policies import inline_policy


def _field(name: str) -> Field:
    if name in LIST_NAMES:
        return Field(name=name, read=texts, default=[])
    if name in NUMBER_FIELDS:
        return Field(name=name, read=whole_or_none)
    if name in SWITCH_FIELDS:
        return Field(name=name, read=switch_or_none)
    if name == "pinned_credential":
        return Field(name=name, read=reference_or_none, write=written_reference)
    return Field(name=name, read=text_or_none, default="")


RULES = tuple(_field(name) for name in RULE_FIELDS)


def read_rules(node: Node) -> dict[str, Any]:
    """Those that are set."""
    values = read_fields(node, RULES)
    return {rule.name: values[rule.name] for rule in RULES if values[rule.name] != rule.default}


def write_rules(values: Values) -> dict[str, Any]:
    """What `read_rules` reads as these."""
    return write_fields(all_rules(values), RULES)


def all_rules(values: Values) -> dict[str, Any]:
    """Each rule, those that are not set as well."""
    return {rule.name: values.get(rule.name, rule.default) for rule in RULES}


def rules_of(policy: Policy | None, owner: Owner) -> dict[str, Any]:
    """The rules of a policy that are set."""
    if policy is None:
        return {}
    found = {rule.name: getattr(policy, rule.name) for rule in RULES}
    found["pinned_credential"] = referred(policy.pinned_credential, owner)
    return {rule.name: found[rule.name] for rule in RULES if found[rule.name] != rule.default}


def rules_for_actions(values: Values, owner: Owner) -> dict[str, Any]:
    """As policies' actions take them. Raises ValidationError for a credential that there is not."""
    found = all_rules(values)
    found["pinned_credential"] = credential_of(found["pinned_credential"], owner, "pinned_credential")
    return found


class Rules(Section):
    """What holds for a whole organization, or for all of them, beside the policy that is attached there."""

    name = "rules"
    noun = "own rules"
    identity = ()
    hosted = True
    fields = RULES

    def nodes(self, node: Node) -> list[Node]:
        """There is one entry: the mapping itself."""
        return [node]

    def write(self, rows: Sequence[Found]) -> Any:
        """The mapping itself."""
        return write_rules(rows[0].values) if rows else {}

    def label(self, values: Values) -> str:
        """There is one."""
        del values
        return self.noun

    def rows(self, owner: Owner) -> list[Found]:
        """The one, where anything is set."""
        row = inline_policy(_layer(owner), organization=owner)
        return [] if row is None else [self.found(all_rules(rules_of(row, owner)), row)]

    def is_nothing(self, values: Values) -> bool:
        """Whether no rule is set, which is the same as none at all."""
        return all(values[rule.name] == rule.default for rule in RULES)

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Set them."""
        self._set(owner, values, actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Set them."""
        del found
        self._set(owner, values, actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Unset all of them."""
        del found
        self._set(owner, {}, actor)
        return True

    def _set(self, owner: Owner, values: Mapping[str, Any], actor: Actor) -> None:
        inline_set(layer=_layer(owner), organization=owner, fields=rules_for_actions(values, owner), actor=actor)


def _layer(owner: Owner) -> str:
    return Layer.INSTALLATION if owner is None else Layer.ORGANIZATION
