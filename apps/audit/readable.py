"""Numbers as an operator reads them, with the separators of the language in use."""

from decimal import ROUND_DOWN, Decimal

from apps.core.numbers import separated


def milliseconds(microseconds: int | None) -> str:
    """A length of time in microseconds as 0.8 ms, 12 ms or 3.41 s; — if it is not known."""
    if microseconds is None:
        return "—"
    if microseconds < 10_000:
        return separated(f"{microseconds / 1000:.1f}") + " ms"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.0f} ms"
    return separated(f"{microseconds / 1_000_000:.2f}") + " s"


def compact(number: int | None) -> str:
    """A count as 950, 12.3 k, 4.56 M or 7.89 G."""
    if number is None:
        return "—"
    for size, unit, digits in ((1_000_000_000, "G", 2), (1_000_000, "M", 2), (10_000, "k", 1)):
        if number >= size:
            return separated(f"{number / (1000 if unit == 'k' else size):,.{digits}f}") + f" {unit}"
    return separated(f"{number:,}")


def money(amount: Decimal | None) -> str:
    """USD as $1,234.56, $2.5075 or $0.000123, cut rather than rounded, so that what is spent never looks like more; — for None.

    The smaller the amount, the more decimals, at most six; below that, it says that there is something.
    """
    if amount is None:
        return "—"
    size = abs(amount)
    places = 2 if size >= 100 else 4 if size >= 1 else 6
    shown = size.quantize(Decimal(1).scaleb(-places), ROUND_DOWN)
    sign = "-" if amount < 0 else ""
    if size and not shown:
        return f"{sign}<${separated('0.000001')}"
    return f"{sign}${_trimmed(shown)}"


def money_compact(amount: Decimal | None) -> str:
    """USD in few characters: $12,345 from a thousand on, $1.23 M from a million on; below as `money`. Cut, not rounded."""
    if amount is None or abs(amount) < 1000:
        return money(amount)
    sign = "-" if amount < 0 else ""
    if abs(amount) < 1_000_000:
        return f"{sign}${separated(f'{abs(amount).quantize(Decimal(1), ROUND_DOWN):,f}')}"
    millions = (abs(amount) / 1_000_000).quantize(Decimal("0.01"), ROUND_DOWN)
    return f"{sign}${separated(f'{millions:,f}')} M"


def money_exact(amount: Decimal | None) -> str:
    """USD to the last digit, with at least two decimals; — for None."""
    if amount is None:
        return "—"
    return f"{'-' if amount < 0 else ''}${_trimmed(abs(amount))}"


def _trimmed(amount: Decimal) -> str:
    """Without zeros at the end, but with two decimals."""
    whole, _point, rest = f"{amount:,f}".partition(".")
    return separated(f"{whole}.{rest.rstrip('0').ljust(2, '0')}")
