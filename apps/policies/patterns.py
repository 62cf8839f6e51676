"""Names and patterns in a policy's lists. Pure; no Django.

A pattern matches the whole name, whatever its case: `*` stands for any characters or none, `?` for one, and everything else for
itself, brackets included. Matching never backtracks: no pattern that an operator writes can make the gateway slow.
"""

from collections.abc import Sequence
from functools import lru_cache


class NamePatterns:
    """One list, ready to be asked. Built once and shared: it never changes."""

    __slots__ = ("_exact", "_globs", "texts")

    def __init__(self, texts: Sequence[str], *, globs: bool) -> None:
        self.texts = tuple(texts)
        self._exact: dict[str, str] = {}
        self._globs: list[tuple[str, tuple[str, ...]]] = []
        for text in self.texts:
            folded = text.casefold()
            if globs and ("*" in text or "?" in text):
                self._globs.append((text, tuple(folded.split("*"))))
            else:
                self._exact.setdefault(folded, text)

    def match(self, name: str) -> str | None:
        """The entry that matches, as it was written; None if none does."""
        folded = name.casefold()
        exact = self._exact.get(folded)
        if exact is not None:
            return exact
        for text, parts in self._globs:
            if _matches(parts, folded):
                return text
        return None


@lru_cache(maxsize=4096)
def name_patterns(texts: tuple[str, ...]) -> NamePatterns:
    """A list of names and patterns; the same object for the same list, as many tokens share a policy."""
    return NamePatterns(texts, globs=True)


@lru_cache(maxsize=4096)
def exact_names(texts: tuple[str, ...]) -> NamePatterns:
    """A list of names alone, where `*` stands for itself."""
    return NamePatterns(texts, globs=False)


def _matches(parts: tuple[str, ...], name: str) -> bool:
    """`parts` are what stands between the stars: the first begins the name, the last ends it, the others follow in order.

    Taking each at its first place is enough: whatever follows then has the most room.
    """
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return len(first) == len(name) and _fits(first, name, 0)
    at, end = len(first), len(name) - len(last)
    if end < at or not _fits(first, name, 0) or not _fits(last, name, end):
        return False
    for part in parts[1:-1]:
        found = _find(part, name, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _fits(part: str, name: str, at: int) -> bool:
    """Whether `part` stands in `name` at `at`, where there is room for it."""
    if "?" not in part:
        return name.startswith(part, at)
    return all(wanted in ("?", name[at + offset]) for offset, wanted in enumerate(part))


def _find(part: str, name: str, start: int, end: int) -> int:
    """The first place between `start` and `end` where `part` stands; -1 if there is none."""
    if "?" not in part:
        return name.find(part, start, end)
    return next((at for at in range(start, end - len(part) + 1) if _fits(part, name, at)), -1)
