"""What is measured of one server, in which order."""

import subprocess
import time
from dataclasses import dataclass

from bench.accounting import cpu_seconds, peak_memory
from bench.load import Load, first_answer, load
from bench.subjects import Subject

CONNECTIONS = 32
STREAMS = 16
_WARM_SECONDS = 2.0
_REST_SECONDS = 0.5
_IDLE_SHARE = 0.05  # of one core
_MOST_RESTS = 20  # some servers never rest


@dataclass(frozen=True, slots=True)
class Latency:
    """Two runs of the same load, one after the other: through the server, and to the upstream directly."""

    through: Load
    direct: Load

    @property
    def added(self) -> tuple[float, float]:
        """Milliseconds that the server adds: at the median, and at the 99th percentile."""
        return self.through.p50 - self.direct.p50, self.through.p99 - self.direct.p99


@dataclass(frozen=True, slots=True)
class Figures:
    """One server's figures. Microseconds of CPU; None where the server's cost is nobody's (the upstream)."""

    subject: Subject
    full: Load
    cpu_us: float | None
    database_us: float | None
    store_us: float | None
    alone: Latency | None
    half: Latency | None
    streams: Load
    stream_cpu_us: float | None
    translated_cpu_us: float | None
    memory_mb: float | None
    missing: int | None


def measure(subject: Subject, direct: Subject, seconds: float, half_rate: float | None = None) -> Figures:
    """Load `subject` with all it takes, then lightly, then with streams.

    `half_rate`: requests a second of the light load; None: half of what the first run showed.
    """
    first_answer(subject.url, subject.token)
    answered = (
        1
        + load(subject.url, token=subject.token, connections=CONNECTIONS, seconds=min(_WARM_SECONDS, seconds)).requests
    )
    _rest(subject)
    before, database_before, store_before = (_cpu(each) for each in (subject.process, subject.database, subject.store))
    full = load(subject.url, token=subject.token, connections=CONNECTIONS, seconds=seconds)
    _rest(subject)
    cpu = _each(subject.process, before, full.requests)
    database = _each(subject.database, database_before, full.requests)
    store = _each(subject.store, store_before, full.requests)
    alone = half = None
    if subject is not direct:
        alone = _latency(subject, direct, seconds / 2, connections=1)
        half = _latency(subject, direct, seconds / 2, connections=CONNECTIONS, rate=half_rate or full.rate / 2)
        answered += alone.through.requests + half.through.requests
    _rest(subject)
    before = _cpu(subject.process)
    streams = load(subject.stream_url, token=subject.token, connections=STREAMS, seconds=seconds, stream=True)
    _rest(subject)
    stream_cpu = _each(subject.process, before, streams.requests)
    answered += full.requests + streams.requests
    translated_cpu = None
    if subject.translated:
        before = _cpu(subject.process)
        translated = load(
            subject.stream_url,
            token=subject.token,
            connections=STREAMS,
            seconds=seconds,
            stream=True,
            model=subject.translated,
        )
        _rest(subject)
        translated_cpu = _each(subject.process, before, translated.requests)
        answered += translated.requests
    memory = peak_memory(subject.process.pid) if subject.process else None
    missing = max(0, answered - subject.recorded()) if subject.recorded else None
    return Figures(
        subject, full, cpu, database, store, alone, half, streams, stream_cpu, translated_cpu, memory, missing
    )


def _latency(
    subject: Subject, direct: Subject, seconds: float, *, connections: int, rate: float | None = None
) -> Latency:
    through, alone = (
        load(each.url, token=each.token, connections=connections, seconds=seconds, rate=rate)
        for each in (subject, direct)
    )
    return Latency(through, alone)


def _rest(subject: Subject) -> None:
    """Wait until what the server does after its answers, such as delivering records, is done: it is part of their cost."""
    for _ in range(_MOST_RESTS):
        before = _cpu(subject.process) + _cpu(subject.database)
        time.sleep(_REST_SECONDS)
        if _cpu(subject.process) + _cpu(subject.database) - before < _REST_SECONDS * _IDLE_SHARE:
            return


def _cpu(process: subprocess.Popen[bytes] | None) -> float:
    return cpu_seconds(process.pid) if process else 0.0


def _each(process: subprocess.Popen[bytes] | None, before: float, count: int) -> float | None:
    return (_cpu(process) - before) / count * 1e6 if process else None
