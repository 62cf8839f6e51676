"""Servers to measure, each started from nothing: the upstream itself, Tollgate on a private installation, and nginx."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from apps.core.embedded import DataFolder, Embedded
from apps.core.embedded.postgres import Postgres
from apps.core.embedded.processes import eventually, last_lines, spawn, stop
from apps.core.embedded.valkey import Valkey
from apps.core.sealing import Keyring
from bench.machine import BenchError, Cores, confined, program, version

CHECKOUT = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS = 90.0
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that runs and is to be measured. `process`: the root of its tree; None for the upstream, whose cost is nobody's.

    `database` and `store` are the roots of PostgreSQL's and of Valkey's tree, where the server has them.
    """

    name: str
    version: str
    url: str
    stream_url: str
    token: str = "none"
    process: subprocess.Popen[bytes] | None = None
    database: subprocess.Popen[bytes] | None = None
    store: subprocess.Popen[bytes] | None = None
    recorded: Callable[[], int] | None = None
    translated: str = ""  # a model whose streams it translates from another dialect


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def started(
    ending: ExitStack,
    argv: list[str],
    *,
    log: Path,
    cores: Cores,
    measured: bool,
    ready: str,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server and wait until `ready` answers. `ending` stops it. Raises BenchError with the end of its log."""
    with confined({cores.measured} if measured else cores.others):
        process = spawn(argv, log=log, death_signal=signal.SIGKILL, cwd=CHECKOUT, env=env)
    ending.callback(stop, process, signal.SIGTERM, 60)
    if not eventually(lambda: process.poll() is not None or _answers(ready), _PATIENCE_SECONDS) or process.poll():
        raise BenchError(f"{argv[0]} does not answer at {ready}:\n{last_lines(log, 20)}")
    return process


def upstream(ending: ExitStack, folder: Path, cores: Cores) -> Subject:
    """The provider that all of them call."""
    base = f"http://127.0.0.1:{free_port()}"
    argv = [sys.executable, str(CHECKOUT / "bench/mock_upstream.py"), base.rpartition(":")[2]]
    started(ending, argv, log=folder / "upstream.log", cores=cores, measured=False, ready=base)
    return Subject("upstream alone", "", base + _CHAT, base + _CHAT)


def tollgate(ending: ExitStack, folder: Path, cores: Cores, upstream_url: str, *, governed: bool) -> Subject:
    """`manage.py serve`, both planes in one process, on a private PostgreSQL and Valkey, with one token.

    `governed`: policies, limits and budgets apply to it at its organization, its service and itself.
    """
    data = folder / ("governed" if governed else "plain")
    data.mkdir(mode=0o711)
    data_folder = DataFolder(data)
    data_folder.lock.take("bench")
    with confined(cores.others):
        services = Embedded(data_folder)
        ending.callback(services.stop)
        urls = services.start()
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
        **urls,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": Keyring.generate(),
        "DATA_DIR": str(data),
        "EGRESS_ALLOW": "127.0.0.0/8",
        "LOG_LEVEL": "warning",
    }
    _run(["manage.py", "migrate", "--verbosity", "0"], environment)
    token = _run(["-m", "bench.seed", upstream_url], environment).split()[governed]
    base = f"http://127.0.0.1:{free_port()}"
    process = started(
        ending,
        [sys.executable, "manage.py", "serve", "--port", base.rpartition(":")[2]],
        log=data / "tollgate.log",
        cores=cores,
        measured=True,
        ready=base + "/readyz",
        env=environment,
    )

    def recorded() -> int:
        """How many answers have a record in PostgreSQL, once everything is there."""
        stop(process, signal.SIGTERM, 120)
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT count(*) FROM audit_requestrecord WHERE status = 200").fetchone()
        return row[0] if row else 0

    database = next(child for server, child in services.running if isinstance(server, Postgres))
    store = next(child for server, child in services.running if isinstance(server, Valkey))
    name = "Tollgate" if governed else "without policies"
    return Subject(name, "", base + _CHAT, base + _CHAT, token, process, database, store, recorded, "claude-haiku-4-5")


def nginx(ending: ExitStack, folder: Path, cores: Cores, upstream_url: str) -> Subject:
    """A plain proxy with connections kept alive on both sides: the least that a hop can cost."""
    path = program("nginx", "It is the physical reference: apt install nginx.")
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream provider {{ server {upstream_url.removeprefix("http://")}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1; proxy_set_header Connection "";
        location / {{ proxy_pass http://provider; }}
        location /stream/ {{ proxy_pass http://provider/; proxy_buffering off; }}
    }}
}}
"""
    )
    argv = [path, "-c", str(configuration), "-p", str(folder)]
    process = started(ending, argv, log=folder / "nginx.out", cores=cores, measured=True, ready=base)
    release = version(path, "-v").rpartition("/")[2]
    return Subject("nginx", release, base + _CHAT, f"{base}/stream{_CHAT}", process=process)


def _run(arguments: list[str], environment: Mapping[str, str]) -> str:
    argv = [sys.executable, *arguments]
    run = subprocess.run(argv, cwd=CHECKOUT, env=dict(environment), capture_output=True, text=True, check=False)
    if run.returncode:
        raise BenchError(f"{' '.join(arguments)} failed:\n{run.stderr.strip()}")
    return run.stdout


def _answers(url: str) -> bool:
    """Whether somebody speaks HTTP there and is ready: an error of another kind than 503 is an answer, too."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=None), timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code != 503
    except OSError:
        return False
