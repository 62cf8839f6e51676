"""Finishing a rotation of SEALING_KEYS: every sealed secret, whichever table it is in."""

from django.apps import apps
from django.conf import settings
from django.db import models, transaction

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.core.sealing import SealingError
from apps.orgs.people.factors import factors_reseal


def sealed_models() -> list[type[models.Model]]:
    """Every model whose rows hold a secret: a column `sealed_secret`, and `secret_place`, which says what it is sealed for."""
    return [model for model in apps.get_models() if hasattr(model, "secret_place")]


@transaction.atomic
def secrets_reseal(*, actor: Actor) -> tuple[int, list[models.Model]]:
    """Seal with the first of SEALING_KEYS what another key sealed. Returns how many, and the rows whose secret does not open."""
    resealed, closed = 0, []
    for model in sealed_models():
        for row in model._default_manager.select_for_update().exclude(sealed_secret=None).order_by("pk"):
            try:
                resealed += _reseal(row, actor)
            except SealingError:
                closed.append(row)
    return resealed + factors_reseal(actor=actor), closed


def _reseal(row: "models.Model", actor: Actor) -> bool:
    """False if the first key sealed it already. Raises SealingError."""
    keyring = settings.SEALING_KEYS
    sealed, place = bytes(getattr(row, "sealed_secret")), getattr(row, "secret_place")()  # noqa: B009 - any model's
    if keyring.key_id_of(sealed) == keyring.sealing_key_id:
        return False
    setattr(row, "sealed_secret", keyring.seal(keyring.open(sealed, place), place))  # noqa: B010 - any model's
    row.save(update_fields=["sealed_secret"])
    event_record(
        f"{row._meta.model_name}.resealed",
        actor=actor,
        target=row,
        organization_id=getattr(row, "organization_id", None),
        after={"sealing_key": keyring.sealing_key_id},
    )
    return True
