"""Real PostgreSQL and Valkey for the whole test run: private ones, unless the environment names others."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from apps.core.embedded import DataFolder, Embedded
from apps.core.sealing import Keyring

_PREFIX = "tollgate-test-"


def provide_services(ending: ExitStack) -> None:
    """Set every variable that the settings require. What is started is stopped by `ending`, or by the kernel if killed.

    DATABASE_URL and REDIS_URL are honoured where set; only what is missing is started, in a temporary data folder.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("SECRET_KEY", "only-for-tests-" * 4)
    os.environ.setdefault("SEALING_KEYS", Keyring.generate())
    with _one_run_at_a_time():
        _remove_leftovers()
        root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        folder = DataFolder(root)
        folder.lock.take("the tests")
    root.chmod(0o711)  # the servers' account passes through
    ending.callback(shutil.rmtree, root, ignore_errors=True)
    os.environ.setdefault("DATA_DIR", str(root))
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    services = Embedded(folder, missing, durable=False)
    ending.callback(services.stop)
    os.environ.update(services.start())


@contextmanager
def _one_run_at_a_time() -> Iterator[None]:
    """Between runs that start at once: none may take another's folder, made but not yet locked, for a leftover."""
    path = Path(tempfile.gettempdir()) / f".{_PREFIX}{os.geteuid()}"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_leftovers() -> None:
    """Folders of runs that were killed: those whose lock nobody holds. One that ends just now removes its own."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            if root.stat().st_uid == os.geteuid() and (root / "lock").is_file() and DataFolder(root).lock.take():
                shutil.rmtree(root, ignore_errors=True)
