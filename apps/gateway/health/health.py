"""How routes have fared lately: what a call asks before it goes to one, and tells afterwards. Nothing here waits for anything.

This process's own view. Sharing (sharing.py) tells others of what changes in it, and brings in what they found.
"""

import math
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from apps.gateway.directory.views import CredentialView, Route, Strategy
from apps.gateway.health.circuit import COOL, Circuit
from apps.gateway.health.failure import Failure
from apps.gateway.health.latency import InFlight, Key, Latencies
from apps.gateway.translation.lacking import Lacking
from apps.providers.health.shared import Shut

_ROUTES_MAX = 10_000
_NEWS_MAX = 1_000
_NEWS_AGAIN = (60.0, 1.0)  # seconds after which the same is told again, and the contrary
ALL = ""  # the place of a model's name where all of a credential's are meant
EVERY = "*"  # which models a credential is refused for, in its view: all
_OF_THE_ACCOUNT = frozenset({400, 401, 402})  # refusals that concern it whatever the model; 403 may be the model's own
ORDERED: Strategy = "ordered"


@dataclass(frozen=True, slots=True)
class News:
    """What operators are to know of a credential: its provider refuses it (`status`), or takes it again (0)."""

    credential: str
    model: str
    status: int
    at: float  # Unix seconds


class Told(Protocol):
    """Who passes on what has changed."""

    def changed(self, key: Key, circuit: Circuit, *, probed: bool) -> None:
        """The circuit opened or closed; `probed`: as this process's probe said."""


class Health:
    """All that is known. `told` is who tells other processes; None: nobody does."""

    def __init__(self, *, cool: float = COOL, clock: Callable[[], float] = time.monotonic) -> None:
        """`cool`: seconds for which a route that fails is asked last, at first. `clock`: seconds that only go forward."""
        self.clock, self._cool = clock, cool
        self.told: Told | None = None
        self.news: deque[News] = deque(maxlen=_NEWS_MAX)
        self.labels: dict[str, tuple[str, str]] = {}  # of credentials with circuits: label and provider
        self.circuits: OrderedDict[Key, Circuit] = OrderedDict()
        self._latencies = Latencies()
        self._in_flight = InFlight()
        self._noted: OrderedDict[Key, tuple[int, float]] = OrderedDict()
        self._without_stream_options: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.lacking = Lacking(clock)
        self.unknown_betas = Lacking(clock)  # names in `anthropic-beta` that a server refuses

    # --- Which route ---

    def ordered(self, routes: Sequence[Route], strategy: Strategy = ORDERED, *, stream: bool = False) -> list[Route]:
        """The routes as they are to be tried: within a tier as the strategy says, and those that do not work after all others."""
        if len(routes) == 1:
            return list(routes)
        found = list(routes) if strategy == ORDERED else self._arranged(routes, strategy, stream=stream)
        if not self.circuits:
            return found
        now = self.clock()
        return sorted(found, key=lambda route: self.is_last(route, now))

    def _arranged(self, routes: Sequence[Route], strategy: Strategy, *, stream: bool) -> list[Route]:
        found: list[Route] = []
        for _, same in groupby(routes, key=lambda route: route.tier):
            tier = list(same)
            if len(tier) > 1:
                tier.sort(key=self._rank(tier, strategy, stream=stream))
            found += tier
        return found

    def _rank(
        self, tier: Sequence[Route], strategy: Strategy, *, stream: bool
    ) -> Callable[[Route], tuple[float, float]]:
        chance = {id(route): random.random() for route in tier}  # noqa: S311 - a choice, not a secret
        if strategy == "weighted":
            # The one with the smallest of such numbers is each with a chance of its weight's share, and so on with the rest.
            return lambda route: (-math.log(1.0 - chance[id(route)]) / max(route.weight, 1e-9), 0.0)
        if strategy == "least_busy":
            count = self._in_flight.count
            return lambda route: (count(_key(route)) / max(route.weight, 1e-9), chance[id(route)])
        now = self.clock()
        latencies = self._latencies
        unknown = [route for route in tier if latencies.seconds(_key(route), now, stream=stream) is None]
        explored = None
        if unknown:
            well = [route for route in unknown if not self.is_last(route, now)]
            explored = min(well or unknown, key=lambda route: chance[id(route)])
            latencies.explores(_key(explored), now, stream=stream)

        def rank(route: Route) -> tuple[float, float]:
            if route is explored:
                return -1.0, 0.0
            seconds = latencies.seconds(_key(route), now, stream=stream)
            return (math.inf if seconds is None else seconds), chance[id(route)]

        return rank

    def is_last(self, route: Route, now: float) -> bool:
        """Whether it is asked after those that work."""
        last = False
        for circuit in self._circuits_of(route):
            if circuit.is_last(now):
                last = True
                self.labels[route.credential.id] = route.credential.label, route.credential.provider
                if circuit.waits(now):
                    circuit.wanted = True
        return last

    def is_shut_at(self, route: Route, at: float) -> bool:
        """Whether it is known that it will not have recovered by then (on the clock)."""
        return bool(self.circuits) and any(circuit.until > at for circuit in self._circuits_of(route))

    # --- What becomes of calls ---

    def begins(self, route: Route, strategy: Strategy = ORDERED) -> tuple[Circuit, ...]:
        """A call goes there. The circuits that it is the probe of."""
        if strategy == "least_busy":
            self._in_flight.begins(_key(route))
        if not self.circuits:
            return ()
        now = self.clock()
        return tuple([circuit for circuit in self._circuits_of(route) if circuit.begins(now)])

    def ends(self, route: Route, strategy: Strategy, probed: Sequence[Circuit]) -> None:
        """It is over, however it ended; what came of it has been told before, or is not known."""
        if strategy == "least_busy":
            self._in_flight.ends(_key(route))
        for circuit in probed:
            circuit.released()

    def succeeded(self, route: Route, began: float, *, probed: Sequence[Circuit] = ()) -> None:
        """A call that began then was answered."""
        credential = route.credential
        if credential.refused and credential.refused in {EVERY, route.upstream_model}:
            self._note(credential.id, route.upstream_model, 0)
        if self.circuits:
            now = self.clock()
            for key in (_key(route), (credential.id, ALL)):
                circuit = self.circuits.get(key)
                if circuit is not None and circuit.succeeded(now, began):
                    self._tell(key, circuit, probed=circuit in probed)

    def failed(self, route: Route, failure: Failure, began: float, *, probed: Sequence[Circuit] = ()) -> None:
        """A call that began then was not."""
        kind = failure.kind
        if kind in {"content", "request"}:
            return
        key, now = _key(route), self.clock()
        if kind == "refused":
            if failure.status:
                self._note(route.credential.id, route.upstream_model, failure.status)
            if failure.status in _OF_THE_ACCOUNT:
                key = route.credential.id, ALL
        circuit = self._circuit(key, route.credential)
        is_probe = circuit in probed
        if kind == "refused":
            opened = circuit.refused(now, failure.code)
        elif kind == "limited":
            opened = circuit.limited(now, failure.after, failure.code)
        else:
            opened = circuit.failed(now, began, failure.code, probe=is_probe)
            if failure.after is not None:
                opened = circuit.limited(now, failure.after, failure.code) or opened
        if opened:
            self._tell(key, circuit, probed=is_probe)

    def answered(self, route: Route, seconds: float, *, stream: bool) -> None:
        """Its first byte came after so many seconds: for the strategy that asks."""
        self._latencies.heard(_key(route), seconds, self.clock(), stream=stream)

    # --- What providers do not know ---

    def takes_stream_options(self, credential: CredentialView) -> bool:
        """Whether usage may be asked for on its streams: unless it is known to refuse to be asked."""
        return credential.kind.takes_stream_options and (
            not self._without_stream_options or (credential.id, credential.base_url) not in self._without_stream_options
        )

    def refuses_stream_options(self, credential: CredentialView) -> None:
        """It has refused a request because of them: it gets none any more, as long as it stays where it is."""
        self._without_stream_options[credential.id, credential.base_url] = None
        if len(self._without_stream_options) > _ROUTES_MAX:
            self._without_stream_options.popitem(last=False)

    # --- For gauges, and for those who share ---

    @property
    def cooling(self) -> int:
        """How many circuits are open at the moment, or wait for their probe."""
        now = self.clock()
        return sum(not circuit.is_closed and circuit.is_last(now) for circuit in self.circuits.values())

    def shown(self) -> Iterator[tuple[str, str, str, float]]:
        """Of those: the credential's label, its provider, the model, and 1, or 0.5 where a probe is to find out."""
        now = self.clock()
        for (credential, model), circuit in self.circuits.items():
            if (named := self.labels.get(credential)) is not None and circuit.is_last(now):
                yield *named, model, 0.5 if circuit.waits(now) else 1.0

    def learn(self, shut: Shut, until: float) -> None:
        """Another process has opened a circuit, until then (on the clock)."""
        key = shut.credential, shut.model
        circuit = self.circuits.get(key)
        if circuit is None or circuit.version < shut.version:
            circuit = self._add(key, Circuit(shut.version, self._cool))
        if circuit.version == shut.version:  # else the credential has been changed since
            circuit.learn(self.clock(), until, shut.cooldown, shut.reason, shut.code)

    def forget_old(self) -> None:
        """Let go of what says nothing any more."""
        now = self.clock()
        for key in [key for key, circuit in self.circuits.items() if circuit.is_over(now)]:
            del self.circuits[key]
        known = {credential for credential, _ in self.circuits}
        for credential in [each for each in self.labels if each not in known]:
            del self.labels[credential]

    # --- Within ---

    def _circuits_of(self, route: Route) -> Iterator[Circuit]:
        """Of the route, and of the whole credential; none that belong to what the credential was before it was changed."""
        credential = route.credential
        for key in (_key(route), (credential.id, ALL)):
            circuit = self.circuits.get(key)
            if circuit is None:
                continue
            if circuit.version < credential.changed:
                del self.circuits[key]
                if not circuit.is_closed:
                    circuit.forget(self.clock())
                    self._tell(key, circuit, probed=False)
                continue
            yield circuit

    def _circuit(self, key: Key, credential: CredentialView) -> Circuit:
        circuit = self.circuits.get(key)
        if circuit is None or circuit.version < credential.changed:
            circuit = self._add(key, Circuit(credential.changed, self._cool))
        self.labels[credential.id] = credential.label, credential.provider
        return circuit

    def _add(self, key: Key, circuit: Circuit) -> Circuit:
        self.circuits[key] = circuit
        if len(self.circuits) > _ROUTES_MAX:
            self.circuits.popitem(last=False)
        return circuit

    def _tell(self, key: Key, circuit: Circuit, *, probed: bool) -> None:
        if self.told is not None:
            self.told.changed(key, circuit, probed=probed)

    def _note(self, credential: str, model: str, status: int) -> None:
        """Seldom: a broken credential is asked many times before anybody mends it."""
        now, key = self.clock(), (credential, model)
        told, at = self._noted.get(key, (None, 0.0))
        if told is not None and now < at + _NEWS_AGAIN[told != status]:
            return
        self._noted.pop(key, None)
        self._noted[key] = status, now
        if len(self._noted) > _ROUTES_MAX:
            self._noted.popitem(last=False)
        self.news.append(News(credential, model, status, time.time()))


def _key(route: Route) -> Key:
    return route.credential.id, route.upstream_model
