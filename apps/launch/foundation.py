"""What `up` stands on before Django is loaded: a data folder that is ours, a port that is ours, services that answer."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.core.embedded import DataFolder, Embedded, ServiceError, State
from apps.core.embedded.processes import Identity, kill_group
from apps.launch.ports import listener
from apps.launch.terminal import Terminal

_COMMAND = "manage.py up"
_COMMAND_SECONDS = 30.0  # how long we wait for another command to finish with the data folder
_FREE_BYTES = 256 * 1024 * 1024  # a new cluster, its log and the spool's first segments


@dataclass(slots=True)
class Foundation:
    """What the `up` command finds ready."""

    folder: DataFolder
    services: Embedded
    listener: socket.socket  # kept open here, so that the port stays ours while web restarts
    terminal: Terminal
    began: float  # on the monotonic clock
    early_web: subprocess.Popen[bytes] | None = None  # web, where it got a head start
    environment: dict[str, str] = field(default_factory=dict)

    def publish(self, environment: dict[str, str]) -> None:
        """Let other commands find these services, and what else they need to act as if they were us."""
        me = Identity.of(os.getpid())
        if me:
            self.folder.publish(State(me, _COMMAND, environment))

    def abandon_web(self) -> None:
        """End a web with a head start that nobody came to watch."""
        if self.early_web:
            kill_group(self.early_web)


_current: list[Foundation] = []


def current_foundation() -> Foundation:
    """The one that `manage.py up` laid. Raises ServiceError when `up` is called another way."""
    if not _current:
        raise ServiceError("`up` starts services before Django is loaded: run it as `manage.py up`, or `make up`.")
    return _current[0]


def current_foundation_or_none() -> Foundation | None:
    """The same, for code that other commands pass as well."""
    return _current[0] if _current else None


@contextlib.contextmanager
def foundation(root: Path, host: str, port: int, services: Sequence[str]) -> Iterator[Foundation]:
    """Check what could go wrong, then start the named private services. Stops them at the end. Raises ServiceError."""
    began = time.monotonic()
    # Until the supervisor takes over, SIGTERM and a closed terminal unwind the stack like Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    terminal = Terminal()
    folder = DataFolder(root)
    with contextlib.ExitStack() as ending:
        _take(folder, terminal)
        ending.callback(folder.lock.close)
        folder.withdraw()  # what a killed run left written
        _check_space(root)
        listening = ending.enter_context(contextlib.closing(listener(host, port)))
        terminal.title(f"Tollgate, data in {root}")
        private = Embedded(folder, services)
        ground = Foundation(folder, private, listening, terminal, began)
        ending.callback(private.stop)
        ending.callback(folder.withdraw)
        ending.callback(ground.abandon_web)
        if services:
            with terminal.step("services") as done:
                ground.environment = private.start()
                names = " and ".join(server.title for server in private.servers)
                done(f"private {names} running")
        if len(services) < 2:
            terminal.line("services", "yours: what DATABASE_URL and REDIS_URL name is used as it is")
        _current[:] = [ground]
        try:
            yield ground
        finally:
            _current.clear()
    terminal.say("Stopped.")


def _take(folder: DataFolder, terminal: Terminal) -> None:
    note = f"{_COMMAND} (process {os.getpid()})"
    deadline, told = time.monotonic() + _COMMAND_SECONDS, False
    while not folder.lock.take(note):
        holder = folder.lock.note()
        if holder.startswith(_COMMAND) or time.monotonic() > deadline:
            raise ServiceError(
                f"{holder or 'Another process'} already runs on the data folder {folder.root}. Stop it first, or start"
                " this one on another folder and port: DATA_DIR=… PORT=… make up"
            )
        if not told:
            terminal.say(f"Waiting for {holder} to finish with {folder.root} …")
            told = True
        time.sleep(0.05)


def _check_space(root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < _FREE_BYTES:
        raise ServiceError(
            f"The disk is full: {root} has {free // 2**20} MB left and needs {_FREE_BYTES // 2**20}."
            " Free some space, or set DATA_DIR to another folder."
        )


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
