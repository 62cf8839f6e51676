"""Which services and keys a command needs, decided before Django's settings are read. Imports no Django."""

import contextlib
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from apps.core.embedded import DataFolder, ServiceError, borrowed
from apps.core.sealing import Keyring
from apps.launch.foundation import foundation

SERVICES = ("DATABASE_URL", "REDIS_URL")
KEYS = ("SECRET_KEY", "SEALING_KEYS")
# What commands beside a running `up` take from it: they act on the same installation, by the same rules.
RULES = ("TENANCY", "TOLLGATE_EXTRA_APPS", "TOLLGATE_EXTRA_URLS", "EMAIL_URL", "DEFAULT_FROM_EMAIL")
VARIABLES = (*SERVICES, *KEYS, "ALLOWED_HOSTS", "PUBLIC_URL", *RULES)

# These read and write no data: they get URLs that lead nowhere, and keys that nothing is kept under.
_NEED_NOTHING = frozenset(
    {"help", "version", "makemessages", "compilemessages", "collectstatic", "findstatic", "sandbox", "diffsettings"}
)
_NOWHERE = {"DATABASE_URL": "postgresql:///tollgate?host=/nonexistent", "REDIS_URL": "unix:///nonexistent/valkey.sock"}
# These are for databases without tables; every other command would fail there in a less helpful way.
_NEED_NO_TABLES = frozenset(
    {"migrate", "showmigrations", "sqlmigrate", "makemigrations", "test", "dbshell", "shell", "inspectdb", "check"}
)
_LOOPBACK = "127.0.0.1/32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the environment says. `given`: those of VARIABLES that it sets, as NAME or as NAME_FILE, with their values."""

    data_dir: Path
    host: str
    port: int
    egress_allow: str
    given: Mapping[str, str]

    def gives(self, name: str) -> bool:
        """Whether the environment sets `name`."""
        return name in self.given or f"{name}_FILE" in self.given


@contextlib.contextmanager
def environment_for(argv: Sequence[str], wishes: Wishes) -> Iterator[dict[str, str]]:
    """The variables to add to the environment for the command in `argv`, with the services behind them alive meanwhile.

    What the environment sets is left alone. Raises ServiceError.
    """
    command = argv[1] if len(argv) > 1 else "help"
    missing = [name for name in SERVICES if not wishes.gives(name)]
    if _needs_nothing(command, argv):
        yield _left_open(
            {**_NOWHERE, "SECRET_KEY": secrets.token_urlsafe(48), "SEALING_KEYS": Keyring.generate()}, wishes
        )
    elif command == "up":
        with foundation(wishes.data_dir, wishes.host, wishes.port, missing) as ground:
            variables = _left_open({**_keys(ground.folder), **_addresses(wishes)}, wishes) | ground.environment
            variables["EGRESS_ALLOW"] = ",".join(filter(None, (wishes.egress_allow, _LOOPBACK)))  # the sandbox's
            ground.publish({**wishes.given, **variables})
            yield variables
    elif missing:
        with borrowed(wishes.data_dir, missing, f"manage.py {command}") as found:
            variables = _left_open({**_keys(DataFolder(wishes.data_dir)), **found}, wishes)
            if command not in _NEED_NO_TABLES and "DATABASE_URL" in variables:
                _check_tables(variables["DATABASE_URL"], wishes.data_dir)
            yield variables
    else:
        # Somebody's own services: keys are made for them by `up` alone, so that a deployment that forgot its keys says so.
        keys = {name: file for name in KEYS if (file := wishes.data_dir / "keys" / name.lower()).is_file()}
        yield _left_open({f"{name}_FILE": str(file) for name, file in keys.items()}, wishes)


def _needs_nothing(command: str, argv: Sequence[str]) -> bool:
    helps = {"-h", "--help", "--version"} & set(argv)
    return bool(helps) or command in _NEED_NOTHING or (command == "check" and "--database" not in argv)


def _left_open(variables: dict[str, str], wishes: Wishes) -> dict[str, str]:
    """Those of `variables` that the environment does not set itself."""
    return {name: value for name, value in variables.items() if not wishes.gives(name.removesuffix("_FILE"))}


def _keys(folder: DataFolder) -> dict[str, str]:
    return {
        "SECRET_KEY_FILE": str(folder.secret("secret_key")),
        "SEALING_KEYS_FILE": str(folder.secret("sealing_keys", Keyring.generate)),
    }


def _addresses(wishes: Wishes) -> dict[str, str]:
    """ALLOWED_HOSTS and PUBLIC_URL for a HOST that is not this machine alone."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    public = f"http://localhost:{wishes.port}"
    if wishes.host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        address = _own_address()
        names += [socket.gethostname(), address]
        public = f"http://{address}:{wishes.port}"
    elif wishes.host not in {"localhost", "127.0.0.1", "::1"}:
        names.append(_in_url(wishes.host))
        public = f"http://{_in_url(wishes.host)}:{wishes.port}"
    return {"ALLOWED_HOSTS": ",".join(dict.fromkeys(names)), "PUBLIC_URL": public}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_address() -> str:
    """The address that this machine would call the outside from; the host's name if it has no way out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: a datagram socket only chooses its route
        return str(probe.getsockname()[0])
    return socket.gethostname()


def _check_tables(database_url: str, data_dir: Path) -> None:
    try:
        with psycopg.connect(database_url) as connection:
            found = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
    except psycopg.Error as error:
        raise ServiceError(f"The private database in {data_dir} refused a connection: {error}") from error
    if not found or found[0] is None:
        raise ServiceError(
            f"The database in {data_dir} has no tables yet. Run `make up`, or `.venv/bin/python manage.py migrate`, first."
        )
