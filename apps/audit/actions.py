"""The door to the admin events: called by every action, in that action's transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils.translation import override

from apps.audit.models import AdminEvent
from apps.core.actor import Actor

# What never reaches an event, whatever a caller passes: secrets, their digests, and what only the machine reads.
_WITHHELD = frozenset(
    {"password", "sealed_secret", "digest", "previous_digest", "secret", "last_login", "last_used_at", "updated_at"}
)


def event_record(
    action: str,
    *,
    actor: Actor,
    target: models.Model,
    organization_id: UUID | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AdminEvent:
    """Note that `actor` did `action` (noun.verb, past tense) to `target`. Call it in the change's transaction."""
    with override(settings.LANGUAGE_CODE):  # events are kept for everybody, whoever made them
        return AdminEvent.objects.create(
            action=action,
            organization_id=organization_id,
            actor_id=actor.user_id,
            actor_label=actor.label,
            door=actor.door,
            address=actor.address,
            target_type=target._meta.label_lower,
            target_id=target.pk,
            target_label=str(target)[:300],
            before=None if before is None else _plain(before),
            after=None if after is None else _plain(after),
        )


def event_of_change(
    action: str,
    *,
    actor: Actor,
    target: models.Model,
    organization_id: UUID | None,
    before: Mapping[str, Any],
    besides: Mapping[str, Any] | None = None,
) -> bool:
    """Note what changed of `target` since `before`, its `facts` of then. False, and no event, if nothing did.

    `besides`: what is noted as well, though no column that may be shown says it, such as that a secret was replaced.
    """
    old, new = differences(before, facts(target))
    if besides:
        new.update(besides)
    if not new:
        return False
    event_record(action, actor=actor, target=target, organization_id=organization_id, before=old, after=new)
    return True


def facts(row: models.Model) -> dict[str, Any]:
    """A row's columns for `before` and `after`, without anything secret."""
    return {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.name not in _WITHHELD
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what changed, of both."""
    changed = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)
        for name, value in values.items()
        if name not in _WITHHELD
    }
