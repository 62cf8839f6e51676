"""Names like one that nobody has, for the message that refuses it. Pure; the work is bounded whatever is asked for."""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import islice

_NAMES_MOST = 2_000
_LONGEST = 64  # characters that are looked at
_COMMON = 100  # names
_ALIKE = 0.4  # share of three-letter parts in common
_SHOWN = 5


class Neighbours:
    """Names by the parts of three letters that they have in common. A part that many names have tells nothing."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(islice(names, _NAMES_MOST))
        self._places: dict[str, list[int]] = {}
        for place, name in enumerate(self._names):
            for part in set(_parts(name)):
                self._places.setdefault(part, []).append(place)
        self._common = {part for part, places in self._places.items() if len(places) > _COMMON}
        self._sizes = [len(self._telling(name)) for name in self._names]

    def of(self, name: str) -> list[str]:
        """The most similar names, best first; none if nothing is similar."""
        parts = self._telling(name)
        shared = Counter(place for part in parts for place in self._places.get(part, ()))
        alike = ((2 * count / (len(parts) + self._sizes[place]), place) for place, count in shared.items())
        best = nlargest(_SHOWN, (entry for entry in alike if entry[0] >= _ALIKE))
        return [self._names[place] for _, place in best]

    def _telling(self, name: str) -> set[str]:
        return set(_parts(name)) - self._common


def _parts(name: str) -> Iterator[str]:
    padded = f"  {name[:_LONGEST].casefold()} "
    return (padded[at : at + 3] for at in range(len(padded) - 2))
