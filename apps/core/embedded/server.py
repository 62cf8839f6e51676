"""What PostgreSQL and Valkey have in common for their supervisor."""

import signal
import subprocess
from pathlib import Path
from typing import Protocol


class Server(Protocol):
    """A private server. The order of calls: `prepare`, `spawn`, `wait_ready`; after a crash the same again."""

    name: str
    title: str
    log: Path
    stop_signal: signal.Signals
    variable: str  # the environment variable that its URL goes into

    @property
    def url(self) -> str:
        """Where clients find it."""
        ...

    def prepare(self) -> None:
        """Make it startable: create its data on first use, clear what a killed run left. Raises ServiceError."""
        ...

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process."""
        ...

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when it answers. Raises ServiceError with the end of its log when it dies or takes too long."""
        ...
