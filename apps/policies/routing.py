"""Which of a model's routes a policy leaves. Pure; for the gateway and for explanations alike."""

from collections.abc import Sequence
from typing import Protocol

from apps.policies.effective import EffectivePolicy


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
    policy: EffectivePolicy, routes: Sequence[R]
) -> tuple[tuple[R, ...], tuple[tuple[str, str], ...]]:
    """The routes that may be taken, the preferred provider's first; and why the others may not: (credential's label, reason)."""
    taken, skipped = [], []
    for route in routes:
        credential = route.credential
        if policy.pinned_credential and credential.id != policy.pinned_credential:
            skipped.append(
                (credential.label, f"{policy.sources['pinned_credential'].describe()} pins another credential")
            )
        elif denial := policy.provider_denied(credential.provider):
            skipped.append((credential.label, f"not allowed by {denial.describe()}"))
        elif denial := policy.model_barred(*route.names):
            skipped.append((credential.label, f"model '{route.names[0]}' not allowed by {denial.describe()}"))
        else:
            taken.append(route)
    if preferred := policy.preferred_provider:
        taken.sort(key=lambda route: route.credential.provider != preferred)  # stable: otherwise as they were
    return tuple(taken), tuple(skipped)
