"""Services for one command: those that already run on the data folder, or its own while it or another needs them."""

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from apps.core.embedded.errors import ServiceError
from apps.core.embedded.folder import DataFolder, State
from apps.core.embedded.processes import Identity
from apps.core.embedded.services import Embedded

_PATIENCE_SECONDS = 60.0  # for another process that is starting or stopping services here
_SHARED_SECONDS = 0.3  # after that a keeper that still runs is in somebody else's use


@contextlib.contextmanager
def borrowed(root: Path, variables: Iterable[str], command: str) -> Iterator[dict[str, str]]:
    """The variables that lead to services on the data folder `root`, of which those in `variables` are needed.

    If `manage.py up` or another command runs services there, these. Otherwise a keeper process is forked that starts
    them and stops them when the last command is done. Raises ServiceError. Call it early: the fork needs a process
    without threads.
    """
    wanted = set(variables)
    folder = DataFolder(root)
    keeper: _Keeper | None = None
    folder.users.take(shared=True, wait=True)  # a keeper that is stopping lets us pass when it is done
    try:
        deadline, told = time.monotonic() + _PATIENCE_SECONDS, time.monotonic() + 1
        while True:
            state = folder.state()
            if state and wanted <= {name.removesuffix("_FILE") for name in state.environment}:
                environment = state.environment
                break
            if folder.lock.take(f"{command} (process {os.getpid()})"):
                keeper = _Keeper(folder, wanted, command)
                environment = keeper.environment
                break
            if time.monotonic() > told:
                told = deadline
                sys.stderr.write(f"Waiting for {folder.lock.note()}, which uses {root} …\n")
            if time.monotonic() > deadline:
                raise ServiceError(f"{folder.lock.note()} uses the data folder {root}. Try again when it is done.")
            time.sleep(0.05)
        yield environment
    finally:
        folder.users.close()
        folder.lock.close()
        if keeper:
            keeper.leave()


class _Keeper:
    """A forked process that runs services for commands. It outlives the one that began it while others use them."""

    def __init__(self, folder: DataFolder, variables: set[str], command: str) -> None:
        """Fork it and wait until the services answer. Raises ServiceError with what it met."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._inbox, outbox = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _keep(folder, variables, command, outbox)
        os.close(outbox)
        folder.lock.close()  # the keeper has it now
        answer = json.loads(self._line() or "{}")
        if "environment" not in answer:
            os.waitpid(self._pid, 0)
            raise ServiceError(answer.get("error", f"The private services did not start: see {folder.logs}."))
        self.environment: dict[str, str] = answer["environment"]

    def leave(self) -> None:
        """Wait for the services to stop, unless another command uses them."""
        if select.select([self._inbox], [], [], _SHARED_SECONDS)[0]:
            os.waitpid(self._pid, 0)
        os.close(self._inbox)

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (part := os.read(self._inbox, 65_536)):
            line += part
        return line


def _keep(folder: DataFolder, variables: set[str], command: str, outbox: int) -> NoReturn:
    """The keeper's whole life."""
    code = 1
    try:
        os.setsid()  # Ctrl-C at the command is not for us
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with Path(os.devnull).open("r+b") as nowhere:
            for stream in (0, 1, 2):
                os.dup2(nowhere.fileno(), stream)
        folder.withdraw()
        folder.users.close()  # the command's own; ours follows
        mine = DataFolder(folder.root).users
        try:
            services = Embedded(folder, variables)
            environment = services.start()
        except ServiceError as error:
            os.write(outbox, json.dumps({"error": str(error)}).encode() + b"\n")
            raise
        with contextlib.ExitStack() as ending:
            ending.callback(services.stop)
            ending.callback(folder.withdraw)
            me = Identity.of(os.getpid())
            if me:
                folder.publish(State(me, command, environment))
            os.write(outbox, json.dumps({"environment": environment}).encode() + b"\n")
            mine.take(wait=True)  # until nobody has it in shared mode
            with contextlib.suppress(BrokenPipeError):
                os.write(outbox, b"stopping\n")
        code = 0
    except SystemExit:
        code = 0
    except ServiceError:
        pass  # told already
    except Exception:  # noqa: BLE001 - the last chance to leave a trace
        folder.log("keeper").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(code)  # nothing of the command's own ending may run here twice
