"""What governs one token, compiled when the directory loads it: its policy, its limits and budgets, its routes by model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apps.core.errors import (
    EndpointNotAllowed,
    HoursNotAllowed,
    ModelNotAllowed,
    NetworkNotAllowed,
    ProviderNotAllowed,
)
from apps.gateway.counters.counters import Packed
from apps.gateway.directory.views import ModelView, Route
from apps.policies.counters.plan import BudgetRule, Part, Place, places, request, without_slots
from apps.policies.effective import Denial, EffectivePolicy, Rules, effective_policy
from apps.policies.routing import select_routes

_VARIANTS = 256  # end users and tags whose packed questions are kept; the next ones push the oldest out
_AGAIN = 3600.0  # seconds after which questions are packed anew in any case


# Tokens of one service have the same policy, but for rules of their own: it is kept once.
_effective = lru_cache(maxsize=4096)(effective_policy)


class Served(NamedTuple):
    """Those of a choice's routes that can answer at one endpoint, what else was skipped, and whether all have it themselves."""

    routes: tuple[Route, ...]
    skipped: tuple[tuple[str, str], ...]
    native: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The routes of a model that a token may take, best first, and why it may not take the others: (credential's label, reason)."""

    routes: tuple[Route, ...]
    skipped: tuple[tuple[str, str], ...]
    served: dict[str, Served] = field(default_factory=dict, compare=False)  # by endpoint, as calls have asked for it


class Governor:
    """Everything that policies say of one token."""

    __slots__ = (
        "_choices",
        "_packed",
        "_rules",
        "_token",
        "_variants",
        "_zone",
        "budgets",
        "conditional",
        "organization",
        "places",
        "policy",
    )

    def __init__(
        self, organization: str, token: str, timezone: str, layers: Sequence[Rules], budgets: Sequence[BudgetRule]
    ) -> None:
        """Ids are 32 hexadecimal digits."""
        self.organization, self._token = organization, token
        self._zone = ZoneInfo(timezone)
        self.policy: EffectivePolicy = _effective(tuple(layers))
        self.places: tuple[Place, ...] = places(self.policy.limits)
        self.budgets = tuple(budgets)
        # Whether what a call takes depends on its end user or tags.
        self.conditional = any(rule.is_conditional for rule in budgets) or any(
            place.scope == "end_user" for place in self.places
        )
        self._packed: tuple[float, Packed] | None = None
        self._variants: dict[tuple[str, tuple[str, ...], Part], tuple[float, Packed]] = {}
        self._choices: dict[str, tuple[ModelView, Choice]] = {}

    @property
    def counts(self) -> bool:
        """Whether any limit or budget holds."""
        return bool(self.places or self.budgets)

    def packed(self, end_user: str, tags: tuple[str, ...], part: Part = "all") -> Packed:
        """The questions to the store for a call of this end user with these tags."""
        now = time.time()
        if not self.conditional or not (end_user or tags):
            if part == "all":
                known = self._packed
                if known is None or now >= known[0]:
                    known = self._packed = self._pack("", (), now, part)
                return known[1]
            end_user, tags = "", ()
        key = (end_user, tags, part)
        known = self._variants.get(key)
        if known is None or now >= known[0]:
            if len(self._variants) >= _VARIANTS:
                del self._variants[next(iter(self._variants))]
            known = self._variants[key] = self._pack(end_user, tags, now, part)
        return known[1]

    def _pack(self, end_user: str, tags: tuple[str, ...], now: float, part: Part) -> tuple[float, Packed]:
        limited = without_slots(self.places) if part == "piece" else self.places
        budgets = () if part == "limits" else self.budgets
        asked = request(self.organization, self._token, limited, budgets, end_user=end_user, tags=tags, at=now)
        return min(asked.ends_at, now + _AGAIN), Packed(asked)

    # --- May this caller: 403 ---

    def check_caller(self, address: str | None, endpoint: str) -> None:
        """Raises NetworkNotAllowed, HoursNotAllowed, EndpointNotAllowed."""
        policy = self.policy
        if policy.is_open:
            return
        if denial := policy.network_denied(address or ""):
            raise NetworkNotAllowed(f"Calls from {address or 'this address'} are not allowed by {denial.describe()}.")
        if denial := policy.hours_denied(datetime.now(UTC), self._zone):
            raise HoursNotAllowed(f"Calls at this time are not allowed by {denial.describe()}, {self._zone.key} time.")
        self.check_endpoint(endpoint)

    def check_endpoint(self, endpoint: str) -> None:
        """Raises EndpointNotAllowed."""
        if denial := self.policy.endpoint_denied(endpoint):
            raise EndpointNotAllowed(f"Calls of '{endpoint}' are not allowed by {denial.describe()}.")

    def check_model(self, name: str, plain: str = "") -> None:
        """`plain`: the model's own name, where it was asked for as provider/model. Raises ModelNotAllowed."""
        if not self.policy.is_open and (denial := self._denied(name, plain)):
            raise ModelNotAllowed(f"The model '{name}' is not allowed by {denial.describe()}.", param="model")

    def _denied(self, name: str, plain: str) -> Denial | None:
        return self.policy.model_denied(name, plain) if plain else self.policy.model_denied(name)

    def may_call(self, model: ModelView) -> bool:
        """Whether the model is of any use to this token: for lists of models."""
        return (self.policy.is_open or self._denied(model.name, model.plain) is None) and bool(
            self.choice(model).routes
        )

    def choose(self, model: ModelView) -> Choice:
        """The routes that may be taken, best first. Raises ProviderNotAllowed if there is none."""
        choice = self.choice(model)
        if not choice.routes:
            reasons = "; ".join(f"{label}: {reason}" for label, reason in choice.skipped)
            raise ProviderNotAllowed(f"Nothing that serves '{model.name}' may be called ({reasons}).", param="model")
        return choice

    def choice(self, model: ModelView) -> Choice:
        """As `choose`, which may find no route."""
        known = self._choices.get(model.name)
        if known is not None and known[0] is model:
            return known[1]
        if len(self._choices) >= _VARIANTS:
            self._choices.clear()
        routes, skipped = select_routes(self.policy, model.routes)
        if preferred := self.policy.preferred_provider:
            routes = _preferring(preferred, routes)
        choice = Choice(routes, skipped)
        self._choices[model.name] = (model, choice)
        return choice


def _preferring(provider: str, routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """The tiers of all other providers begin after the last one of this provider's."""
    after = 1 + max((route.tier for route in routes), default=0)
    return tuple(
        route if route.credential.provider == provider else replace(route, tier=route.tier + after) for route in routes
    )
