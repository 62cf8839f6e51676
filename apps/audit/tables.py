"""Request records as aligned text, for terminals and pipes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from apps.audit.models import RequestRecord
from apps.audit.readable import money


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    text: Callable[[RequestRecord], str]
    width: int  # at least
    most: int = 200  # a longer text is cut
    right: bool = False


def short_duration(microseconds: int | None) -> str:
    """A length of time in at most six characters: 840µs, 12ms, 1.24s, 2m05s; a dash for None."""
    if microseconds is None:
        return "-"
    if microseconds < 1000:
        return f"{microseconds}µs"
    if microseconds < 999_500:
        return f"{microseconds / 1000:.0f}ms"
    if microseconds < 59_995_000:
        return f"{microseconds / 1_000_000:.2f}s"
    minutes, seconds = divmod(round(microseconds / 1_000_000), 60)
    return f"{minutes}m{seconds:02}s"


def input_total(record: RequestRecord) -> int | None:
    """All tokens that went in, whether read from a provider's cache, written to it, or neither; None if nobody said."""
    buckets = (
        record.input_tokens,
        record.cache_read_tokens,
        record.cache_write_5m_tokens,
        record.cache_write_1h_tokens,
        record.audio_input_tokens,
        record.image_input_tokens,
        *((record.other_usage or {}).get(name) for name in ("audio_cache_read", "image_cache_read")),
    )
    known = [count for count in buckets if count is not None]
    return sum(known) if known else None


def _tokens(count: int | None, record: RequestRecord) -> str:
    if count is None:
        return "-"
    return f"~{count}" if record.usage_estimated else str(count)


def cost(record: RequestRecord) -> str:
    """What the request cost, with a ~ where its usage was estimated; "unpriced" if nobody knows, a dash if nothing was due."""
    if record.cost_usd is None:
        return "unpriced" if "unpriced" in record.flags else "-"
    return f"{'~' if record.usage_estimated else ''}{money(record.cost_usd)}"


COLUMNS: Sequence[_Column] = (
    _Column("TIME (UTC)", lambda record: f"{record.created_at:%Y-%m-%d %H:%M:%S}", 19),
    _Column("REQUEST", lambda record: record.shown_id, 36),
    _Column("SERVICE", lambda record: str(record.service or "-"), 7, 20),
    _Column("MODEL", lambda record: record.model_asked or "-", 12, 28),
    _Column("STATUS", lambda record: str(record.status), 6, right=True),
    _Column("ERROR", lambda record: record.error_code or "-", 5, 24),
    _Column("IN", lambda record: _tokens(input_total(record), record), 6, right=True),
    _Column("OUT", lambda record: _tokens(record.output_tokens, record), 6, right=True),
    _Column("COST", cost, 9, right=True),
    _Column("FIRST", lambda record: short_duration(record.first_byte_us), 6, right=True),
    _Column("TOTAL", lambda record: short_duration(record.total_us), 6, right=True),
)


class RecordTable:
    """Lines of a table whose columns fit the records it was made with, and stay so for those that follow."""

    def __init__(self, first: Iterable[RequestRecord]) -> None:
        cells = [[column.text(record)[: column.most] for column in COLUMNS] for record in first]
        self._widths = [
            max(column.width, len(column.title), *(len(row[index]) for row in cells))
            if cells
            else max(column.width, len(column.title))
            for index, column in enumerate(COLUMNS)
        ]

    def header(self) -> str:
        """The titles."""
        return self._line([column.title for column in COLUMNS])

    def line(self, record: RequestRecord) -> str:
        """One record."""
        return self._line([_cut(column.text(record), column.most) for column in COLUMNS])

    def _line(self, cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, column, width in zip(cells, COLUMNS, self._widths, strict=True)
        )
        return "  ".join(aligned).rstrip()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
