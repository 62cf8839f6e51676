"""Real PostgreSQL and Valkey for the whole test run: private ones, unless the environment names others."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from apps.core.embedded import DataFolder, Embedded
from apps.core.sealing import Keyring

_PREFIX = "tollgate-test-"


def provide_services(ending: ExitStack) -> None:
    """Set every variable that the settings require. What is started is stopped by `ending`, or by the kernel if killed.

    DATABASE_URL and REDIS_URL are honoured where set; only what is missing is started, in a temporary data folder.
    """
    _remove_leftovers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("SECRET_KEY", "only-for-tests-" * 4)
    os.environ.setdefault("SEALING_KEYS", Keyring.generate())
    root = Path(tempfile.mkdtemp(prefix=_PREFIX))
    root.chmod(0o711)  # the servers' account passes through
    ending.callback(shutil.rmtree, root, ignore_errors=True)
    folder = DataFolder(root)
    folder.lock.take("the tests")
    os.environ.setdefault("DATA_DIR", str(root))
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    services = Embedded(folder, missing, durable=False)
    ending.callback(services.stop)
    os.environ.update(services.start())


def _remove_leftovers() -> None:
    """Folders of runs that were killed: those whose lock nobody holds."""
    for root in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if root.stat().st_uid == os.geteuid() and (root / "lock").is_file() and DataFolder(root).lock.take():
            shutil.rmtree(root, ignore_errors=True)
