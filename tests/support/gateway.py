"""The gateway as it is deployed: `manage.py serve` in a process of its own, on a socket, on the tests' database.

    with GatewayProcess({"DRAIN_TIMEOUT": "2"}) as gateway:
        httpx.get(gateway.url + "/healthz")
        gateway.kill()                                  # as `kill -9` does
        gateway.start()                                 # on the same spool

What a gateway logs is kept in a file and shown when a test fails (tests/gateway/conftest.py).
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote, urlsplit

import httpx

from apps.core.embedded.processes import kill_group, spawn

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.0/8,::1/128"

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def eventually[T](look: Callable[[], T], *, timeout: float = 10, what: str = "") -> T:
    """What `look` returns once that is true; asks again every 20 ms. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or 'what was waited for'} (last seen: {found!r})")
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_database_url() -> str:
    """The URL of the database that pytest-django made: DATABASE_URL, but for the database's name."""
    from django.conf import settings
    from django.db import connection

    name = quote(str(connection.settings_dict["NAME"]), safe="")
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()


test_database_url.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name begins with


class GatewayProcess:
    """One gateway, which may be stopped, killed and started again on the same port and spool. A context manager.

    `variables` are added to its environment. Ends with the tests, however they end.
    """

    living: ClassVar[list["GatewayProcess"]] = []

    def __init__(
        self, variables: Mapping[str, str] = {}, *, workers: int = 1, plane: str = "all", stock_server: bool = False
    ) -> None:
        """`stock_server`: under uvicorn as it comes, without our protocol class."""
        self.folder = Path(tempfile.mkdtemp(prefix="tollgate-gateway-"))
        self.spool = self.folder / "spool"
        self.log = self.folder / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [ROOT / "manage.py", "serve", "--workers", str(workers), "--plane", plane]
        if stock_server:
            self._command = [
                "-m",
                "uvicorn",
                "config.asgi:application",
                "--http",
                "httptools",
                "--port",
                str(self.port),
            ]
        self._environment = {
            **os.environ,
            "DATABASE_URL": test_database_url(),
            "DATA_DIR": str(self.folder),
            "SPOOL_DIR": str(self.spool),
            "EGRESS_ALLOW": LOOPBACK,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "LOG_LEVEL": "info",
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    # --- Life ---

    def __enter__(self) -> Self:
        self.living.append(self)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(timeout=_STOP_SECONDS)
        self.kill()
        self.living.remove(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *, ready: bool = True) -> None:
        """Start, and wait until it answers; with `ready`, until it is ready for calls. Raises AssertionError."""
        process = self._process = spawn(
            [sys.executable, *self._command],
            log=self.log,
            death_signal=signal.SIGKILL,
            cwd=ROOT,
            env=self._environment,
        )

        def answers() -> bool:
            assert process.poll() is None, f"the gateway left with status {process.returncode}:\n{self.tail()}"
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(self.url + ("/readyz" if ready else "/healthz")).status_code == 200
            return False

        try:
            eventually(answers, timeout=_START_SECONDS, what="an answer of the gateway")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.tail()}") from None

    def terminate(self) -> None:
        """Ask it to end, as an orchestrator does (SIGTERM). Does not wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = _STOP_SECONDS) -> int:
        """Its exit status, once it has ended. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self, *, timeout: float = _STOP_SECONDS) -> int:
        """SIGTERM, and wait for the end. Returns its exit status; 0 if it was not running."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self.terminate()
        return self.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, at once and without warning, workers included."""
        if self._process is not None:
            kill_group(self._process)

    # --- What it is like ---

    @property
    def pid(self) -> int:
        """The process's id; with several workers, that of their parent."""
        assert self._process is not None
        return self._process.pid

    @property
    def memory(self) -> int:
        """Its resident memory, in bytes."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """What it has used of the processor since its start, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self, *, headers: Mapping[str, str] = {}) -> dict[str, float]:
        """Everything /metrics says: `name{labels}` → value."""
        text = httpx.get(self.url + "/metrics", headers=headers).raise_for_status().text
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def tail(self, since: int = 0, most: int = 20_000) -> str:
        """The log's end, at most `most` characters of what was written after byte `since`."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as source:
            source.seek(since)
            return source.read().decode(errors="replace")[-most:]


@contextlib.contextmanager
def gateways(count: int, variables: Mapping[str, str] = {}) -> Iterator[list[GatewayProcess]]:
    """Several gateways of their own beside each other, on the same database."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(GatewayProcess(variables)) for _ in range(count)]
