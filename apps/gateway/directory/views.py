"""What the directory holds: small, immutable, ready to use. No ORM rows on the request path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from apps.gateway.config import Timeouts
from apps.gateway.upstream.pool import Origin
from apps.providers.kinds import Dialect, Kind
from apps.providers.prices.book import PriceBook
from apps.providers.prices.sheet import PriceSheet
from apps.providers.translation.upstream import Upstream

type Strategy = Literal["ordered", "weighted", "least_latency", "least_busy"]

if TYPE_CHECKING:
    from apps.gateway.governance.governor import Governor


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token that exists, with all that decides whether it opens. Ids are kept as the text that records carry."""

    id: UUID
    token: str
    service_id: UUID
    service: str
    organization_id: UUID
    organization: str
    scopes: frozenset[str]  # empty: all
    expires_at: float  # Unix seconds; infinity: never
    revoked: bool
    suspended: bool  # its service is disabled or its organization suspended
    governor: "Governor"


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A provider account, opened and ready to be called."""

    id: str
    provider: str
    label: str
    base_url: str
    origin: Origin
    timeouts: Timeouts
    kind: Kind  # what holds for every account of its provider, its dialect among it


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer for a model: which credential, under which name, and how the request's head begins by endpoint."""

    credential: CredentialView
    upstream_model: str
    heads: Mapping[str, bytes]
    served: tuple[tuple[bytes, bytes], ...]  # answer headers that say what served it
    book: PriceBook
    priced: str  # the name to look for in the book
    priced_as: str  # another name that it is to be priced as; empty: its own
    context: int | None  # the most input tokens, where known
    longest: int | None  # the most output tokens, where known
    upstream: Upstream  # the same model, as translation knows it
    mode: str = ""  # what the book says the model is for: chat, responses, embedding …; empty: nothing
    tier: int = 0  # those of a lower tier are tried first
    weight: int = 1  # its share among those of its tier, where shares count

    @property
    def dialect(self) -> Dialect:
        """What its provider speaks."""
        return self.credential.kind.dialect

    def serves(self, endpoint: str) -> bool:
        """Whether the provider has this endpoint, in its own dialect."""
        return endpoint in self.heads

    def sheet(self, at: float) -> PriceSheet | None:
        """Its prices at a time (Unix seconds); None: nobody has told us any."""
        return self.book.sheet(self.credential.provider, self.priced, at, self.priced_as)


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model that an organization may ask for, with its routes in the order they are tried. None: no usable credential."""

    name: str
    provider: str
    created: int  # Unix seconds
    owned_by: str
    routes: tuple[Route, ...]
    strategy: Strategy = "ordered"  # which of the routes of a tier is tried first


Models = Mapping[str, ModelView]
