"""What gateways have found out about credentials, written where operators see it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.audit.actions import event_of_change, facts
from apps.core.actor import Actor
from apps.providers.models import Credential

_FIELDS = ("refused_at", "refused_status", "refused_model")
_OF_ONE_MODEL = 403  # which may be the model's own; other refusals concern the account


@transaction.atomic
def credential_refused(
    *, credential_id: UUID, status: int, model: str, at: datetime, actor: Actor
) -> Credential | None:
    """Note that its provider refused a credential, with this status, when it was asked for `model` (the provider's own name).

    Returns the credential, locked, if that is news: not if it is noted already, was changed since, or is gone.
    """
    locked = _locked(credential_id)
    if locked is None or locked.refused_at is not None or at < locked.updated_at:
        return None
    before = facts(locked)
    locked.refused_at, locked.refused_status = at, status
    locked.refused_model = model[:255] if status == _OF_ONE_MODEL else ""
    _save(locked, "credential.refused", before, actor)
    return locked


@transaction.atomic
def credential_accepted(*, credential_id: UUID, model: str, at: datetime, actor: Actor) -> bool:
    """Note that its provider answered a call for `model` with it. False if it was not known to be refused, or for another model."""
    locked = _locked(credential_id)
    if locked is None or locked.refused_at is None or at < locked.refused_at:
        return False
    if locked.refused_model not in {"", model}:
        return False
    before = facts(locked)
    locked.refused_at = locked.refused_status = None
    locked.refused_model = ""
    _save(locked, "credential.accepted", before, actor)
    return True


def _locked(credential_id: UUID) -> Credential | None:
    rows = Credential.objects.select_for_update(of=("self",)).select_related("organization")
    return rows.filter(pk=credential_id).first()


def _save(credential: Credential, action: str, before: dict[str, object], actor: Actor) -> None:
    # Not `updated_at`: nothing was changed of it, and what gateways know of it goes on to hold.
    credential.save(update_fields=_FIELDS)
    event_of_change(action, actor=actor, target=credential, organization_id=credential.organization_id, before=before)
