"""From an organization's rows to routes: which credentials serve a model, in which order and with which shares."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import Any

from apps.gateway.directory.upstreams import heads_for
from apps.gateway.directory.views import Account, Route
from apps.providers.addressing import paths_name_model
from apps.providers.aliases.names import AliasRule, Meaning, Target, target_of
from apps.providers.listing.names import Listing
from apps.providers.prices.book import PriceBook, names_of
from apps.providers.prices.seed import ModelFacts, model_facts
from apps.providers.translation.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential, and what decides when it is asked."""

    account: Account
    rank: tuple[bool, int]  # the installation's after an organization's own; then by priority
    weight: int | None
    listing: Listing | None  # what its provider lists; None: not known
    heads: Mapping[str, bytes]  # where they do not depend on the model; else empty


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as it is listed, or as a target names it."""

    provider: str
    name: str
    upstream_name: str = ""
    credential: str = ""  # the only one that serves it; empty: any of the provider's
    priced_as: str = ""
    created: int = 0  # Unix seconds

    @property
    def upstream(self) -> str:
        """The provider's own name for it."""
        return self.upstream_name or self.name

    @property
    def priced(self) -> str:
        """The name that it is priced by: the provider's own. An Azure deployment has any name, so the model's own is taken there.

        Never both: what a provider calls otherwise may be another model, with other prices. `priced_as` says so where it is not.
        """
        return self.name if self.provider == "azure_openai" else self.upstream

    @property
    def book_names(self) -> tuple[str, ...]:
        """What its prices are looked up by."""
        return (self.priced, self.priced_as) if self.priced_as else (self.priced,)

    def facts(self) -> ModelFacts | None:
        """What is known of its size, by the names its prices have."""
        provider, _, other = self.priced_as.rpartition("/")
        vendor = provider or self.provider
        found = (model_facts().get((vendor, name)) for name in names_of(vendor, other or self.priced))
        return next((facts for facts in found if facts is not None), None)


def model_row(row: Mapping[str, Any]) -> ModelRow:
    """A row of providers_providermodel."""
    created: datetime = row["created_at"]
    return ModelRow(
        provider=row["provider"],
        name=row["name"],
        upstream_name=row["upstream_name"],
        credential="" if row["credential_id"] is None else row["credential_id"].hex,
        priced_as=row["priced_as"],
        created=int(created.timestamp()),
    )


def offer(account: Account, *, rank: tuple[bool, int], weight: int | None, listing: Listing | None) -> Offer:
    """A credential on offer."""
    view = account.credential
    named = paths_name_model(view.provider, account.api_version)
    return Offer(account, rank, weight, listing, {} if named else _heads(account, ""))


class Stock:
    """The models and credentials of an organization, and the routes that they make. Drained credentials make none."""

    def __init__(
        self, rows: Iterable[ModelRow], switched_off: Iterable[ModelRow], offers: Iterable[Offer], book: PriceBook
    ) -> None:
        """`rows` and `offers` in the order in which they count. `switched_off`: what is listed, and disabled."""
        self._rows: dict[str, list[ModelRow]] = {}
        for row in rows:
            self._rows.setdefault(row.name, []).append(row)
        self._off = {(row.provider, name) for row in switched_off for name in (row.name, row.upstream)}
        self.offers = [each for each in offers if not each.account.drained]
        self._book = book

    @property
    def names(self) -> Iterable[str]:
        """The names of all models."""
        return self._rows.keys()

    def is_listed(self, provider: str, name: str) -> bool:
        """Whether there is a model of this name, of this provider if one is given."""
        return name in self._rows and (not provider or any(row.provider == provider for row in self._rows[name]))

    def rows(self, name: str, provider: str = "") -> list[ModelRow]:
        """The models of this name, of this provider if one is given."""
        return [row for row in self._rows.get(name, ()) if provider in ("", row.provider)]

    def listed_names(self, credential: str = "") -> Iterable[str]:
        """What providers list, each plain and with the provider's name. `credential`: of this one alone."""
        for each in self.offers:
            view = each.account.credential
            if each.listing is not None and credential in ("", view.id):
                for name in each.listing.names:
                    yield name
                    yield f"{view.provider}/{name}"

    def routes(self, name: str, provider: str = "") -> tuple[Route, ...]:
        """The ways to answer for a model that is listed, tiers numbered from 0."""
        return _flat(self._tiers(self.rows(name, provider), ""))

    def alias_routes(self, rule: AliasRule, star: str) -> tuple[Route, ...]:
        """The ways to answer for an alias. A credential is asked once for the same model, by the first target that says so.

        Targets of one tier compete by the best credentials of each; their second best come after all of those.
        """
        ordered = rule.strategy == "ordered"
        groups: list[tuple[tuple[int, ...], list[tuple[Fraction, Route]]]] = []
        for place, target in enumerate(rule.targets):
            for depth, tier in enumerate(self._target_tiers(target, star)):
                # Where targets are asked in their order, each is through before the next begins.
                at = (target.tier, place, depth) if ordered else (target.tier, depth)
                total = sum(route.weight for route in tier)
                groups.append((at, [(Fraction(target.weight * route.weight, total), route) for route in tier]))
        groups.sort(key=lambda group: group[0])
        tiers = [
            [entry for _, group in same for entry in group] for _, same in groupby(groups, key=lambda group: group[0])
        ]
        return _flat([_whole(tier) for tier in tiers])

    def _target_tiers(self, target: Target, star: str) -> list[list[Route]]:
        meant = target_of(target.model, star, self.is_listed)
        if meant is None:
            return []
        return self._tiers(self._target_rows(meant, target.credential), target.credential)

    def _target_rows(self, meant: Meaning, credential: str) -> list[ModelRow]:
        """The models that a target means. One that names provider or credential means a model that is not listed as well."""
        owner = next(
            (each.account.credential for each in self.offers if each.account.credential.id == credential), None
        )
        if credential and (owner is None or meant.provider not in ("", owner.provider)):
            return []
        provider = meant.provider or (owner.provider if owner else "")
        rows = self.rows(meant.model, provider)
        if rows and (not credential or any(row.credential in ("", credential) for row in rows)):
            return rows
        if not provider or (provider, meant.model) in self._off:
            return []
        return [ModelRow(provider=provider, name=meant.model, credential=credential)]

    def _tiers(self, rows: Sequence[ModelRow], credential: str) -> list[list[Route]]:
        """The routes, by who is asked before whom. `credential`: on this one alone."""
        first: dict[str, ModelRow] = {}  # by credential, which counts once, by the first row that it serves
        for row in rows:
            for each in self.offers:
                view = each.account.credential
                if view.provider == row.provider and row.credential in ("", view.id) and credential in ("", view.id):
                    first.setdefault(view.id, row)
        tiers: list[list[Route]] = []
        serving = [each for each in self.offers if each.account.credential.id in first]
        for _, same in groupby(serving, key=lambda each: each.rank):
            equal = list(same)
            made = [self._route(each, first[each.account.credential.id]) for each in equal]
            if any(each.weight is not None for each in equal):
                tiers.append(made)
            else:
                tiers += [[route] for route in made]
        return tiers

    def _route(self, each: Offer, row: ModelRow) -> Route:
        view = each.account.credential
        known = row.facts()
        upstream = row.upstream
        longest = known.max_output if known else None
        return Route(
            credential=view,
            upstream_model=upstream,
            heads=each.heads or _heads(each.account, upstream),
            served=(
                (b"x-tollgate-provider", view.provider.encode()),
                (b"x-tollgate-model", upstream.encode("ascii", "replace")),
            ),
            book=self._book,
            priced=row.priced,
            priced_as=row.priced_as,
            context=known.context_window if known else None,
            longest=longest,
            upstream=Upstream(
                provider=view.provider,
                model=upstream,
                longest=longest,
                caps=known.caps if known else frozenset(),
                efforts=known.efforts if known else (),
            ),
            mode=known.mode if known else "",
            weight=each.weight or 1,
            names=(row.name, f"{view.provider}/{row.name}"),
            is_listed=each.listing is None or each.listing.has(view.provider, upstream),
        )


def _heads(account: Account, upstream: str) -> Mapping[str, bytes]:
    view = account.credential
    return heads_for(view.provider, view.base_url, account.api_version, upstream, account.authentication, view.origin)


def _whole(tier: Sequence[tuple[Fraction, Route]]) -> list[Route]:
    """The routes of a tier with their shares as whole numbers."""
    seen: set[tuple[str, str]] = set()
    scale = lcm(*(share.denominator for share, _ in tier))
    routes = []
    for share, route in tier:
        key = (route.credential.id, route.upstream_model)
        if key not in seen:
            seen.add(key)
            routes.append(replace(route, weight=int(share * scale)))
    return routes


def _flat(tiers: Iterable[Sequence[Route]]) -> tuple[Route, ...]:
    """All routes, each once, with the numbers of their tiers."""
    seen: set[tuple[str, str]] = set()
    routes: list[Route] = []
    number = 0
    for tier in tiers:
        fresh = [route for route in tier if (route.credential.id, route.upstream_model) not in seen]
        seen.update((route.credential.id, route.upstream_model) for route in fresh)
        routes += [route if route.tier == number else replace(route, tier=number) for route in fresh]
        number += bool(fresh)
    return tuple(routes)
