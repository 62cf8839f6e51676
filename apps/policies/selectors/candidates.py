"""What could answer for a model, as the gateway finds it: which models and credentials, in which order, at which price."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from apps.core.sealing import SealingError
from apps.orgs.models import Organization
from apps.providers.models import Credential, Provider, ProviderModel
from apps.providers.prices.book import names_of
from apps.providers.prices.seed import model_facts
from apps.providers.prices.selectors import price_book
from apps.providers.prices.sheet import PriceSheet

_OUTPUT_UNKNOWN = 16_384  # output tokens assumed of a model whose longest answer nobody has told us


class CredentialSeen(NamedTuple):
    """A credential without its secret."""

    id: str
    provider: str
    label: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One credential that could serve the model. `unusable`: why the gateway does not even consider it."""

    credential: CredentialSeen
    model: ProviderModel
    upstream: str
    unusable: str


def models_named(organization: Organization, name: str) -> list[ProviderModel]:
    """The models of this name that the organization is offered: enabled ones first, then its own."""
    rows = ProviderModel.objects.filter(Q(organization=organization) | Q(organization=None), name=name)
    return sorted(rows, key=lambda model: (not model.enabled, model.organization_id is None, model.pk))


def find_candidates(organization: Organization, models: Sequence[ProviderModel]) -> Iterator[Candidate]:
    """The credentials that could serve one of `models`, an organization's own first, then by priority. Each counts once."""
    offered = Credential.objects.filter(
        Q(organization=organization) | Q(organization=None), provider__in={model.provider for model in models}
    )
    ordered = sorted(offered, key=lambda row: (row.organization_id is None, row.priority, row.pk))
    seen: set[UUID] = set()
    for model in models:
        for row in ordered:
            if row.provider != model.provider or model.credential_id not in (None, row.pk) or row.pk in seen:
                continue
            seen.add(row.pk)
            unusable = "the model is disabled there" if not model.enabled else _unusable(row)
            facts = CredentialSeen(row.pk.hex, row.provider, row.label)
            yield Candidate(facts, model, model.upstream_name or model.name, unusable)


def sheet_of(candidate: Candidate, organization: Organization, at: datetime) -> PriceSheet | None:
    """What the candidate costs the organization; None: it has no price."""
    model = candidate.model
    name, other = _priced_name(model), model.priced_as
    book = price_book(organization, [name, other] if other else [name])
    return book.sheet(candidate.credential.provider, name, at.timestamp(), other)


def longest_output(model: ProviderModel) -> int:
    """Output tokens that the model writes at most, as far as is known."""
    vendor, _, other = model.priced_as.rpartition("/")
    provider = vendor or model.provider
    for name in names_of(provider, other or _priced_name(model)):
        facts = model_facts().get((provider, name))
        if facts is not None and facts.max_output is not None:
            return facts.max_output
    return _OUTPUT_UNKNOWN


def _unusable(credential: Credential) -> str:
    if not credential.enabled:
        return "the credential is disabled"
    try:
        credential.secret()
    except SealingError:
        return "its secret cannot be opened"
    return ""


def _priced_name(model: ProviderModel) -> str:
    """The name that a model is priced by: the provider's own, or its own where the provider's is an Azure deployment's."""
    return model.name if model.provider == Provider.AZURE_OPENAI else model.upstream_name or model.name
