"""Every write to aliases: the rule, the transaction, the admin event."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.actions import differences, event_record, facts
from apps.core.actor import Actor
from apps.core.ids import uuid7
from apps.core.rows import one_sentence, save_valid
from apps.orgs.models import Organization
from apps.providers.aliases.models import Alias, AliasTarget, Strategy
from apps.providers.aliases.names import STAR, spelled
from apps.providers.aliases.selectors import alias_named, target_text
from apps.providers.models import Credential

TARGETS_MOST = 50
_CHANGES = frozenset({"name", "strategy", "enabled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasGoal:
    """A target as an operator gives it. The lowest tier is asked first; `weight` is its share of its tier."""

    model: str
    credential: Credential | None = None
    tier: int = 1
    weight: int = 1


@transaction.atomic
def alias_add(
    *,
    organization: Organization | None,
    name: str,
    targets: Sequence[AliasGoal],
    actor: Actor,
    strategy: str = Strategy.ORDERED,
) -> Alias:
    """Let `name` stand for `targets`, for one organization or for all (None). Raises ValidationError."""
    alias = Alias(organization=organization, name=name.strip(), strategy=strategy)
    save_valid(alias)
    _replace_targets(alias, targets)
    event_record(
        "alias.added", actor=actor, target=alias, organization_id=alias.organization_id, after=_alias_facts(alias)
    )
    return alias


@transaction.atomic
def alias_update(*, alias: Alias, actor: Actor, targets: Sequence[AliasGoal] | None = None, **changes: Any) -> Alias:
    """Change `name`, `strategy` or `enabled`; `targets`, if given, take the place of the old ones.

    Raises ValidationError; TypeError for anything else.
    """
    if unknown := changes.keys() - _CHANGES:
        raise TypeError(f"cannot change {', '.join(sorted(unknown))}")
    locked = Alias.objects.select_for_update().get(pk=alias.pk)
    before = _alias_facts(locked)
    for field, value in changes.items():
        setattr(locked, field, value.strip() if field == "name" else value)
    save_valid(locked)
    goals = targets if targets is not None else [_goal(row) for row in _targets(locked)]
    if targets is not None or "name" in changes:  # a star may have gone from the name
        _replace_targets(locked, goals)
    old, new = differences(before, _alias_facts(locked))
    if new:
        event_record(
            "alias.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=old, after=new
        )
    return locked


def alias_set(
    *,
    organization: Organization | None,
    name: str,
    targets: Sequence[AliasGoal],
    actor: Actor,
    strategy: str = Strategy.ORDERED,
) -> tuple[Alias, bool]:
    """The alias of this name, with exactly these targets and enabled, and whether it is new. Raises ValidationError."""
    known = alias_named(organization, name)
    if known is None:
        made = alias_add(organization=organization, name=name, targets=targets, strategy=strategy, actor=actor)
        return made, True
    return alias_update(alias=known, targets=targets, strategy=strategy, enabled=True, actor=actor), False


@transaction.atomic
def alias_remove(*, alias: Alias, actor: Actor) -> None:
    """Forget it: its name means again what it meant without it."""
    locked = Alias.objects.select_for_update().get(pk=alias.pk)
    event_record(
        "alias.removed",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=_alias_facts(locked),
    )
    locked.delete()


def _replace_targets(alias: Alias, goals: Sequence[AliasGoal]) -> None:
    if not goals:
        raise ValidationError({"targets": _("Name at least one model that it stands for.")})
    if len(goals) > TARGETS_MOST:
        raise ValidationError({"targets": _("At most %(most)d targets.") % {"most": TARGETS_MOST}})
    for goal in goals:
        _check(alias, goal)
    old = _targets(alias)
    if [_goal(row) for row in old] == sorted(goals, key=lambda goal: goal.tier):
        return
    for row in old:
        row.delete()
    begun = time.time_ns() // 1_000_000
    for place, goal in enumerate(goals):
        # Ids sort by their milliseconds, and targets of one tier by their ids: a millisecond for each keeps them in this order.
        _save_target(alias, goal, uuid7(begun + place))


def _check(alias: Alias, goal: AliasGoal) -> None:
    """Raises ValidationError for what cannot be a target of this alias."""
    model, credential = goal.model.strip(), goal.credential
    words: dict[str, Any] = {"model": model, "credential": credential, "alias": alias}
    if STAR in model and STAR not in alias.name:
        raise _at_targets(_("%(model)s: the * stands for nothing, as %(alias)s has none.") % words)
    if credential is not None:
        if credential.organization_id not in (None, alias.organization_id):
            raise _at_targets(_("%(model)s: %(credential)s belongs to one organization, the alias to others.") % words)
        if spelled(model)[0] not in ("", credential.provider):
            raise _at_targets(_("%(model)s: %(credential)s belongs to another provider.") % words)


def _save_target(alias: Alias, goal: AliasGoal, key: UUID) -> None:
    target = AliasTarget(
        id=key,
        organization_id=alias.organization_id,
        alias=alias,
        model=goal.model.strip(),
        credential=goal.credential,
        tier=goal.tier,
        weight=goal.weight,
    )
    try:
        save_valid(target)
    except ValidationError as refusal:
        raise _at_targets(f"{target.model}: {one_sentence(refusal)}") from refusal


def _at_targets(sentence: str) -> ValidationError:
    return ValidationError({"targets": sentence})


def _targets(alias: Alias) -> list[AliasTarget]:
    return list(AliasTarget.objects.filter(alias=alias).select_related("credential"))


def _goal(row: AliasTarget) -> AliasGoal:
    return AliasGoal(model=row.model, credential=row.credential, tier=row.tier, weight=row.weight)


def _alias_facts(alias: Alias) -> Mapping[str, Any]:
    """The row's columns, and its targets in words."""
    return {**facts(alias), "targets": [target_text(row) for row in _targets(alias)]}
