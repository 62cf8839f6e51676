"""The data folder: who may use it, what lies where, and how other commands learn which services run on it."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from apps.core.embedded.accounts import Account
from apps.core.embedded.errors import ServiceError, storage_error
from apps.core.embedded.processes import Identity

_SOCKET_PATH_LIMIT = 107  # bytes the kernel takes, without the closing NUL
_LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")  # needs no quoting in any client's URL


@dataclass(frozen=True, slots=True)
class State:
    """What runs on a data folder, for other commands to find.

    `environment` is what they need to join: DATABASE_URL, REDIS_URL and the like.
    """

    holder: Identity
    command: str
    environment: dict[str, str]
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Raises ValueError, TypeError or KeyError for text that is no state."""
        values = json.loads(raw)
        return cls(Identity(**values["holder"]), values["command"], values["environment"], values.get("extra", {}))


class Lock:
    """A lock that the kernel gives back when its holder dies, with a note about the holder."""

    def __init__(self, path: Path) -> None:
        """Opens `path`, without locking it yet. Raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, note: str = "", *, shared: bool = False, wait: bool = False) -> bool:
        """Take it; False if somebody else has it and `wait` is false."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        if note:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, note.encode(), 0)
        return True

    def note(self) -> str:
        """What the latest holder said about itself."""
        return os.pread(self._fd, 500, 0).decode(errors="replace")

    def close(self) -> None:
        """Give it back, unless a forked child has it as well."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


class DataFolder:
    """Everything that one installation keeps on disk. One process at a time runs services on it: `lock`'s holder."""

    def __init__(self, root: Path) -> None:
        """Creates what is missing. Raises ServiceError where it cannot."""
        self.root = root
        try:
            if not root.is_dir():
                root.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
            self.keys.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=root) as probe:
                probe.write(b"\0")
            self.lock = Lock(root / "lock")
            self.users = Lock(root / "users")  # held in shared mode by every command that uses private services
        except OSError as error:
            raise storage_error(error, root) from error

    @property
    def keys(self) -> Path:
        """Secrets: readable to the owner only."""
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        """What the processes that we start print."""
        return self.root / "logs"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"

    def server_folder(self, name: str, account: Account | None) -> Path:
        """A folder for a server's data that its account owns and nobody else reads."""
        folder = self.root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if account and folder.stat().st_uid != account.uid:
            _give(folder, account)
        return folder

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> Path:
        """The file of a secret, made on first use."""
        path = self.keys / name
        if not path.is_file() or not path.stat().st_size:
            self.write_private(path, make())
        return path

    def write_private(self, path: Path, content: str) -> None:
        """Write a file that its owner alone may read: whole or not at all."""
        fd, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # created 0600
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as target:
                target.write(content)
                target.flush()
                os.fsync(target.fileno())
            owner = self.root.stat()
            if os.geteuid() == 0 and owner.st_uid != 0:  # root started what the folder's owner will go on with
                os.chown(draft, owner.st_uid, owner.st_gid)
            Path(draft).rename(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def publish(self, state: State) -> None:
        """Tell other commands what runs here. For the holder of the lock."""
        self.write_private(self.root / "state.json", json.dumps(asdict(state), indent=1))

    def withdraw(self) -> None:
        """Nothing runs here any more. For the holder of the lock."""
        (self.root / "state.json").unlink(missing_ok=True)

    def state(self) -> State | None:
        """What runs here; None if nothing does, whatever a killed holder left written."""
        try:
            state = State.parse((self.root / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return state if state.holder.alive() else None

    def socket_folder(self, account: Account | None) -> Path:
        """A private folder for the servers' sockets: reachable by their account and short enough for the kernel.

        In the data folder where that serves, else in the machine's folder for such things.
        """
        nearby = self.root / "run"
        short = len(os.fsencode(nearby)) + _LONGEST_SOCKET_NAME <= _SOCKET_PATH_LIMIT
        if short and _PLAIN_PATH.fullmatch(str(nearby)) and (account is None or account.may_enter(self.root)):
            folder = nearby
        else:
            name = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:16]
            folder = _runtime_folder() / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if account and folder.stat().st_uid != account.uid:
            _give(folder, account)
        return folder


def _runtime_folder() -> Path:
    """Where this user's sockets may lie outside the data folder. Never trusts a folder that somebody else put there."""
    uid = os.geteuid()
    if uid == 0:
        folder, mode = Path("/run/tollgate"), 0o711
    elif Path(f"/run/user/{uid}").is_dir() and os.access(f"/run/user/{uid}", os.W_OK):
        folder, mode = Path(f"/run/user/{uid}/tollgate"), 0o700
    else:
        folder, mode = Path(tempfile.gettempdir()) / f"tollgate-{uid}", 0o700
    folder.mkdir(mode=mode, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise ServiceError(
            f"{folder} should be a folder that only you may write to: remove it, or set DATA_DIR to a shorter path."
        )
    return folder


def _give(folder: Path, account: Account) -> None:
    """Make `account` the owner of `folder` and of what is in it, which another account may have left."""
    for place, _, names in os.walk(folder):
        for name in ("", *names):
            os.chown(os.path.join(place, name) if name else place, account.uid, account.gid, follow_symlinks=False)  # noqa: PTH118 - os.walk speaks str
