"""US dollars as people write and read them. Decimal throughout: never a float."""

import re
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

_PLAIN = re.compile(r"[+-]?(\d{1,12}(\.\d{1,12})?|\.\d{1,12})", re.ASCII)


def parse_usd(word: str, field: str) -> Decimal:
    """`5`, `0.25` or `-1.25` as an amount, exact. Raises ValidationError for anything else, under `field`.

    No currency sign, no exponent, no thousands separators: what could be read in two ways is not guessed at.
    """
    if _PLAIN.fullmatch(word) is None:
        raise ValidationError(
            {field: _("%(word)s is not an amount: write dollars as plain digits, such as 5 or 0.25.") % {"word": word}}
        )
    return Decimal(word)


def usd_text(amount: Decimal) -> str:
    """An amount in full: at least two decimals, and every one that it has."""
    text = f"{amount or Decimal(0):f}"  # never -0
    whole, _point, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def nano_text(nano: int) -> str:
    """The same of the store's nano-USD."""
    return usd_text(Decimal(nano).scaleb(-9))
