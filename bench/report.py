"""The figures as one table: a column for each server."""

from collections.abc import Callable, Sequence

from bench.measure import CONNECTIONS, STREAMS, Figures, Latency
from bench.mock_upstream import EVENTS

_LABEL, _COLUMN = 46, 18


def table(columns: Sequence[Figures]) -> str:
    """All of it. Ratios are to nginx, where that was measured."""
    nginx = next((each for each in columns if each.subject.name == "nginx"), None)

    def row(label: str, value: Callable[[Figures], str]) -> str:
        return label.ljust(_LABEL) + "".join(value(each).rjust(_COLUMN) for each in columns)

    def ratio(of: Callable[[Figures], float | None]) -> Callable[[Figures], str]:
        def value(each: Figures) -> str:
            mine, reference = of(each), of(nginx) if nginx else None
            return f"{mine / reference:.1f}" if mine is not None and reference else "-"

        return value

    lines = [
        row("", lambda each: f"{each.subject.name} {each.subject.version}".strip()),
        row(f"requests/s, {CONNECTIONS} connections", lambda each: f"{each.full.rate:,.0f}"),
        row("CPU µs per request", lambda each: _number(each.cpu_us)),
        row("  x nginx", ratio(lambda each: each.cpu_us)),
        row("  PostgreSQL's CPU beside it, µs per request", lambda each: _number(each.database_us)),
        row("  Valkey's CPU beside it, µs per request", lambda each: _number(each.store_us)),
        row("added latency, one connection: p50 ms", lambda each: _added(each.alone, 0)),
        row("                               p99 ms", lambda each: _added(each.alone, 1)),
        row("added latency, half load:      p50 ms", lambda each: _added(each.half, 0)),
        row("                               p99 ms", lambda each: _added(each.half, 1)),
        row("  at requests/s", lambda each: f"{each.half.through.rate:,.0f}" if each.half else "-"),
        row(f"streams/s, {STREAMS} connections, {EVENTS} chunks each", lambda each: f"{each.streams.rate:,.1f}"),
        row("CPU µs per stream", lambda each: _number(each.stream_cpu_us)),
        row("  x nginx", ratio(lambda each: each.stream_cpu_us)),
        row("CPU µs per stream translated from Messages", lambda each: _number(each.translated_cpu_us)),
        row("memory of the largest process, peak MB", lambda each: _number(each.memory_mb)),
        row("answers without a record in PostgreSQL", lambda each: _number(each.missing)),
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _added(latency: Latency | None, which: int) -> str:
    return "-" if latency is None else f"{latency.added[which]:+.2f}"
