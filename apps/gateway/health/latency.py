"""How quick routes are, and how busy: in this process alone, and only where a strategy asks."""

from collections import OrderedDict

type Key = tuple[str, str]  # credential's id, and the model's name there

_LATELY = 10  # answers
_STALE = 60.0  # seconds after which a route is to be tried again
_ROUTES_MAX = 10_000


class Latencies:
    """Seconds to the first byte, of streams apart from other answers: a mean that forgets. Bounded."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Key, bool], tuple[float, int, float]] = OrderedDict()

    def heard(self, key: Key, seconds: float, now: float, *, stream: bool) -> None:
        """An answer began after so many seconds."""
        mean, count, _ = self._known.pop((key, stream), (0.0, 0, 0.0))
        count = min(count + 1, _LATELY)
        self._known[key, stream] = (mean + (seconds - mean) / count, count, now)
        if len(self._known) > _ROUTES_MAX:
            self._known.popitem(last=False)

    def seconds(self, key: Key, now: float, *, stream: bool) -> float | None:
        """What it usually takes; None: not known, or not lately."""
        known = self._known.get((key, stream))
        return None if known is None or now > known[2] + _STALE else known[0]

    def explores(self, key: Key, now: float, *, stream: bool) -> None:
        """One call is on its way to find out: those that come meanwhile are not sent after it.

        Should it bring no answer, the route counts as slow as it was before, or as one that takes a minute, until that is stale.
        """
        mean, count, _ = self._known.pop((key, stream), (_STALE, 0, 0.0))
        self._known[key, stream] = (mean, count, now)


class InFlight:
    """How many calls of this process each route is answering."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}

    def begins(self, key: Key) -> None:
        """One more."""
        self._counts[key] = self._counts.get(key, 0) + 1

    def ends(self, key: Key) -> None:
        """One less."""
        left = self._counts.get(key, 0) - 1
        if left > 0:
            self._counts[key] = left
        else:
            self._counts.pop(key, None)

    def count(self, key: Key) -> int:
        """How many."""
        return self._counts.get(key, 0)
