"""An alias's targets as operators write them, on the command line and in the console."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.orgs.models import Organization
from apps.providers.aliases.actions import AliasGoal
from apps.providers.aliases.models import Strategy
from apps.providers.models import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTarget:
    """What was not said is None, or empty."""

    model: str
    tier: int | None = None
    weight: int | None = None
    credential: str = ""  # a label


def goals(organization: Organization | None, written: Sequence[WrittenTarget], strategy: str) -> list[AliasGoal]:
    """The targets as the actions take them. Without a tier: one after the other if they are ordered, else all in the first.

    A label means the organization's own credential, or else the installation's. Raises ValidationError if there is none.
    """
    ordered = strategy == Strategy.ORDERED
    return [
        AliasGoal(
            model=each.model,
            credential=_credential(organization, each.credential) if each.credential else None,
            tier=each.tier if each.tier is not None else place if ordered else 1,
            weight=1 if each.weight is None else each.weight,
        )
        for place, each in enumerate(written, start=1)
    ]


def _credential(organization: Organization | None, label: str) -> Credential:
    whose = Q(organization=organization) | Q(organization=None)
    found = Credential.objects.filter(whose, label=label).order_by("organization_id").first()
    if found is None:
        raise ValidationError(
            {"targets": _("There is no credential “%(label)s”: write its label as it is.") % {"label": label}}
        )
    return found
