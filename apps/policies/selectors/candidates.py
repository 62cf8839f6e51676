"""What could answer for a name, as the gateway finds it: which models and credentials, in which order, at which price."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.core.sealing import SealingError
from apps.orgs.models import Organization
from apps.providers.aliases.names import AliasBook, Meaning, meaning_of
from apps.providers.aliases.selectors import alias_rules
from apps.providers.aliases.ways import Stock, Way
from apps.providers.listing.names import Listing
from apps.providers.model_rows import ModelRow
from apps.providers.models import Credential, ProviderModel
from apps.providers.prices.selectors import price_book
from apps.providers.prices.sheet import PriceSheet

_OUTPUT_UNKNOWN = 16_384  # output tokens assumed of a model whose longest answer nobody has told us


@dataclass(frozen=True, slots=True)
class CredentialSeen:
    """A credential without its secret: an apps.providers.aliases.ways.Offer."""

    id: str
    provider: str
    label: str
    rank: tuple[bool, int]
    weight: int | None
    unusable: str  # why it is not asked; empty: it may be
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One credential that could serve the model. `unusable`: why the gateway does not even consider it."""

    credential: CredentialSeen
    row: ModelRow
    tier: int
    names: tuple[str, ...]  # what deny lists know the model by
    unusable: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means, and who could answer for it. `meaning` None: nothing that is enabled."""

    meaning: Meaning | None
    candidates: tuple[Candidate, ...]  # in the order in which they are asked; then those that are unusable
    is_disabled: bool  # there is a model of this name, or one that it is a spelling of, which is disabled

    @property
    def plain(self) -> str:
        """The model's own name where it was asked for as provider/model; else empty."""
        return self.meaning.model if self.meaning is not None and self.meaning.provider else ""

    @property
    def says(self) -> str:
        """The meaning in words."""
        if self.meaning is None:
            return _("nothing")
        words = {"provider": self.meaning.provider}
        if self.meaning.is_unlisted:
            return _("a model of %(provider)s that is not listed") % words
        if (alias := self.meaning.alias) is None:
            return _("a model of %(provider)s") % words if self.meaning.provider else _("a model")
        targets = ", ".join(target.model for target in alias.targets) or _("nothing")
        return _("the alias %(alias)s of %(targets)s") % {"alias": alias.name, "targets": targets}


def find_candidates(organization: Organization, name: str) -> Found:
    """What `name` means for the organization. Each credential counts once for a model."""
    if not name:
        return Found(None, (), is_disabled=False)
    shared = Q(organization=organization) | Q(organization=None)
    models = sorted(ProviderModel.objects.filter(shared), key=lambda model: (model.organization_id is None, model.pk))
    on = [_row(model) for model in models if model.enabled]
    off = [_row(model) for model in models if not model.enabled]
    offers = sorted(
        (_seen(row, organization) for row in Credential.objects.filter(shared)), key=lambda seen: (seen.rank, seen.id)
    )
    aliases = AliasBook(alias_rules(organization))
    providers = {offer.provider for offer in offers if offer.unusable in ("", _drained())}
    stock = Stock(on, off, [offer for offer in offers if not offer.unusable], providers)
    everything = Stock([*on, *off], (), offers)
    meaning = meaning_of(name, aliases, stock.is_listed, stock.owner_of)
    meant = meaning or meaning_of(name, aliases, everything.is_listed, everything.owner_of)
    ways = _ways(stock, meaning)
    used = {way.key for way in ways}
    others = [way for way in _ways(everything, meant) if way.key not in used]
    return Found(
        meaning,
        (
            *(_candidate(way, "") for way in ways),
            *(_candidate(way, way.offer.unusable or _("the model is disabled there")) for way in others),
        ),
        is_disabled=meaning is None
        and meant is not None
        and not (meant.is_unlisted and meant.provider not in providers),
    )


def sheet_of(candidate: Candidate, organization: Organization, at: datetime) -> PriceSheet | None:
    """What the candidate costs the organization; None: it has no price."""
    row = candidate.row
    is_hosted = candidate.credential.rank[0]
    book = price_book(None if is_hosted else organization, row.book_names)
    return book.sheet(candidate.credential.provider, row.priced, at.timestamp(), row.priced_as)


def longest_output(row: ModelRow) -> int:
    """Output tokens that the model writes at most, as far as is known."""
    facts = row.facts()
    return _OUTPUT_UNKNOWN if facts is None or facts.max_output is None else facts.max_output


def _ways(stock: Stock[CredentialSeen], meaning: Meaning | None) -> Iterable[Way[CredentialSeen]]:
    if meaning is None:
        return ()
    if meaning.alias is not None:
        return stock.alias_ways(meaning.alias, meaning.star)
    if meaning.is_unlisted:
        return stock.unlisted_ways(meaning.model, meaning.provider)
    return stock.ways(meaning.model, meaning.provider)


def _candidate(way: Way[CredentialSeen], unusable: str) -> Candidate:
    return Candidate(way.offer, way.row, way.tier, way.names, unusable)


def _row(model: ProviderModel) -> ModelRow:
    return ModelRow(
        provider=model.provider,
        name=model.name,
        upstream_name=model.upstream_name,
        credential="" if model.credential_id is None else model.credential_id.hex,
        priced_as=model.priced_as,
        is_own=model.organization_id is not None,
    )


def _seen(row: Credential, organization: Organization) -> CredentialSeen:
    rank = (row.organization_id is None, row.priority)
    return CredentialSeen(row.pk.hex, row.provider, row.label, rank, row.weight, _unusable(row, organization))


def _unusable(credential: Credential, organization: Organization) -> str:
    if credential.organization_id is None and not organization.hosted_credentials:
        return _("the organization may not use the installation's credentials")
    if not credential.enabled:
        return _("the credential is disabled")
    try:
        credential.secret()
    except SealingError:
        return _("its secret cannot be opened")
    return "" if credential.drained_at is None else _drained()


def _drained() -> str:
    return _("the credential is drained")
