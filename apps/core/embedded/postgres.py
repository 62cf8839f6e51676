"""A private PostgreSQL: created, started and recovered below the data folder, reachable through a socket only."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from apps.core.embedded.accounts import Account
from apps.core.embedded.binaries import Binaries
from apps.core.embedded.errors import ServiceError
from apps.core.embedded.folder import DataFolder
from apps.core.embedded.processes import eventually, evict, last_lines, spawn

_USER = _DATABASE = "tollgate"
_READY_SECONDS = 120.0  # recovery after a crash replays at most a few hundred megabytes of log
_EVICT_SECONDS = 20.0
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",  # nobody replicates from a private server
    "max_wal_senders": "0",
    "io_method": "sync",  # no separate processes for input and output: the data is small
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One private PostgreSQL server."""

    name = "postgres"
    title = "PostgreSQL"
    variable = "DATABASE_URL"
    stop_signal = signal.SIGINT  # "fast": ends sessions, writes a checkpoint

    def __init__(
        self, folder: DataFolder, binaries: Binaries, account: Account | None, sockets: Path, *, durable: bool = True
    ) -> None:
        """`durable=False` trades safety against power loss for speed: for tests."""
        self.log = folder.log(self.name)
        self._folder = folder
        self._binaries = binaries
        self._account = account
        self._sockets = sockets
        self._durable = durable
        self._cluster = folder.root / self.name

    @property
    def url(self) -> str:
        """For libpq and Django alike: the socket's folder is the host."""
        password = self._password_file().read_text(encoding="utf-8").strip()
        return f"postgresql://{_USER}:{quote(password, safe='')}@/{_DATABASE}?host={quote(str(self._sockets))}"

    def prepare(self) -> None:
        """Create the cluster on first use; end and clear what a killed run left. Raises ServiceError."""
        evict(self._cluster, "postgres", signal.SIGINT, _EVICT_SECONDS)
        # Whoever those files name is gone, or is another program that got its id, for which PostgreSQL would not start.
        for stale in (self._cluster / "postmaster.pid", *self._sockets.glob(".s.PGSQL.5432*")):
            stale.unlink(missing_ok=True)
        if not (self._cluster / "PG_VERSION").is_file():
            self._create()
        self._check_version()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server as our direct child; it shuts down in good order when we die."""
        options = {**_SETTINGS, "unix_socket_directories": str(self._sockets), **({} if self._durable else _FORGETFUL)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._reachable(self._cluster) as (path, fds):
            return spawn(
                [self._binaries.postgres_tool("postgres"), "-D", path, *settings],
                log=self.log,
                death_signal=signal.SIGINT,
                account=self._account,
                cwd=Path("/"),
                pass_fds=fds,
            )

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when connections are accepted. Raises ServiceError."""
        ask: list[str | Path] = [
            self._binaries.postgres_tool("pg_isready"),
            "--quiet",
            "--host",
            self._sockets,
            "--username",
            _USER,
        ]

        def answered() -> bool:
            if process.poll() is not None:
                return True
            return subprocess.run(ask, check=False, cwd="/").returncode == 0  # noqa: S603 - one of our own binaries

        if not eventually(answered, _READY_SECONDS) or process.poll() is not None:
            raise ServiceError(f"PostgreSQL did not start. The end of {self.log}:\n{last_lines(self.log)}")

    def _create(self) -> None:
        """Create the cluster beside its place and move it there when complete: killed half-way, it is made afresh."""
        if self._cluster.is_dir() and any(self._cluster.iterdir()):
            raise ServiceError(f"{self._cluster} holds files but no PostgreSQL cluster: move them away.")
        draft_name = "postgres.new"
        shutil.rmtree(self._folder.root / draft_name, ignore_errors=True)
        draft = self._folder.server_folder(draft_name, self._account)
        password = self._sockets / "password"  # a copy that the server's account may read, while initdb does
        password.write_text(self._password_file().read_text(encoding="utf-8"), encoding="utf-8")
        password.chmod(0o600)
        if self._account:
            os.chown(password, self._account.uid, self._account.gid)
        try:
            with self._reachable(draft) as (path, fds):
                self._run(
                    "initdb", "-D", path, "--username", _USER, "--auth", "scram-sha-256", "--pwfile", str(password),
                    "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin",
                    "--builtin-locale", "C.UTF-8", "--no-instructions", *([] if self._durable else ["--no-sync"]),
                    fds=fds,
                )  # fmt: skip
                self._run(
                    "postgres", "--single", "-D", path, "-c", "log_checkpoints=off", "postgres",
                    fds=fds, sql=f"CREATE DATABASE {_DATABASE}\n",
                )  # fmt: skip
        finally:
            password.unlink()
        if self._cluster.is_dir():
            self._cluster.rmdir()
        draft.rename(self._cluster)

    def _run(self, program: str, *arguments: str, fds: list[int], sql: str = "") -> None:
        result = subprocess.run(  # noqa: S603 - one of our own binaries
            [self._binaries.postgres_tool(program), *arguments],
            input=sql,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=fds,
            capture_output=True,
            text=True,
            check=False,
            process_group=0,
            **(self._account.popen_arguments() if self._account else {}),
        )
        if result.returncode != 0:
            ending = "\n".join((result.stderr or result.stdout).strip().splitlines()[-8:])
            raise ServiceError(f"PostgreSQL could not create its data folder ({program} failed):\n{ending}")

    def _check_version(self) -> None:
        """The binaries must be of the cluster's major version."""
        found = (self._cluster / "PG_VERSION").read_text(encoding="utf-8").strip()
        if found != "18":
            raise ServiceError(
                f"{self._cluster} was made by PostgreSQL {found} and the private server is 18: dump it with the old one"
                " first, or set DATA_DIR to another folder."
            )

    @contextmanager
    def _reachable(self, folder: Path) -> Iterator[tuple[str, list[int]]]:
        """A path by which the server's account reaches `folder`, and the descriptors it must inherit for that.

        Below a private folder, such as root's home, an absolute path is closed to another account. A descriptor
        that root opened is not: /proc/self/fd/N leads straight to the folder, without a look at its parents, and
        without loosening them.
        """
        if self._account is None:
            yield str(folder), []
            return
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{fd}", [fd]
        finally:
            os.close(fd)

    def _password_file(self) -> Path:
        return self._folder.secret("postgres_password")
