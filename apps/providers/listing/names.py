"""Whether a provider's own list of models names one. Pure.

Lists tell models by other names than those they may be called by: dated where the name is not, with a tag, with a variant. In doubt
a model is in the list: nothing is hidden because of how it is spelled.
"""

from collections.abc import Iterable

from apps.providers.prices.book import names_of, undated

_LATEST = "-latest"


class Listing:
    """What a provider lists, ready to be asked."""

    __slots__ = ("_undated", "names")

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self._undated = frozenset(undated(name) for name in self.names) - self.names

    def has(self, provider: str, model: str) -> bool:
        """Whether the list has this model, which `provider` knows by this name."""
        plain, _, _ = model.partition(":")  # of llama3:8b, gpt-oss-120b:free
        if plain in self.names or f"{model}:latest" in self.names:
            return True
        if any(name in self.names or name in self._undated for name in names_of(provider, model)):
            return True
        stem = model.removesuffix(_LATEST)
        return stem != model and any(name.startswith(stem) for name in self.names)
