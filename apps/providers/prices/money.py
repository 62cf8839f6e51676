"""Exact money: prices in USD per million units, amounts in whole pico-USD (10^-12 USD). No float anywhere."""

import re
from decimal import Decimal

PICO = 10**12  # pico-USD in a USD
MAX_PRICE = 10**9  # USD per million units; more is a typing mistake
DECIMALS = 6  # of a price per million units, so that one unit costs a whole number of pico-USD
_NUMBER = re.compile(r"(\d{1,15})(?:\.(\d{1,18}))?", re.ASCII)


def usd(pico_usd: int) -> str:
    """The amount as decimal text with 12 places, exactly: 123450000 is "0.000123450000"."""
    sign = "-" if pico_usd < 0 else ""
    whole, rest = divmod(abs(pico_usd), PICO)
    return f"{sign}{whole}.{rest:012d}"


def pico(amount: Decimal) -> int:
    """The USD amount in pico-USD, exactly. Raises ValueError for what is no whole number of them, NaN and infinities included."""
    return _scaled(amount, 12)


def pico_per_unit(price: Decimal) -> int:
    """Pico-USD for one unit at `price` USD per million. Raises ValueError if that is no whole number."""
    return _scaled(price, DECIMALS)


def number(word: str) -> Decimal:
    """A plain decimal of 0 or more, as in `2.50`. Raises ValueError with a sentence: no signs, exponents, NaN or infinity."""
    match = _NUMBER.fullmatch(word.strip())
    if match is None:
        raise ValueError(f"{word.strip()[:40]!r} is not a price: write a plain decimal of 0 or more, such as 2.50")
    return Decimal(match[0])


def price(word: str, *, per: int = 1_000_000) -> Decimal:
    """A price in USD per million units, written per `per` units. Raises ValueError with a sentence."""
    return checked_price(per_million(number(word), per=per))


def per_million(value: Decimal, *, per: int) -> Decimal:
    """What a million units cost if `per` units, a power of ten, cost `value`. Exact."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("not a number")  # noqa: TRY004 - the caller expects one kind of error for any bad price
    return Decimal((sign, digits, exponent + 6 - (len(str(per)) - 1)))


def checked_price(value: Decimal) -> Decimal:
    """`value` if it can be a price per million units. Raises ValueError with a sentence."""
    if not value.is_finite() or value.is_signed():
        raise ValueError("a price is a number of 0 or more")
    if value > MAX_PRICE:
        raise ValueError(f"at most {MAX_PRICE} USD per million units")
    try:
        _scaled(value, DECIMALS)
    except ValueError:
        raise ValueError(f"at most {DECIMALS} decimals per million units") from None
    return value


def shown(value: Decimal) -> str:
    """A price as people write it: no trailing zeros, no exponent."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(value: Decimal, places: int) -> int:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no amount")  # noqa: TRY004 - see per_million
    whole = int("".join(map(str, digits)))
    shift = exponent + places
    if shift >= 0:
        if shift > 60 and whole:  # 10^60 is no amount of money
            raise ValueError(f"{value} is too large")
        scaled = whole * 10**shift if whole else 0
    else:
        scaled, rest = divmod(whole, 10**-shift) if -shift <= 60 else (0, whole)
        if rest:
            raise ValueError(f"{value} has more than {places} decimals")
    return -scaled if sign else scaled
