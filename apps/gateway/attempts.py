"""Which route a call tries, which one next, and when it is given up: one budget of attempts and of time for each request.

Only what has not begun to answer is tried again. A failure that is the credential's own (it is refused) is not tried again with the
same credential; any other is, after the routes that are left, with growing pauses, or after what the provider asks for.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.gateway.directory.views import CredentialView, Route

_PAUSE = 0.25  # seconds before the first repetition; it doubles
_PAUSE_MOST = 8.0
_FAILURES = 3  # in a row, until a route is asked last for a while
_COOL = 10.0  # seconds
_COOL_MOST = 60.0  # however long a provider asks to be left alone
_ROUTES_MAX = 10_000
# What may pass by itself: too many requests, conflicts and timeouts on the provider's side, and its own failures.
RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
REFUSED = frozenset({401, 402, 403})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt brought no answer. `own`: the credential is at fault. `after`: seconds that the provider asks us to wait.

    `takes_no_stream_options`: our own addition to the request is.
    """

    own: bool = False
    after: float | None = None
    takes_no_stream_options: bool = False


class Health:
    """How routes have fared lately, in this process: those that fail are asked last until they had time to recover."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._cool_until: dict[tuple[str, str], float] = {}
        self._without_stream_options: OrderedDict[tuple[str, str], None] = OrderedDict()

    def ordered(self, routes: Sequence[Route]) -> list[Route]:
        """The routes, those that cool down after the others."""
        if not self._cool_until or len(routes) == 1:
            return list(routes)
        now = time.monotonic()
        return sorted(routes, key=lambda route: self._cool_until.get(_key(route), 0.0) > now)

    def succeeded(self, route: Route) -> None:
        """It has answered."""
        if self._failures or self._cool_until:
            self._failures.pop(_key(route), None)
            self._cool_until.pop(_key(route), None)

    def failed(self, route: Route, failure: Failure) -> None:
        """It has not."""
        key = _key(route)
        count = self._failures.pop(key, 0) + 1
        self._failures[key] = count
        if len(self._failures) > _ROUTES_MAX:
            oldest, _ = self._failures.popitem(last=False)
            self._cool_until.pop(oldest, None)
        if failure.after is not None or failure.own or count >= _FAILURES:
            self._cool_until[key] = time.monotonic() + min(failure.after or _COOL, _COOL_MOST)

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

    @property
    def cooling(self) -> int:
        """How many routes are asked last at the moment."""
        now = time.monotonic()
        return sum(until > now for until in self._cool_until.values())


class Attempts:
    """One call's attempts. `most` of them, and none begins after `until` (monotonic seconds)."""

    def __init__(self, routes: Sequence[Route], health: Health, *, most: int, until: float) -> None:
        self._health = health
        self._untried = health.ordered(routes)
        self._again: list[Route] = []
        self._most, self._until = most, until
        self._made = 0
        self._rounds = 0

    def first(self) -> Route:
        """The route to begin with."""
        self._made = 1
        return self._untried.pop(0)

    def after(self, route: Route, failure: Failure) -> tuple[Route, float] | None:
        """The route to try next, and how many seconds to wait before; None: the failure stands."""
        if failure.takes_no_stream_options:
            # Not a failure of the route, and none of the attempts that were meant: it would have answered. Happens once to each.
            self._health.refuses_stream_options(route.credential)
            return route, 0.0
        self._health.failed(route, failure)
        if not failure.own:
            self._again.append(route)
        if self._made >= self._most:
            return None
        wait = 0.0
        if self._untried:
            following = self._untried.pop(0)
        elif self._again:
            following = self._again.pop(0)
            pause = min(_PAUSE * 2**self._rounds, _PAUSE_MOST) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            wait = pause if failure.after is None else max(failure.after, pause)
            self._rounds += 1
        else:
            return None
        if time.monotonic() + wait > self._until:
            return None
        self._made += 1
        return following, wait


def _key(route: Route) -> tuple[str, str]:
    return route.credential.id, route.upstream_model
