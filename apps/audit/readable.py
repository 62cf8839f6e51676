"""Numbers as an operator reads them."""


def milliseconds(microseconds: int | None) -> str:
    """A length of time in microseconds as 0.8 ms, 12 ms or 3.41 s; — if it is not known."""
    if microseconds is None:
        return "—"
    if microseconds < 10_000:
        return f"{microseconds / 1000:.1f} ms"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.0f} ms"
    return f"{microseconds / 1_000_000:.2f} s"


def compact(number: int | None) -> str:
    """A count as 950, 12.3 k, 4.56 M or 7.89 G."""
    if number is None:
        return "—"
    for size, unit, digits in ((1_000_000_000, "G", 2), (1_000_000, "M", 2), (10_000, "k", 1)):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):,.{digits}f} {unit}"
    return f"{number:,}"
