"""Prices as the console shows them: per million and per thousand for tokens, for one of everything else."""

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.core.numbers import separated
from apps.providers.prices.kinds import KINDS, TOKEN_KINDS
from apps.providers.prices.models import Price
from apps.providers.prices.money import shown

# What one of a kind is called that is not a token.
PIECES = MappingProxyType(
    {
        "per_image": _("image"),
        "per_second": _("second"),
        "per_character": _("character"),
        "per_request": _("request"),
        "per_search": _("search"),
    }
)
# The kinds with a column of their own in lists.
MAIN_KINDS = ("input", "cached_input", "output")


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One kind of a row, as text in USD; a token's price for one is left out, as nobody reads it."""

    label: Any
    per_million: str
    per_thousand: str
    per_one: str


def kind_label(kind: str) -> Any:
    """What a kind is called."""
    field: Any = Price._meta.get_field(kind)
    return field.verbose_name


def per_million(price: Decimal) -> str:
    """$2.50: at least two decimals."""
    return f"${_two(price)}"


def per_thousand(price: Decimal) -> str:
    """What a thousand cost at a price per million: $0.0025, exactly."""
    return f"${_two(price.scaleb(-3))}"


def per_one(price: Decimal) -> str:
    """What one costs at a price per million, exactly."""
    return f"${_two(price.scaleb(-6))}"


def price_lines(price: Price) -> list[PriceLine]:
    """Every kind that has a price, in the book's order."""
    lines = []
    for kind in KINDS:
        value = getattr(price, kind)
        if value is not None:
            label = PIECES[kind] if kind in PIECES else kind_label(kind)
            one = per_one(value) if kind in PIECES else ""
            lines.append(PriceLine(label, per_million(value), per_thousand(value), one))
    return lines


def other_prices(price: Price) -> str:
    """The kinds without a column of their own: tokens per million, everything else for one."""
    parts = []
    for kind in KINDS:
        value = getattr(price, kind)
        if value is None or kind in MAIN_KINDS:
            continue
        if kind in TOKEN_KINDS:
            parts.append(f"{kind_label(kind)} {per_million(value)}")
        else:
            parts.append(f"{PIECES[kind]} {per_one(value)}")
    return ", ".join(parts)


def tier_words(price: Price) -> str:
    """The tier, and from how many input tokens on: standard; batch; priority, above 272,000 tokens."""
    tier = str(price.get_tier_display())
    if price.above_input_tokens:
        return _("%(tier)s, above %(tokens)s tokens") % {
            "tier": tier,
            "tokens": separated(f"{price.above_input_tokens:,}"),
        }
    return tier


def _two(price: Decimal) -> str:
    whole, _point, rest = shown(price).partition(".")
    return separated(f"{int(whole):,}.{rest.ljust(2, '0')}")
