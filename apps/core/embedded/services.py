"""The private services of one data folder, as one object that is started and stopped."""

import contextlib
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from apps.core.embedded.accounts import Account, account_for
from apps.core.embedded.binaries import find_binaries
from apps.core.embedded.errors import storage_error
from apps.core.embedded.folder import DataFolder
from apps.core.embedded.machine import check_machine
from apps.core.embedded.postgres import Postgres
from apps.core.embedded.processes import stop
from apps.core.embedded.server import Server
from apps.core.embedded.valkey import Valkey

SERVICES: dict[str, type[Postgres] | type[Valkey]] = {"DATABASE_URL": Postgres, "REDIS_URL": Valkey}
_STOP_SECONDS = 30.0


class Embedded:
    """Private servers below a data folder. A context manager: what it started it stops, in reverse order.

    For who holds the folder's lock. Must be started in the process's main thread, which the servers follow into death.
    """

    def __init__(self, folder: DataFolder, variables: Iterable[str] = tuple(SERVICES), *, durable: bool = True) -> None:
        """`variables`: DATABASE_URL, REDIS_URL or both. Raises ServiceError where this machine cannot run them."""
        self._folder = folder
        self.running: list[tuple[Server, subprocess.Popen[bytes]]] = []
        self.servers: list[Server] = []
        self._sockets: Path | None = None
        self._account: Account | None = None
        wanted = [name for name in SERVICES if name in variables]
        if wanted:
            check_machine()
            try:
                account = self._account = account_for(folder.root)
                binaries = find_binaries(account, folder.root)
                self._sockets = sockets = folder.socket_folder(account)
            except OSError as error:
                raise storage_error(error, folder.root) from error
            self.servers = [SERVICES[name](folder, binaries, account, sockets, durable=durable) for name in wanted]

    def start(self, say: Callable[[Server], None] = lambda _: None) -> dict[str, str]:
        """Start them all; returns the variables that lead to them. Raises ServiceError.

        `say` is called with each server that answers.
        """
        try:
            if self.servers:
                self._folder.socket_folder(self._account)  # an earlier stop may have removed it
            for server in self.servers:
                server.log.unlink(missing_ok=True)  # a log tells of one run
                server.prepare()
                self.running.append((server, server.spawn()))
            for server, process in self.running:
                server.wait_ready(process)
                say(server)
        except OSError as error:
            self.stop()
            raise storage_error(error, self._folder.root) from error
        except BaseException:
            self.stop()
            raise
        return {server.variable: server.url for server in self.servers}

    def restart(self, server: Server) -> subprocess.Popen[bytes]:
        """Start `server` again after its process died, without waiting for it to answer. Raises ServiceError or OSError."""
        server.prepare()
        process = server.spawn()
        self.running = [(other, process if other is server else running) for other, running in self.running]
        return process

    def stop(self) -> None:
        """Stop them in good order, by force after half a minute. Harmless when nothing runs."""
        while self.running:
            server, process = self.running.pop()
            stop(process, server.stop_signal, _STOP_SECONDS)
        if self._sockets and self._sockets.parent != self._folder.root:
            with contextlib.suppress(OSError):  # not empty: a server was killed and left its socket
                self._sockets.rmdir()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # an impatient second Ctrl-C still finds everything stopped
            self.stop()
        self.stop()
