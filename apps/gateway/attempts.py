"""Which route a call tries, which one next, and when it is given up: one budget of attempts and of time for each request.

Only what has not begun to answer is tried again. A failure that is the credential's own (it is refused) is not tried again with
the same credential; any other is, after the routes that are left, with growing pauses, or after what the provider asks for. A route
that is known to fail (apps.gateway.health) gets no second attempt from one call.
"""

import random
from collections.abc import Sequence

from apps.gateway import metrics
from apps.gateway.directory.views import Route, Strategy
from apps.gateway.health.circuit import Circuit
from apps.gateway.health.failure import Failure
from apps.gateway.health.health import ORDERED, Health

_PAUSE = 0.25  # seconds before the first repetition; it doubles
_PAUSE_MOST = 8.0
_NONE: frozenset[str] = frozenset()
_AGAIN = frozenset({"failing", "limited", "request"})  # what may have passed when the same route is asked again


class Attempts:
    """One call's attempts. `most` of them, and none begins after `until` (seconds of the health's clock).

    Of each, `succeeded` or `failed` tells what came of it, if that is known; `ends` that it is over, in any case.
    """

    __slots__ = (
        "_again",
        "_began",
        "_beside",
        "_health",
        "_made",
        "_most",
        "_probed",
        "_rounds",
        "_route",
        "_spared",
        "_strategy",
        "_stream",
        "_unsaid",
        "_until",
        "_untried",
    )

    def __init__(
        self,
        routes: Sequence[Route],
        health: Health,
        *,
        most: int,
        until: float,
        strategy: Strategy = ORDERED,
        stream: bool = False,
        likely: str = "",
    ) -> None:
        """`routes`: in the order of their tiers. `strategy`: which of a tier comes first. `likely`: the credential that comes
        before all others, whatever its tier; empty: none."""
        self._health = health
        self._strategy, self._stream = strategy, stream
        self._untried = health.ordered(routes, strategy, stream=stream)
        if likely:
            self._untried.sort(key=lambda route: route.credential.id != likely)
        self._again: list[Route] = []
        self._most, self._until = most, until
        self._made = 0
        self._rounds = 0
        self._route: Route | None = None
        self._began = 0.0
        self._probed: tuple[Circuit, ...] = ()
        self._beside: tuple[Route, float, tuple[Circuit, ...]] | None = None  # a second attempt at the same time
        self._spared: set[str] = set()  # credentials that are asked again without our own addition
        self._unsaid: dict[str, frozenset[str]] = {}  # by credential: betas that it has refused this call for

    def first(self) -> Route:
        """The route to begin with."""
        self._made = 1
        return self._begin(self._untried.pop(0))

    def spares_usage(self, route: Route) -> bool:
        """Whether usage is not to be asked for there: it may be what this call was refused for."""
        return bool(self._spared) and route.credential.id in self._spared

    def unsaid_betas(self, route: Route) -> frozenset[str]:
        """What of the client's `anthropic-beta` is not to be said there: this call has been refused for it."""
        return self._unsaid.get(route.credential.id, _NONE) if self._unsaid else _NONE

    def succeeded(self, first_byte: float | None) -> None:
        """The attempt was answered. `first_byte`: seconds until that began; None: not known."""
        if self._route is None:
            return
        if self.spares_usage(self._route):
            # Only now: the refusal may have repeated a caller's own words, and the next one's usage would be an estimate.
            self._health.refuses_stream_options(self._route.credential)
        for beta in self.unsaid_betas(self._route):
            self._health.unknown_betas.learn(self._route.credential, beta)  # only now, for the same reason
        self._health.succeeded(self._route, self._began, probed=self._probed)
        if first_byte is not None and self._strategy == "least_latency":
            self._health.answered(self._route, first_byte, stream=self._stream)
        self._probed = ()

    def failed(self, failure: Failure) -> None:
        """The attempt was not."""
        if self._route is None:
            return
        if not failure.is_mended:
            metrics.attempts_failed.labels(failure.kind).inc()
        if failure.takes_no_stream_options:
            self._spared.add(self._route.credential.id)
        elif failure.refuses_betas:
            self._unsaid[self._route.credential.id] = self.unsaid_betas(self._route) | failure.refuses_betas
        elif failure.lacks:
            self._health.lacking.learn(self._route.credential, failure.lacks)
        else:
            self._health.failed(self._route, failure, self._began, probed=self._probed)
            if failure.kind not in {"content", "request"}:
                self._probed = ()

    def ends(self) -> None:
        """The attempt is over, and with it one beside it. May be called again."""
        self.second_ends()
        if self._route is not None:
            self._health.ends(self._route, self._strategy, self._probed)
            self._route, self._probed = None, ()

    def after(self, route: Route, failure: Failure) -> tuple[Route, float] | None:
        """The route to try next, once the attempt at this one has failed, and how many seconds to wait before.

        None: the failure stands.
        """
        self.failed(failure)
        self.ends()
        if failure.is_mended:
            # Not a failure of the route, and none of the attempts that were meant: it would have answered. Happens once to each.
            return self._begin(route), 0.0
        if failure.kind in _AGAIN:
            self._again.append(route)
        if self._made >= self._most:
            return None
        now = self._health.clock()
        wait = 0.0
        if self._untried:
            following = self._next_untried(now)
        elif self._again:
            pause = min(_PAUSE * 2**self._rounds, _PAUSE_MOST) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            wait = pause if failure.after is None else max(failure.after, pause)
            found = self._next_again(now + wait)
            if found is None:
                return None
            following = found
            self._rounds += 1
        else:
            return None
        if now + wait > self._until:
            return None
        self._made += 1
        return self._begin(following), wait

    # --- Two at once ---

    def second(self) -> Route | None:
        """Another route that works, to be asked beside the one that is being asked; None: there is none, or no attempt is left."""
        now = self._health.clock()
        if self._made >= self._most or now > self._until:
            return None
        for place, route in enumerate(self._untried):
            if not self._health.is_last(route, now):
                self._untried.pop(place)
                self._made += 1
                self._beside = route, now, self._health.begins(route, self._strategy)
                return route
        return None

    def first_fails(self, failure: Failure | None) -> None:
        """The first of two has failed: the second goes on. `failure` None: nothing is held against its route."""
        if failure is not None:
            self.failed(failure)
            if failure.kind in _AGAIN and self._route is not None:
                self._again.append(self._route)
        self.second_goes_on()

    def second_goes_on(self) -> None:
        """The second of two is the call's attempt from here on, and the first is over."""
        beside, self._beside = self._beside, None
        if beside is not None:
            self.ends()
            self._route, self._began, self._probed = beside

    def second_ends(self, failure: Failure | None = None) -> None:
        """The second of two is over, if there is one, as it failed or as it was the slower one."""
        beside, self._beside = self._beside, None
        if beside is None:
            return
        route, began, probed = beside
        if failure is not None:
            metrics.attempts_failed.labels(failure.kind).inc()
            self._health.failed(route, failure, began, probed=probed)
            if failure.kind in _AGAIN:
                self._again.append(route)
        self._health.ends(route, self._strategy, probed)

    # --- Within ---

    def _next_untried(self, now: float) -> Route:
        """The first that works, as far as is known by now."""
        untried, health = self._untried, self._health
        if health.circuits:
            for place, route in enumerate(untried):
                if not health.is_last(route, now):
                    return untried.pop(place)
        return untried.pop(0)

    def _next_again(self, at: float) -> Route | None:
        """The first that will not be known to fail at that time; None: each is."""
        for place, route in enumerate(self._again):
            if not self._health.is_shut_at(route, at):
                return self._again.pop(place)
        return None

    def _begin(self, route: Route) -> Route:
        self._route, self._began = route, self._health.clock()
        self._probed = self._health.begins(route, self._strategy)
        return route
