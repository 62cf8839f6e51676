"""The price book as a file: CSV and JSON, read and written. Pure.

One row per model, tier and threshold, under the columns of COLUMNS; a row may name its own `unit`. What cannot be read is kept
as an error of its line, so that all that is wrong with a file can be told at once.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from apps.providers.names import model_name_is_valid
from apps.providers.prices.kinds import KINDS, STANDARD, TIERS
from apps.providers.prices.money import checked_price, number, per_million, shown

UNITS = MappingProxyType({"per_million": 1_000_000, "per_thousand": 1000, "per_token": 1})
COLUMNS = ("provider", "model", "tier", "above_input_tokens", "effective_from", *KINDS, "source", "note")
MAX_BYTES = 10_000_000
_NEEDED = ("provider", "model")
_PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TEXT_LENGTH = 300
_MAX_ABOVE = 2**31 - 1


class UnreadableFile(ValueError):
    """The file as a whole is not what it should be; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class Line:
    """One row of a file: its prices in USD per million units, and what is wrong with it."""

    number: int  # of the line in a CSV file, of the entry in a JSON file; from 1
    provider: str = ""
    model: str = ""
    tier: str = STANDARD
    above: int = 0
    effective_from: datetime
    prices: dict[str, Decimal] = field(default_factory=dict)
    per: int = 1_000_000  # the units that the file's numbers are for
    source: str = ""
    note: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What the row is a price of."""
        return self.provider, self.model, self.tier, self.above


def read_prices(content: bytes, *, unit: str, effective_from: datetime) -> list[Line]:
    """The rows of a CSV or JSON file. `unit`, `effective_from`: for rows that do not say. Raises UnreadableFile."""
    if len(content) > MAX_BYTES:
        raise UnreadableFile(f"The file is larger than {MAX_BYTES // 1_000_000} MB: import it in parts.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile("The file is not UTF-8: save it as CSV in UTF-8, or as JSON.") from None
    if not text.strip():
        raise UnreadableFile("The file holds no prices.")
    entries = _json(text) if text.lstrip()[:1] in {"[", "{"} else _csv(text)
    lines = [_line(at, entry, unit, effective_from) for at, entry in entries]
    if not lines:
        raise UnreadableFile("The file holds no prices.")
    seen: dict[tuple[Any, ...], int] = {}
    for line in lines:
        first = seen.setdefault((*line.place, line.effective_from), line.number)
        if first != line.number:
            line.errors.append(f"repeats line {first}: keep one of them")
    return lines


def write_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows, as mappings from column to value, as a CSV file that can be imported again."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(row) for row in rows)
    return out.getvalue()


def write_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows, as mappings from column to value, as a JSON file that can be imported again. Prices are strings, to stay exact."""
    entries = [{name: value for name, value in _plain(row).items() if value != ""} for row in rows]
    return json.dumps({"unit": "per_million", "prices": entries}, indent=1, ensure_ascii=False) + "\n"


def when(word: str) -> datetime:
    """A date, `2026-11-01` for its first moment in UTC, or a time in ISO 8601. Raises ValueError with a sentence."""
    try:
        found = datetime.fromisoformat(word.strip())
    except ValueError:
        raise ValueError(f"{word.strip()[:40]!r} is not a date: write 2026-11-01, or 2026-11-01T08:00:00Z") from None
    try:
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{word.strip()[:40]!r} is out of range") from None
    if not 2000 <= found.year < 2200:  # beside them, the year is mistyped
        raise ValueError(f"{word.strip()[:40]!r} is out of range: years from 2000 to 2199")
    return found


def _plain(row: Mapping[str, Any]) -> dict[str, str]:
    plain = {}
    for column in COLUMNS:
        value = row[column]
        if value is None:
            plain[column] = ""
        elif isinstance(value, Decimal):
            plain[column] = shown(value)
        elif isinstance(value, datetime):
            value = value.astimezone(UTC)
            midnight = value == value.replace(hour=0, minute=0, second=0, microsecond=0)
            plain[column] = f"{value:%Y-%m-%d}" if midnight else value.isoformat().replace("+00:00", "Z")
        else:
            plain[column] = str(value)
    return plain


def _csv(text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_columns(header)
        entries = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UnreadableFile(
                    f"Line {reader.line_num} has {len(cells)} cells, and the header {len(header)}: a comma too few or too many?"
                )
            entries.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise UnreadableFile(f"Line {reader.line_num} is not CSV: {error}.") from None
    return entries


def _json(text: str) -> list[tuple[int, dict[str, str]]]:
    try:
        # Numbers stay the text that they are: a float would not be exact.
        document = json.loads(
            text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_without_repetition
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(f"The file is not JSON: {str(error)[:200]}.") from None
    common: dict[str, str] = {}
    if isinstance(document, dict):
        if unknown := document.keys() - {"unit", "prices"}:
            raise UnreadableFile(f"Unknown fields {', '.join(sorted(unknown))[:200]}: there are `unit` and `prices`.")
        common = {"unit": document["unit"]} if "unit" in document else {}
        document = document.get("prices")
    if not isinstance(document, list):
        raise UnreadableFile('The file holds no list of prices: write [{…}, …] or {"prices": [{…}, …]}.')
    entries = []
    for position, entry in enumerate(document, 1):
        if not isinstance(entry, dict):
            raise UnreadableFile(f"Entry {position} is not an object.")
        _check_columns(list(entry), f"Entry {position}: ")
        cells = {name: "" if value is None else value for name, value in (common | entry).items()}
        if odd := [name for name, value in cells.items() if not isinstance(value, str)]:
            raise UnreadableFile(f"Entry {position}: {odd[0]} is neither text nor a number.")
        entries.append((position, cells))
    return entries


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise UnreadableFile(
            f"The field {next(name for name in names if names.count(name) > 1)!r} occurs twice in one object."
        )
    return found


def _check_columns(names: list[str], where: str = "") -> None:
    known = {*COLUMNS, "unit"}
    for name in names:
        if name not in known:
            raise UnreadableFile(f"{where}Unknown column {name[:60]!r}: there are {', '.join(COLUMNS)} and unit.")
        if names.count(name) > 1:
            raise UnreadableFile(f"{where}The column {name} occurs twice.")
    if missing := [name for name in _NEEDED if name not in names]:
        raise UnreadableFile(f"{where}The column {missing[0]} is missing.")


def _line(at: int, cells: Mapping[str, str], unit: str, effective_from: datetime) -> Line:
    """What the cells say; whatever cannot be read becomes an error of the line."""
    cells = {name: cell.strip() for name, cell in cells.items()}
    line = Line(number=at, effective_from=effective_from, provider=cells["provider"], model=cells["model"])
    if not _PROVIDER.fullmatch(line.provider):
        line.errors.append("provider: small letters, digits and _ only, such as openai")
    if not model_name_is_valid(line.model):
        line.errors.append("model: letters, digits and . _ : / @ + - only, beginning with a letter or digit")
    line.tier = cells.get("tier", STANDARD)
    if line.tier not in {STANDARD, *TIERS}:
        line.errors.append(f"tier: empty for the standard one, or one of {', '.join(TIERS)}")
    above = cells.get("above_input_tokens", "")
    if above.isascii() and above.isdigit() and int(above[:12]) <= _MAX_ABOVE and len(above) <= len(str(_MAX_ABOVE)):
        line.above = int(above)
    elif above:
        line.errors.append("above_input_tokens: a whole number of 0 or more")
    if cells.get("effective_from"):
        try:
            line.effective_from = when(cells["effective_from"])
        except ValueError as error:
            line.errors.append(f"effective_from: {error}")
    _read_amounts(line, cells, cells.get("unit") or unit)
    line.source, line.note = cells.get("source", ""), cells.get("note", "")
    line.errors += [
        f"{name}: at most {_TEXT_LENGTH} printable characters"
        for name in ("source", "note")
        if len(cells.get(name, "")) > _TEXT_LENGTH or not cells.get(name, "").isprintable()
    ]
    return line


def _read_amounts(line: Line, cells: Mapping[str, str], unit: str) -> None:
    if unit not in UNITS:
        line.errors.append(f"unit: one of {', '.join(UNITS)}")
        return
    line.per = UNITS[unit]
    for kind in KINDS:
        if not cells.get(kind):
            continue
        try:
            line.prices[kind] = per_million(number(cells[kind]), per=line.per)
            checked_price(line.prices[kind])
        except ValueError as error:
            line.errors.append(f"{kind}: {error}")
    if not line.prices and not line.errors:
        line.errors.append("no price at all: leave the row out, or write 0 for what is free")
