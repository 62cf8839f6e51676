"""`manage.py` as an operator runs it: another process, an environment that names no services, a data folder of its own."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds until a start counts as failed, on a busy machine
_OURS = re.compile(r"^(DATABASE_URL|REDIS_URL|SECRET_KEY|SEALING_KEYS|DATA_DIR|PORT|HOST|SPOOL_DIR)(_FILE)?$")


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """This process's environment without the suite's own services."""
    inherited = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**inherited, "DATA_DIR": str(data_dir), **variables}


def manage(*arguments: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env=environment(data_dir, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """A running `manage.py up` and what it printed so far."""

    def __init__(self, data_dir: Path, port: int, **variables: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.url = f"http://localhost:{port}"
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=CHECKOUT,
            env=environment(data_dir, PORT=str(port), **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, words: str) -> str:
        """Everything printed up to and including the line with `words`."""
        while words not in self.text:
            line = self._queue.get(timeout=PATIENCE)
            assert line is not None, f"`up` ended before it printed {words!r}:\n{self.text}"
            self.lines.append(line)
        return self.text

    def running(self) -> "Up":
        self.wait_for("Ctrl-C stops everything")
        return self

    def printed(self, pattern: str) -> str:
        match = re.search(pattern, self.text, re.MULTILINE)
        assert match, f"{pattern} is not in:\n{self.text}"
        return match.group(1)

    def children(self) -> set[int]:
        return descendants(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout:
            self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._queue.put(line)
        self._queue.put(None)


@contextmanager
def up(data_dir: Path, port: int | None = None, **variables: str) -> Iterator[Up]:
    running = Up(data_dir, port or free_port(), **variables)
    try:
        yield running
    finally:
        running.close()


def descendants(pid: int) -> set[int]:
    """Children of a process, their children, and so on."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found and child not in found}:
        found |= more
    return found - {pid}
