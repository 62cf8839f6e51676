"""What the directory holds: small, immutable, ready to use. No ORM rows on the request path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from apps.gateway.config import Timeouts
from apps.gateway.directory.upstreams import head_lines
from apps.gateway.upstream.pool import Origin
from apps.providers.addressing import target_at
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
    changed: int = 0  # when it was changed last, in Unix milliseconds: how it fared before says nothing of it now
    hosted: bool = False  # the installation's own
    refused: str = ""  # the model that its provider has refused it for, as the console shows it; *: for all


@dataclass(frozen=True, slots=True)
class Account:
    """A credential as it can be called at any path, for what belongs to it: one that is drained as well."""

    credential: CredentialView
    api_version: str  # Azure's dated API; empty elsewhere
    authentication: str  # header lines that carry its secret
    drained: bool

    def head(self, method: str, path: str, *, query: str = "", content_type: str = "application/json") -> bytes:
        """How a request's head begins: all but Content-Length and what the call adds.

        `path` stands below the base URL, such as /files/file-1, and is percent-encoded as `query` is: whoever puts an id of a
        client's into it quotes that. `content_type` empty: the request has no body.
        """
        view = self.credential
        target = target_at(view.provider, view.base_url, self.api_version, path, query)
        lines = head_lines(view.origin, self.authentication, content_type)
        return f"{method} {target} HTTP/1.1\r\n{lines}".encode()


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
    names: tuple[str, ...] = ()  # what deny lists know the model by: its name, and its provider's and its name
    is_listed: bool = True  # False: its provider has a list of what it serves, and this is not in it

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

    name: str  # as it is asked for
    provider: str  # empty: an alias, of whatever provider
    created: int  # Unix seconds
    owned_by: str
    routes: tuple[Route, ...]
    strategy: Strategy = "ordered"  # which of the routes of a tier is tried first
    plain: str = ""  # the model's own name, where it is asked for as provider/model
