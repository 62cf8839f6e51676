"""What ships with this release: list prices of providers' models, from price_book.json with its sources. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from apps.providers.sandbox.catalogue import MODELS

_FILE = Path(__file__).parent.with_name("price_book.json")
_SANDBOX_SOURCE = "The sandbox's list prices, so that money can be tried without paying any"
_SANDBOX_PRICES = {
    "chat": {"input": Decimal("0.15"), "cached_input": Decimal("0.075"), "output": Decimal("0.60")},
    "embedding": {"input": Decimal("0.02")},
}


@dataclass(frozen=True, slots=True)
class SeedRow:
    """One row of the book as it ships; `prices` in USD per million units."""

    provider: str
    model: str
    tier: str
    above_input_tokens: int
    prices: Mapping[str, Decimal]
    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the book knows of a model beside its prices. Tokens; None: not known."""

    mode: str  # chat, embedding, audio_transcription …
    context_window: int | None
    max_output: int | None
    caps: frozenset[str]  # what it can do, and (no_…) what it refuses; empty: nobody has said
    efforts: tuple[str, ...]  # of reasoning that it takes, where known


@cache
def seed_rows() -> tuple[SeedRow, ...]:
    """Every price that ships with this release, each model's standard row first."""
    return (*_listed(), *_sandbox())


@cache
def model_facts() -> Mapping[tuple[str, str], ModelFacts]:
    """By provider and model, those without a price included."""
    return {
        _split(key): ModelFacts(
            entry["mode"],
            entry["context_window"],
            entry["max_output"],
            frozenset(entry.get("caps", ())),
            tuple(entry.get("efforts", ())),
        )
        for key, entry in _book()["models"].items()
    }


@cache
def aliases() -> Mapping[tuple[str, str], str]:
    """Names that a provider documents for another of its models: provider and alias → model."""
    return {_split(key): model for key, model in _book()["aliases"].items()}


@cache
def as_of() -> datetime:
    """The date of the file."""
    return _day(_book()["as_of"])


@cache
def _book() -> dict[str, Any]:
    book: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return book


def _listed() -> Iterator[SeedRow]:
    for key, entry in _book()["models"].items():
        provider, model = _split(key)
        for tier, above, prices in entry["rows"]:
            yield SeedRow(
                provider,
                model,
                tier,
                above,
                {kind: Decimal(price) for kind, price in prices.items()},
                entry["source"],
                _day(entry["as_of"]) if "as_of" in entry else as_of(),
            )


def _sandbox() -> Iterator[SeedRow]:
    for model in MODELS:
        yield SeedRow("sandbox", model.name, "", 0, _SANDBOX_PRICES[model.kind], _SANDBOX_SOURCE, as_of())


def _split(key: str) -> tuple[str, str]:
    provider, _, model = key.partition("/")
    return provider, model


def _day(word: str) -> datetime:
    return datetime.fromisoformat(word).replace(tzinfo=UTC)
