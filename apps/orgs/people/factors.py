"""Second factors, as operators handle them, and their secrets when sealing keys change."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.orgs.models import User
from apps.orgs.people.adapter import SecondFactorAdapter

_SEALED = ("secret", "seed")  # of an app; of recovery codes


def second_factors_of(user: User) -> list[str]:
    """Which second factors the user has: `totp` for an app, `webauthn` for a passkey or key. Recovery codes are none."""
    factors = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return sorted(factors.values_list("type", flat=True))


@transaction.atomic
def second_factors_remove(*, user: User, actor: Actor) -> int:
    """Forget all of a user's second factors and recovery codes. Returns how many apps and keys there were."""
    kinds = second_factors_of(user)
    if Authenticator.objects.filter(user=user).delete()[0]:
        event_record(
            "user.second_factors_removed", actor=actor, target=user, organization_id=None, before={"factors": kinds}
        )
    return len(kinds)


@transaction.atomic
def factors_reseal(*, actor: Actor) -> int:
    """Seal with the first of SEALING_KEYS what another key sealed. Returns how many. What does not open is left as it is."""
    adapter, keyring, resealed = SecondFactorAdapter(), settings.SEALING_KEYS, 0
    for factor in Authenticator.objects.select_for_update().order_by("pk"):
        data: dict[str, Any] = factor.data
        names = [
            name
            for name in _SEALED
            if name in data and keyring.key_id_of(bytes.fromhex(data[name])) != keyring.sealing_key_id
        ]
        if not names:
            continue
        for name in names:
            data[name] = adapter.encrypt(adapter.decrypt(data[name]))
        factor.save(update_fields=["data"])
        event_record(
            "user.second_factor_resealed",
            actor=actor,
            target=factor.user,
            organization_id=None,
            after={"sealing_key": keyring.sealing_key_id, "factor": factor.type},
        )
        resealed += 1
    return resealed
