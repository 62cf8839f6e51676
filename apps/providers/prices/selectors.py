"""Every named read of the price book."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils.timezone import now

from apps.orgs.models import Organization
from apps.providers.prices.book import PRICES_SQL, PriceBook, candidates, compile_book
from apps.providers.prices.documents import Line
from apps.providers.prices.kinds import KINDS
from apps.providers.prices.models import Price
from apps.providers.prices.review import Known, Place, Review, review


def price_book(organization: Organization | None = None, models: Iterable[str] | None = None) -> PriceBook:
    """What `organization` pays; None: what one without prices of its own does. `models`: only for these names, as clients or
    `priced_as` say them."""
    names = None if models is None else sorted({name for model in models for name in candidates(model)})
    owner = None if organization is None else organization.pk
    with connection.cursor() as cursor:
        cursor.execute(PRICES_SQL, {"organization": owner, "models": names})
        columns = [column.name for column in cursor.description]
        return compile_book(dict(zip(columns, row, strict=True)) for row in cursor.fetchall())


def prices_of(organization: Organization | None) -> "QuerySet[Price]":
    """The rows that are an organization's own, or the installation's (None), of all times but withdrawn ones."""
    return Price.objects.filter(organization=organization, withdrawn_at=None)


def prices_in_force(organization: Organization | None, at: datetime | None = None) -> "QuerySet[Price]":
    """Of those, the latest of each model, tier and threshold at `at` (now)."""
    place = ("provider", "model", "tier", "above_input_tokens")
    rows = prices_of(organization).filter(effective_from__lte=at or now())
    return rows.order_by(*place, "-effective_from").distinct(*place)


def price_history(price: Price) -> "QuerySet[Price]":
    """Every row of the same owner, model, tier and threshold, newest first, withdrawn ones included."""
    return Price.objects.filter(
        organization=price.organization_id,
        provider=price.provider,
        model=price.model,
        tier=price.tier,
        above_input_tokens=price.above_input_tokens,
    ).order_by("-effective_from", "-id")


def prices_review(
    organization: Organization | None, lines: list[Line], *, trust: bool = False, replace: bool = False
) -> Review:
    """What importing `lines` for `organization`, or the installation (None), would do. Changes nothing."""
    own: dict[Place, list[Known]] = {}
    for row in prices_of(organization).values(*_PLACE, "effective_from", *KINDS):
        own.setdefault(_place(row), []).append(_known(row))
    book: dict[Place, Known] = {}
    for owner in (None, organization) if organization else (None,):
        book |= {_place(row): _known(row) for row in prices_in_force(owner).values(*_PLACE, "effective_from", *KINDS)}
    return review(lines, own=own, book=book, trust=trust, replace=replace)


_PLACE = ("provider", "model", "tier", "above_input_tokens")


def _place(row: dict[str, Any]) -> Place:
    return row["provider"], row["model"], row["tier"], row["above_input_tokens"]


def _known(row: dict[str, Any]) -> Known:
    return Known(row["effective_from"], {kind: row[kind] for kind in KINDS if row[kind] is not None})
