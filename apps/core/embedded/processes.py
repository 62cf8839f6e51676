"""Child processes that cannot outlive us: how they are started, recognised and stopped."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.core.embedded.accounts import Account

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_POLL_SECONDS = 0.02


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send us `death_signal` when our parent dies, whatever it dies of.

    Strictly: when the parent's *thread* that forked us ends, so parents fork from their main thread. A change of user
    id clears the wish and a fork does not inherit it.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    death_signal: signal.Signals,
    account: Account | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` when we die. Call it from the main thread.

    Output is appended to `log`. The child is in a process group of its own, so that Ctrl-C in a terminal reaches us
    alone and we decide the order of stopping. With `account` it runs as that user. Raises OSError.
    """
    parent = os.getpid()

    def bind() -> None:  # runs in the child after the change of user, which would clear the wish
        die_with_parent(death_signal)
        if os.getppid() != parent:  # we died in between: the kernel's signal is already missed
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the caller names one of our own programs
            [os.fspath(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            process_group=0,
            preexec_fn=bind,  # noqa: PLW1509 - the one way to set it after setuid; we are single-threaded here
            **(account.popen_arguments() if account else {}),
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, not to be confused with a later one of the same id: `started` is in clock ticks after boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The living process `pid`; None if there is none or only its zombie is left."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask `condition` every 20 ms until it holds (True) or `seconds` have passed (False)."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def stop(process: subprocess.Popen[bytes], first: signal.Signals, seconds: float) -> bool:
    """Signal `process`, give it `seconds`, then kill its whole group. Returns whether it went by itself."""
    if process.poll() is not None:
        return True
    process.send_signal(first)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_group(process)
        return False
    return True


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL `process` and whatever it started, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def working_in(folder: Path, program: str) -> Iterator[int]:
    """Ids of living processes called `program` that work in `folder`: how an earlier run's servers are recognised."""
    try:
        wanted = folder.stat()
    except FileNotFoundError:
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text(encoding="utf-8", errors="replace").strip() != program:
                continue
            place = (entry / "cwd").stat()
        except OSError:  # gone meanwhile, a zombie, or somebody else's
            continue
        if os.path.samestat(place, wanted):
            yield int(entry.name)


def evict(folder: Path, program: str, first: signal.Signals, seconds: float) -> None:
    """End the servers of an earlier run that still work in `folder`. Only for who holds the data folder's lock."""
    for pid in working_in(folder, program):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, first)
    if not eventually(lambda: not any(working_in(folder, program)), seconds):
        for pid in working_in(folder, program):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(working_in(folder, program)), seconds)


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log, for a message about what went wrong."""
    try:
        with log.open("rb") as source:
            source.seek(max(0, log.stat().st_size - 16_384))
            lines = source.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])
