"""Which credentials serve a name, in which order and with which shares. Pure; for the gateway and for explanations alike."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import Protocol

from apps.providers.aliases.names import AliasRule, Meaning, Target, target_of
from apps.providers.listing.names import Listing
from apps.providers.model_rows import ModelRow, spellings
from apps.providers.prefixes import PREFIXES, provider_by_prefix


class Offer(Protocol):
    """A credential that may be asked, and when."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def provider(self) -> str:
        """One of apps.providers.kinds."""

    @property
    def rank(self) -> tuple[bool, int]:
        """The lowest is asked first: an organization's own before the installation's, then by priority."""

    @property
    def weight(self) -> int | None:
        """Its share among those of its rank, where one of them has a share."""

    @property
    def listing(self) -> Listing | None:
        """What its provider lists; None: not known."""


@dataclass(frozen=True, slots=True)
class Way[O: Offer]:
    """One credential, asked for one model. Those of a lower tier come first; `weight` is its share of its tier."""

    offer: O
    row: ModelRow
    tier: int = 0
    weight: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """What no two ways to one name have in common."""
        return self.offer.id, self.row.upstream

    @property
    def names(self) -> tuple[str, ...]:
        """What deny lists know the model by."""
        return self.row.names


type _Share[O: Offer] = tuple[int, int, Way[O]]  # parts of how many, and whose


class Stock[O: Offer]:
    """The models and credentials that an organization has."""

    def __init__(
        self,
        rows: Iterable[ModelRow],
        switched_off: Iterable[ModelRow],
        offers: Iterable[O],
        providers: Iterable[str] | None = None,
    ) -> None:
        """`rows` and `offers` in the order in which they count. `switched_off`: models that are listed, and disabled. `providers`:
        of whom there is a credential, though it may not be on offer at the moment; None: those of `offers`."""
        self._rows: dict[str, list[ModelRow]] = {}
        for row in rows:
            self._rows.setdefault(row.name, []).append(row)
        # What the installation itself lists, by what it is called upstream: whether and as what its own credentials serve that.
        self._house: dict[tuple[str, str], list[ModelRow]] = {}
        for same in self._rows.values():
            for row in same:
                if not row.is_own:
                    self._house.setdefault((row.provider, row.upstream), []).append(row)
        off = list(switched_off)
        self._house_off = {(row.provider, name) for row in off if not row.is_own for name in (row.name, row.upstream)}
        self._off = {(row.provider, name) for row in off for name in (row.name, row.upstream)}
        self._names_off = {row.name for row in off}
        self._offers = list(offers)
        self._providers = (
            frozenset(offer.provider for offer in self._offers) if providers is None else frozenset(providers)
        )

    @property
    def names(self) -> Iterable[str]:
        """The names of all models."""
        return self._rows.keys()

    def is_listed(self, provider: str, name: str) -> bool:
        """Whether there is a model of this name, of this provider if one is given."""
        return bool(self.rows(name, provider))

    def rows(self, name: str, provider: str = "") -> list[ModelRow]:
        """The models of this name, of this provider if one is given."""
        return [row for row in self._rows.get(name, ()) if provider in ("", row.provider)]

    def owner_of(self, provider: str, name: str) -> str:
        """The provider that is asked for a model that is not listed: this one, or if none is given, whoever documents its prefix.

        Empty: nobody, as the names of models are not the provider's there, as there is no credential, or as the model is disabled.
        """
        owner = provider or provider_by_prefix(name)
        if owner not in PREFIXES or owner not in self._providers:
            return ""
        names = spellings(owner, name)
        if any((owner, each) in self._off for each in names):
            return ""
        return owner if provider or self._names_off.isdisjoint(names) else ""

    def unlisted_names(self) -> Iterator[str]:
        """The names that providers list and we do not, as far as they are known to be theirs by their prefixes."""
        for offer in self._offers:
            if offer.listing is not None and PREFIXES.get(offer.provider):
                for name in offer.listing.names:
                    if name not in self._rows and provider_by_prefix(name) == offer.provider:
                        yield name

    def listed_names(self, credential: str = "") -> Iterator[str]:
        """What providers list, each plain and with the provider's name. `credential`: of this one alone."""
        for offer in self._offers:
            if offer.listing is not None and credential in ("", offer.id):
                for name in offer.listing.names:
                    yield name
                    yield f"{offer.provider}/{name}"

    def ways(self, name: str, provider: str = "") -> tuple[Way[O], ...]:
        """The ways to a model that is listed."""
        return _numbered(self._tiers(self.rows(name, provider), ""))

    def unlisted_ways(self, name: str, provider: str) -> tuple[Way[O], ...]:
        """The ways to a model of this provider that is not listed."""
        return _numbered(self._tiers([ModelRow(provider=provider, name=name, is_unlisted=True)], ""))

    def alias_ways(self, rule: AliasRule, star: str) -> tuple[Way[O], ...]:
        """The ways to what an alias leads to. A credential is asked once for the same model, by the first target that says so.

        Targets of one tier compete by the best credentials of each; their second best come after all of those.
        """
        ordered = rule.strategy == "ordered"
        groups: list[tuple[tuple[int, ...], list[_Share[O]]]] = []
        for place, target in enumerate(rule.targets):
            for depth, tier in enumerate(self._target_tiers(target, star)):
                # Where targets are asked in their order, each is through before the next begins.
                at = (target.tier, place, depth) if ordered else (target.tier, depth)
                total = sum(way.weight for way in tier)
                groups.append((at, [(target.weight * way.weight, total, way) for way in tier]))
        groups.sort(key=lambda group: group[0])
        return _numbered(
            _whole([share for _, group in same for share in group])
            for _, same in groupby(groups, key=lambda group: group[0])
        )

    def _target_tiers(self, target: Target, star: str) -> list[list[Way[O]]]:
        meant = target_of(target.model, star, self.is_listed)
        return [] if meant is None else self._tiers(self._target_rows(meant, target.credential), target.credential)

    def _target_rows(self, meant: Meaning, credential: str) -> list[ModelRow]:
        """The models that a target means. One that names provider or credential means a model that is not listed as well."""
        owner = next((offer.provider for offer in self._offers if offer.id == credential), "")
        if credential and (not owner or meant.provider not in ("", owner)):
            return []
        provider = meant.provider or owner
        rows = self.rows(meant.model, provider)
        if rows and (not credential or any(row.credential in ("", credential) for row in rows)):
            return rows
        if not provider or (provider, meant.model) in self._off:
            return []
        return [ModelRow(provider=provider, name=meant.model, credential=credential)]

    def _tiers(self, rows: Sequence[ModelRow], credential: str) -> list[list[Way[O]]]:
        """The ways, by who is asked before whom. `credential`: by this one alone."""
        first: dict[str, ModelRow] = {}  # by credential, which counts once, by the first row that it serves
        for row in rows:
            for offer in self._offers:
                if offer.provider != row.provider or row.credential not in ("", offer.id):
                    continue
                if credential in ("", offer.id) and (served := self._as_served(row, offer)) is not None:
                    first.setdefault(offer.id, served)
        serving = [offer for offer in self._offers if offer.id in first]
        tiers: list[list[Way[O]]] = []
        for _, same in groupby(serving, key=lambda offer: offer.rank):
            equal = list(same)
            ways = [Way(offer, first[offer.id], weight=offer.weight or 1) for offer in equal]
            if any(offer.weight is not None for offer in equal):
                tiers.append(ways)
            else:
                tiers += [[way] for way in ways]
        return tiers

    def _as_served(self, row: ModelRow, offer: O) -> ModelRow | None:
        """The row as this credential serves it; None: it does not.

        What the installation's credentials are used for is what the installation says: an organization's row neither brings back
        what is switched off for all, nor says what it costs.
        """
        known = self._house.get((row.provider, row.upstream), ())
        if not offer.rank[0] or row in known:
            return row
        names = spellings(row.provider, row.upstream)
        if not known and any((row.provider, each) in self._house_off for each in names):
            return None
        return row.charged_as(next((each for each in known if each.credential in ("", offer.id)), None))


def _whole[O: Offer](shares: Sequence[_Share[O]]) -> list[Way[O]]:
    """The ways of a tier with their shares as whole numbers."""
    if len(shares) == 1:
        return [shares[0][2]]
    exact = [Fraction(part, total) for part, total, _ in shares]
    scale = lcm(*(share.denominator for share in exact))
    return [Way(way.offer, way.row, 0, int(share * scale)) for share, (_, _, way) in zip(exact, shares, strict=True)]


def _numbered[O: Offer](tiers: Iterable[Sequence[Way[O]]]) -> tuple[Way[O], ...]:
    """All ways, each once, with the numbers of their tiers."""
    ways: dict[tuple[str, str], Way[O]] = {}
    number = 0
    for tier in tiers:
        before = len(ways)
        for way in tier:
            key = way.key
            if key not in ways:
                ways[key] = way if way.tier == number else Way(way.offer, way.row, number, way.weight)
        number += len(ways) > before
    return tuple(ways.values())
