"""The processes that `up` runs besides the databases, as command lines."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.core.embedded import DataFolder
from apps.core.embedded.processes import spawn


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """How one child is started and stopped."""

    name: str
    argv: Sequence[str]
    log: Path
    checkout: Path
    pass_fds: tuple[int, ...] = ()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it, in the checkout, with our environment. If we die it dies at once: the record survives that."""
        return spawn(self.argv, log=self.log, death_signal=signal.SIGKILL, cwd=self.checkout, pass_fds=self.pass_fds)


def web(folder: DataFolder, checkout: Path, *, listening: int) -> ChildPlan:
    """Both planes in one process, on a socket that is already open: the port survives the process."""
    return ChildPlan(
        name="web",
        argv=[sys.executable, "manage.py", "serve", "--fd", str(listening)],
        log=folder.log("web"),
        checkout=checkout,
        pass_fds=(listening,),
    )


def worker(folder: DataFolder, checkout: Path) -> ChildPlan:
    """Celery's worker with its clock. Threads, because tasks wait on PostgreSQL most of the time."""
    options = ["-B", "-P", "threads", "-c", "2", "--without-mingle", "--without-gossip", "-l", "INFO"]
    schedule = ["--schedule", str(folder.root / "celerybeat-schedule")]
    return ChildPlan(
        name="worker",
        argv=[sys.executable, "-m", "celery", "-A", "config", "worker", *options, *schedule],
        log=folder.log("worker"),
        checkout=checkout,
    )


def sandbox(folder: DataFolder, checkout: Path, *, port: int) -> ChildPlan:
    """The built-in provider that needs no key."""
    return ChildPlan(
        name="sandbox",
        argv=[sys.executable, "-m", "apps.providers.sandbox", "--host", "127.0.0.1", "--port", str(port)],
        log=folder.log("sandbox"),
        checkout=checkout,
    )
