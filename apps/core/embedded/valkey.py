"""A private Valkey: append-only file below the data folder, reachable through a socket in a private folder only."""

import contextlib
import signal
import socket
import subprocess
from pathlib import Path

from apps.core.embedded.accounts import Account
from apps.core.embedded.binaries import Binaries
from apps.core.embedded.errors import ServiceError
from apps.core.embedded.folder import DataFolder
from apps.core.embedded.processes import eventually, evict, last_lines, spawn

_READY_SECONDS = 60.0
_EVICT_SECONDS = 10.0


class Valkey:
    """One private Valkey server."""

    name = "valkey"
    title = "Valkey"
    variable = "REDIS_URL"
    stop_signal = signal.SIGTERM

    def __init__(
        self, folder: DataFolder, binaries: Binaries, account: Account | None, sockets: Path, *, durable: bool = True
    ) -> None:
        """`durable=False` keeps nothing on disk: for tests."""
        self.log = folder.log(self.name)
        self._folder = folder
        self._binary = binaries.valkey_server
        self._account = account
        self._durable = durable
        self._socket = sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """In redis-py's spelling."""
        return f"unix://{self._socket}?db=0"

    def prepare(self) -> None:
        """End a server that a killed run left. Its socket needs no care: Valkey replaces it."""
        evict(self._folder.root / self.name, "valkey-server", signal.SIGTERM, _EVICT_SECONDS)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server as our direct child, in its data folder: named `./`, as its parents may be closed to it."""
        settings = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": "./",
            "--appendonly": "yes" if self._durable else "no",
            "--save": "",
            "--maxmemory-policy": "noeviction",
            "--daemonize": "no",
            "--loglevel": "warning",
            "--crash-log-enabled": "no",
        }
        return spawn(
            [self._binary, *(part for pair in settings.items() for part in pair)],
            log=self.log,
            death_signal=signal.SIGTERM,
            account=self._account,
            cwd=self._folder.server_folder(self.name, self._account),
        )

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when it answers PING with PONG, that is after it has read its file. Raises ServiceError."""
        if (
            not eventually(lambda: process.poll() is not None or self._pings(), _READY_SECONDS)
            or process.poll() is not None
        ):
            raise ServiceError(f"Valkey did not start. The end of {self.log}:\n{last_lines(self.log)}")

    def _pings(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self._socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False
