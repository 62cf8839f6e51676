"""Prices as aligned text for terminals: per million units and per thousand."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from apps.providers.prices.kinds import KINDS
from apps.providers.prices.money import shown
from apps.providers.prices.review import Review, Reviewed


def price_table(prices: Mapping[str, Decimal | None]) -> str:
    """One row's prices by kind: what a million units cost, and a thousand, in USD."""
    found = [(kind, price) for kind in KINDS if (price := prices.get(kind)) is not None]
    rows = [(kind, shown(price), shown(price / 1000)) for kind, price in found]
    return aligned([("USD", "per million", "per thousand"), *rows], right={1, 2})


def review_table(found: Review) -> str:
    """What an import would do, row by row; what stays the same is only counted, at the end."""
    said = [row for row in found.rows if row.verdict != "same"]
    lines = [("line", "", "price", "per million", "per thousand", "")]
    for row in said:
        prices = row.line.prices.items() if row.verdict != "refused" else ()
        amounts = [(f"{kind} {shown(price)}", f"{shown(price / 1000)}") for kind, price in prices]
        million, thousand = amounts[0] if amounts else ("", "")
        lines.append((str(row.line.number), row.verdict, _named(row), million, thousand, row.reason))
        lines += [("", "", "", million, thousand, "") for million, thousand in amounts[1:]]
    counts = ", ".join(
        f"{found.count(verdict)} {verdict}" for verdict in ("added", "changed", "same", "unusual", "refused")
    )
    return (aligned(lines, right={0, 4}) + "\n" if said else "") + counts


def aligned(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Columns as wide as their widest cell; those of `right` flush right. Nothing trails."""
    ends = set(right)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at in ends else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _named(row: Reviewed) -> str:
    line = row.line
    tier = f" {line.tier}" if line.tier else ""
    above = f" > {line.above}" if line.above else ""
    return f"{line.provider}/{line.model}{tier}{above} from {line.effective_from:%Y-%m-%d}"
