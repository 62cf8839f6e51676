"""What an organization may ask for: models, provider/model, its aliases, and what providers may have that nobody has listed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from apps.gateway.directory.near import Neighbours
from apps.gateway.directory.routes import Offered, route_of
from apps.gateway.directory.views import Account, ModelView, Route, Strategy
from apps.providers.aliases.names import STAR, AliasBook, AliasRule, Meaning, fits, meaning_of, spelled
from apps.providers.aliases.ways import Stock, Way
from apps.providers.names import model_name_is_valid
from apps.providers.prices.book import PriceBook

_FOUND_MOST = 256  # names that are no model's own, kept with what they mean; clients choose them
_TRIED_MOST = 64  # names that nobody has listed, kept with what they mean; clients invent them
_CAUGHT_MOST = 2_000  # names that patterns contribute to a list of models, and prefixes
_STRATEGIES: Mapping[str, Strategy] = {
    "weighted": "weighted",
    "least_latency": "least_latency",
    "least_busy": "least_busy",
}


class Models:
    """Names and what they mean. Nothing here waits. `credentials` are by id (32 hexadecimal digits), drained ones as well."""

    def __init__(
        self,
        stock: Stock[Offered],
        aliases: AliasBook,
        book: PriceBook,
        credentials: Mapping[str, Account],
        undrained: "Models | None" = None,
    ) -> None:
        """`undrained`: the same as if no credential was drained; None: none is."""
        self.credentials = credentials
        # For what must go to an account because of what that keeps.
        self.undrained = undrained or self
        self._stock, self._aliases, self._book = stock, aliases, book
        self._exact: dict[str, ModelView] = {}
        self._found: dict[str, ModelView | None] = {}
        self._tried: dict[str, ModelView] = {}  # the one asked for last comes last
        self._listed: tuple[ModelView, ...] | None = None
        self._neighbours: Neighbours | None = None
        for name in stock.names:
            if aliases.early(name) is None:
                self._exact[name] = self._model(Meaning(model=name), name)
        for name, rule in aliases.exact.items():
            self._exact[name] = self._alias(rule, "", name)

    def get(self, name: str) -> ModelView | None:
        """What this name means; None: nothing. The same object each time, as far as there is room to keep it."""
        known = self._exact.get(name)
        if known is not None:
            return known
        try:
            return self._found[name]
        except KeyError:
            pass
        tried = self._tried.pop(name, None)
        if tried is None:
            meant = self._meaning(name)
            if meant is None or not meant.is_unlisted:
                _make_room(self._found, _FOUND_MOST)
                found = self._found[name] = None if meant is None else self._view(meant, name)
                return found
            _make_room(self._tried, _TRIED_MOST)
            tried = self._view(meant, name)
        self._tried[name] = tried
        return tried

    def values(self) -> tuple[ModelView, ...]:
        """All that has a name of its own, to be listed: models, aliases, and what is known of the names that patterns catch."""
        if self._listed is None:
            caught = [(name, self._meaning(name)) for name in self._caught()]
            more = [(name, meant) for name in self._published() if (meant := self._meaning(name)) and meant.is_unlisted]
            views = (self._view(meant, name) for name, meant in dict((*caught, *more)).items() if meant is not None)
            self._listed = (*self._exact.values(), *views)
        return self._listed

    def near(self, name: str) -> list[str]:
        """Names like this one, best first: a few at most, at a bounded cost."""
        if self._neighbours is None:
            self._neighbours = Neighbours(view.name for view in self.values() if view.routes)
        provider, model = spelled(name)
        if not provider:
            return self._neighbours.of(name)
        return [f"{provider}/{near}" for near in self._neighbours.of(model) if self._stock.is_listed(provider, near)]

    def _meaning(self, name: str) -> Meaning | None:
        return meaning_of(name, self._aliases, self._stock.is_listed, self._stock.owner_of)

    def _view(self, meant: Meaning, name: str) -> ModelView:
        if meant.alias is not None:
            return self._alias(meant.alias, meant.star, name)
        return self._unlisted(meant, name) if meant.is_unlisted else self._model(meant, name)

    def _unlisted(self, meant: Meaning, name: str) -> ModelView:
        provider = meant.provider
        routes = self._routes(self._stock.unlisted_ways(meant.model, provider))
        plain = meant.model if meant.model != name else ""
        return ModelView(name, provider, 0, provider, routes, _strategy(routes), plain)

    def _model(self, meant: Meaning, name: str) -> ModelView:
        (first, *_) = self._stock.rows(meant.model, meant.provider)
        routes = self._routes(self._stock.ways(meant.model, meant.provider))
        plain = meant.model if meant.provider else ""
        return ModelView(name, first.provider, first.created, first.provider, routes, _strategy(routes), plain)

    def _alias(self, rule: AliasRule, star: str, name: str) -> ModelView:
        routes = self._routes(self._stock.alias_ways(rule, star))
        owner = routes[0].credential.provider if routes else "tollgate"
        return ModelView(name, "", rule.created, owner, routes, _STRATEGIES.get(rule.strategy) or _strategy(routes))

    def _routes(self, ways: Iterable[Way[Offered]]) -> tuple[Route, ...]:
        return tuple([route_of(way, self._book) for way in ways])

    def _caught(self) -> list[str]:
        """The names that patterns catch, as far as they are known: models' own, and what providers list for targets with a star."""
        names = {name for name in self._stock.names if name not in self._exact}
        for rule in self._aliases.patterns:
            for pattern, credential in ((target.model, target.credential) for target in rule.targets):
                for listed in self._stock.listed_names(credential) if STAR in pattern else ():
                    star = fits(pattern, listed)
                    if star is not None and len(names) < _CAUGHT_MOST:
                        names.add(rule.name.replace(STAR, star))
        return sorted(name for name in names if name not in self._exact and model_name_is_valid(name))

    def _published(self) -> list[str]:
        """The names that providers list, and nobody here has."""
        names = {name for name in self._stock.unlisted_names() if name not in self._exact and model_name_is_valid(name)}
        return sorted(names)[:_CAUGHT_MOST]


def _make_room(cache: dict[str, Any], most: int) -> None:
    """Forget the first entry of a full cache."""
    if len(cache) >= most:
        del cache[next(iter(cache))]


def _strategy(routes: Sequence[Route]) -> Strategy:
    """One after the other, unless some of them share a place."""
    return "weighted" if any(one.tier == next_.tier for one, next_ in pairwise(routes)) else "ordered"
