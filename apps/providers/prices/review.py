"""What an import would do, row by row, and what speaks against it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import Literal

from apps.providers.prices.documents import UNITS, Line
from apps.providers.prices.kinds import KINDS, STANDARD, TOKEN_KINDS
from apps.providers.prices.money import shown

type Place = tuple[str, str, str, int]  # provider, model, tier, threshold
type Verdict = Literal["added", "changed", "same", "unusual", "refused"]

UNIT_DOUBT = 50  # times dearer or cheaper than known: then most of a file is probably in another unit
BAND = 10  # times dearer or cheaper than now: unusual


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the book: its prices in USD per million units, by kind."""

    effective_from: datetime
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One row of the file and what becomes of it."""

    line: Line
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """A whole file, in its order. `unit_doubt`: why its numbers look like another unit's; empty if they do not."""

    rows: tuple[Reviewed, ...]
    unit_doubt: str = ""

    def of(self, *verdicts: Verdict) -> list[Reviewed]:
        """The rows with one of these verdicts."""
        return [row for row in self.rows if row.verdict in verdicts]

    def count(self, verdict: Verdict) -> int:
        """How many rows have it."""
        return len(self.of(verdict))

    @property
    def refusal(self) -> str:
        """Why nothing of it may be imported; empty if all of it may."""
        if self.unit_doubt:
            return self.unit_doubt
        if bad := self.of("refused"):
            return f"{len(bad)} of {len(self.rows)} rows are refused, the first at line {bad[0].line.number}: {bad[0].reason}."
        if odd := self.of("unusual"):
            return (
                f"{len(odd)} of {len(self.rows)} prices are unusual, the first at line {odd[0].line.number}: {odd[0].reason}. "
                f"If that is right, import them with --trust."
            )
        return ""


def review(
    lines: Sequence[Line],
    *,
    own: Mapping[Place, Sequence[Known]],
    book: Mapping[Place, Known],
    trust: bool = False,
    replace: bool = False,
) -> Review:
    """What importing `lines` would do.

    `own`: the rows of the one who imports, of any time; `book`: the rows that apply to it now, the installation's included.
    `trust`: what is unusual is meant. `replace`: a row of the very same time gives way instead of standing against it.
    """
    history = {place: sorted(rows, key=lambda row: row.effective_from) for place, rows in own.items()}
    verdicts: dict[int, Reviewed] = {}
    # In the order of time, and a model's standard row first: a row may rest on one of the same file.
    for line in sorted(lines, key=lambda line: (line.effective_from, line.place)):
        found = _judge(line, history, book, trust=trust, replace=replace)
        verdicts[id(line)] = found
        if found.verdict in {"added", "changed", "unusual"}:
            rows = history.setdefault(line.place, [])
            rows[:] = [row for row in rows if row.effective_from != line.effective_from]
            rows.append(Known(line.effective_from, line.prices))
            rows.sort(key=lambda row: row.effective_from)
    return Review(tuple(verdicts[id(line)] for line in lines), "" if trust else _unit_doubt(lines, book))


def changes(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> str:
    """What differs, such as `input 2.5 → 3`."""
    return ", ".join(
        f"{kind} {_said(before.get(kind))} → {_said(after.get(kind))}"
        for kind in KINDS
        if before.get(kind) != after.get(kind)
    )


def _judge(
    line: Line, history: Mapping[Place, Sequence[Known]], book: Mapping[Place, Known], *, trust: bool, replace: bool
) -> Reviewed:
    if line.errors:
        return Reviewed(line, "refused", "; ".join(line.errors))
    earlier = [row for row in history.get(line.place, ()) if row.effective_from <= line.effective_from]
    current = earlier[-1] if earlier else None
    if current is not None and current.prices == line.prices:
        return Reviewed(line, "same")
    if current is not None and current.effective_from == line.effective_from and not replace:
        return Reviewed(
            line,
            "refused",
            f"there is a price from this time on ({changes(current.prices, line.prices)}): "
            f"choose a later effective_from, or replace it",
        )
    standard = history.get((line.provider, line.model, STANDARD, 0), ())
    if (line.tier or line.above) and not any(row.effective_from <= line.effective_from for row in standard):
        return Reviewed(
            line, "refused", "a tier or threshold needs the model's standard price first, from no later time"
        )
    reference = current or book.get(line.place)
    said = changes(current.prices, line.prices) if current else ""
    if reference is not None and (odd := unusual(reference.prices, line.prices)):
        if not trust:
            return Reviewed(line, "unusual", odd)
        said = said or odd
    return Reviewed(line, "changed" if current else "added", said)


def unusual(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> str:
    """The first price that is more than BAND times what it was, or less than that part of it."""
    for kind in KINDS:
        old, new = before.get(kind), after.get(kind)
        if old is None or new is None or old == new:
            continue
        if new > old * BAND or new * BAND < old:
            return f"{kind} {shown(old)} → {shown(new)}"
    return ""


def _unit_doubt(lines: Sequence[Line], book: Mapping[Place, Known]) -> str:
    """Why most of the file looks like another unit's; empty if it does not, or nothing can be compared."""
    typical = _typical(book.values())
    ratios = []
    for line in lines:
        known = book.get(line.place) or book.get((line.provider, line.model, STANDARD, 0))
        found = []
        for kind, price in line.prices.items():
            reference = (known.prices.get(kind) if known else None) or typical.get(kind)
            if kind in TOKEN_KINDS and price and reference:
                found.append(price / reference)
        if found:
            ratios.append((median(found), line.per))
    far = [(ratio, per) for ratio, per in ratios if ratio > UNIT_DOUBT or ratio * UNIT_DOUBT < 1]
    if len(far) * 2 <= len(ratios):
        return ""
    ratio = median(ratio for ratio, _ in far)
    said = Counter(per for _, per in far).most_common(1)[0][0]
    fits = min(UNITS, key=lambda unit: abs((ratio * said / UNITS[unit]).log10()))
    if UNITS[fits] == said:
        return ""
    given = next(unit for unit, per in UNITS.items() if per == said)
    return (
        f"{len(far)} of {len(ratios)} rows lie more than {UNIT_DOUBT} times beside known prices as {given}: "
        f"the file looks like {fits}. Import it with --unit {fits}, or with --trust if it is right."
    )


def _typical(rows: Iterable[Known]) -> dict[str, Decimal]:
    """What a token of each kind costs with half of the book's models, or less."""
    found: dict[str, list[Decimal]] = {kind: [] for kind in TOKEN_KINDS}
    for row in rows:
        for kind, price in row.prices.items():
            if price and kind in found:
                found[kind].append(price)
    return {kind: median(prices) for kind, prices in found.items() if prices}


def _said(price: Decimal | None) -> str:
    return "none" if price is None else shown(price)
