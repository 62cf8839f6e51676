"""The machine: what it is, and which cores measure and which are measured."""

import contextlib
import datetime
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


class BenchError(Exception):
    """Nothing can be measured. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Cores:
    """`measured` is the core of the server being measured; load generator, upstream and database share `others`."""

    measured: int
    others: frozenset[int]

    @classmethod
    def divide(cls) -> "Cores":
        """The first core that we may use is measured. On a machine with a single core both are the same."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], frozenset(allowed[1:]) or frozenset(allowed))


def program(name: str, remedy: str) -> str:
    """The path of a program. Raises BenchError with `remedy` where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if not found:
        raise BenchError(f"{name} is not installed. {remedy}")
    return found


@contextlib.contextmanager
def confined(cores: Iterable[int]) -> Iterator[None]:
    """Keep this process to `cores` meanwhile; whatever it starts meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def description(cores: Cores) -> list[str]:
    """Lines about the machine and the moment."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    others = ", ".join(map(str, sorted(cores.others)))
    shared = " (one core for all: requests/s and latency mean little)" if cores.measured in cores.others else ""
    when_and_where = (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {model}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Linux {platform.release()}, load average {os.getloadavg()[0]:.2f} at the start"
    )
    return [
        when_and_where,
        f"Server on core {cores.measured}; wrk, upstream and PostgreSQL on {others}{shared}",
    ]


def version(*argv: str) -> str:
    """The first line that a program says about itself."""
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    return next(iter((said.stdout + said.stderr).strip().splitlines()), "")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
