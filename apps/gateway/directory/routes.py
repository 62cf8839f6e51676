"""From the ways to a model to routes, which the gateway calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.gateway.directory.upstreams import heads_for
from apps.gateway.directory.views import Account, Route
from apps.providers.addressing import paths_name_model
from apps.providers.aliases.ways import Way
from apps.providers.listing.names import Listing
from apps.providers.model_rows import ModelRow
from apps.providers.prices.book import PriceBook
from apps.providers.translation.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Offered:
    """A credential that may be asked: an apps.providers.aliases.ways.Offer."""

    account: Account
    id: str
    provider: str
    rank: tuple[bool, int]
    weight: int | None
    listing: Listing | None
    heads: Mapping[str, bytes]  # where they do not depend on the model, so that all models share them; else empty


def offered(account: Account, *, rank: tuple[bool, int], weight: int | None, listing: Listing | None) -> Offered:
    """A credential on offer."""
    view = account.credential
    named = paths_name_model(view.provider, account.api_version)
    heads = {} if named else _heads(account, "")
    return Offered(account, view.id, view.provider, rank, weight, listing, heads)


def route_of(way: Way[Offered], book: PriceBook) -> Route:
    """A way, ready to be called."""
    offer, row = way.offer, way.row
    view, upstream, known = offer.account.credential, row.upstream, row.facts()
    longest = known.max_output if known else None
    return Route(
        credential=view,
        upstream_model=upstream,
        heads=offer.heads or _heads(offer.account, upstream),
        served=(
            (b"x-tollgate-provider", view.provider.encode()),
            (b"x-tollgate-model", upstream.encode("ascii", "replace")),
        ),
        book=book.of_the_installation() if view.hosted else book,
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
        tier=way.tier,
        weight=way.weight,
        names=way.names,
        is_listed=offer.listing is None or offer.listing.has(view.provider, upstream),
    )


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
        is_own=row["organization_id"] is not None,
    )


def _heads(account: Account, upstream: str) -> Mapping[str, bytes]:
    view = account.credential
    return heads_for(view.provider, view.base_url, account.api_version, upstream, account.authentication, view.origin)
