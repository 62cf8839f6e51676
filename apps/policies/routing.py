"""Which of a model's routes a policy leaves. Pure; for the gateway and for explanations alike."""

from collections.abc import Sequence
from typing import Final, Protocol

from django.utils.translation import gettext_noop

from apps.policies.effective import EffectivePolicy, Say

_PINNED: Final = gettext_noop("%(source)s pins another credential")
_PROVIDER: Final = gettext_noop("not allowed by %(denial)s")
_MODEL: Final = gettext_noop("model '%(model)s' not allowed by %(denial)s")


class RouteCredential(Protocol):
    """What is looked at of a credential."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def provider(self) -> str:
        """One of apps.providers.models.Provider."""

    @property
    def label(self) -> str:
        """What operators call it."""


class Candidate(Protocol):
    """What is looked at of a route."""

    @property
    def credential(self) -> RouteCredential:
        """Whose account it leads to."""

    @property
    def names(self) -> tuple[str, ...]:
        """What deny lists know the model by: its name, and its provider's and its name."""


def select_routes[R: Candidate](
    policy: EffectivePolicy, routes: Sequence[R], say: Say = str
) -> tuple[tuple[R, ...], tuple[tuple[str, str], ...]]:
    """The routes that may be taken, the preferred provider's first; and why the others may not: (credential's label, reason)."""
    taken, skipped = [], []
    for route in routes:
        credential = route.credential
        if policy.pinned_credential and credential.id != policy.pinned_credential:
            source = policy.sources["pinned_credential"].describe(say)
            skipped.append((credential.label, say(_PINNED) % {"source": source}))
        elif denial := policy.provider_denied(credential.provider):
            skipped.append((credential.label, say(_PROVIDER) % {"denial": denial.describe(say)}))
        elif denial := policy.model_barred(*route.names):
            words = {"model": route.names[0], "denial": denial.describe(say)}
            skipped.append((credential.label, say(_MODEL) % words))
        else:
            taken.append(route)
    if preferred := policy.preferred_provider:
        taken.sort(key=lambda route: route.credential.provider != preferred)  # stable: otherwise as they were
    return tuple(taken), tuple(skipped)
