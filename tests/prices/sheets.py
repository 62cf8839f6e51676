"""Sheets without a database: those that ship, and those a test writes."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID, uuid4, uuid5

from apps.providers.prices.book import PriceBook, compile_book
from apps.providers.prices.kinds import KINDS
from apps.providers.prices.seed import seed_rows
from apps.providers.prices.sheet import PriceSheet

NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
_NAMES = UUID("6f6b1c70-9d5c-4b0e-8f0e-000000000000")


def row(
    provider: str = "openai",
    model: str = "house",
    *,
    tier: str = "",
    above: int = 0,
    since: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    organization: UUID | None = None,
    key: UUID | None = None,
    **prices: str,
) -> dict[str, Any]:
    """A row as PRICES_SQL returns it."""
    return {
        "id": key or uuid4(),
        "organization_id": organization,
        "provider": provider,
        "model": model,
        "tier": tier,
        "above_input_tokens": above,
        "effective_from": since,
        **{kind: Decimal(prices[kind]) if kind in prices else None for kind in KINDS},
    }


def sheet(*rows: dict[str, Any]) -> PriceSheet:
    """The sheet of rows that all are of the model `house`."""
    found = compile_book(rows).sheet("openai", "house", NOW)
    assert found is not None
    return found


@cache
def shipped() -> PriceBook:
    """The book as it ships."""
    return compile_book(
        row(
            seed.provider,
            seed.model,
            tier=seed.tier,
            above=seed.above_input_tokens,
            key=price_id(seed.provider, seed.model, seed.tier, seed.above_input_tokens),
            **{kind: str(price) for kind, price in seed.prices.items()},
        )
        for seed in seed_rows()
    )


def price_id(provider: str, model: str, tier: str = "", above: int = 0) -> UUID:
    """The id that a row of `shipped` has here."""
    return uuid5(_NAMES, f"{provider}/{model}/{tier}/{above}")
