"""As whom servers run. PostgreSQL refuses to run as root, so root lends it an ordinary account."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.core.embedded.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Account:
    """An ordinary user that root starts servers as."""

    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Arguments for subprocess that change to this user, with no group of root's left."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, folder: Path) -> bool:
        """Whether this user can pass through `folder`: asked of the kernel, as modes do not tell (parents, ACLs)."""
        test = ["/bin/sh", "-c", 'test -x "$1"', "sh", os.fspath(folder)]
        result = subprocess.run(test, cwd="/", check=False, **self.popen_arguments())  # noqa: S603 - a constant command
        return result.returncode == 0

    def can_run(self, program: Path) -> bool:
        """Whether this user can execute `program`, asked with `--version`."""
        try:
            result = subprocess.run(  # noqa: S603 - one of our own binaries
                [program, "--version"], cwd="/", check=False, capture_output=True, **self.popen_arguments()
            )
        except OSError:
            return False
        return result.returncode == 0


def account_for(folder: Path) -> Account | None:
    """The account for servers whose data lies in `folder`; None means our own, as we are not root.

    As root: the folder's owner, or `nobody` where that is root as well. Raises ServiceError where the account that
    would run the servers has no entry in /etc/passwd, which PostgreSQL insists on.
    """
    if os.geteuid() != 0:
        _entry(os.geteuid())
        return None
    owner = folder.stat().st_uid
    if owner == 0:
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise ServiceError(
                "PostgreSQL does not run as root and there is no account `nobody` to lend it: run as an ordinary user,"
                " or give the data folder to one (chown)."
            ) from None
    else:
        entry = _entry(owner)
    return Account(entry.pw_uid, entry.pw_gid)


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise ServiceError(
            f"User id {uid} has no entry in /etc/passwd, which PostgreSQL needs: add one, or set DATABASE_URL to a"
            " server of your own."
        ) from None
