"""One command: what a newcomer, a supervisor and a `kill -9` meet. The tests of this file share one data folder, in order."""

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import psycopg
import pytest

from apps.core.embedded.processes import Identity, eventually, working_in
from tests.launch.commands import Up, free_port, manage, up

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Below pytest's folder, which is private to its owner, as a home folder is."""
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Up]:
    with up(folder, TENANCY="multi") as running:
        yield running.running()


@pytest.fixture(scope="module")
def token(first: Up) -> str:
    return first.printed(r"Token +(tg_live_\w+)")


def chat(running: Up, token: str) -> int:
    body = json.dumps({"model": "sandbox-chat", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(f"{running.url}/v1/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.status


def status(running: Up, path: str) -> int:
    connection = http.client.HTTPConnection("localhost", running.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_printed_curl_command_works_as_pasted(first: Up) -> None:
    snippet = first.printed(r"^(curl (?:.*\\\n)+.*)$")

    answer = subprocess.run(["sh", "-c", snippet.replace("curl ", "curl -s ", 1)], capture_output=True, check=True)

    assert json.loads(answer.stdout)["choices"][0]["message"]["content"]


def test_the_printed_python_snippet_works_as_pasted(first: Up) -> None:
    snippet = first.printed(r"^(from openai import OpenAI\n(?:.+\n)+)")

    answer = subprocess.run([sys.executable, "-c", snippet], capture_output=True, check=True, text=True)

    assert answer.stdout.strip()


def test_the_printed_link_opens_the_console(first: Up) -> None:
    link = first.printed(r"Console +(http\S+)")

    with urllib.request.urlopen(link, timeout=30) as page:
        assert page.status == 200


def test_secrets_on_disk_are_their_owners_alone(first: Up, folder: Path) -> None:
    secrets = [*(folder / "keys").iterdir(), folder / "state.json"]

    assert {path.name for path in secrets} >= {"secret_key", "sealing_keys", "postgres_password"}
    assert {path.stat().st_mode & 0o077 for path in (*secrets, folder / "keys", folder / "postgres")} == {0}


def test_other_commands_find_the_running_services(first: Up, folder: Path, token: str) -> None:
    issued = manage("issue_token", "--org", "demo", "--service", "demo", "--name", "other", "--quiet", data_dir=folder)

    assert issued.returncode == 0, issued.stderr
    assert chat(first, issued.stdout.strip()) == 200
    assert len(list(working_in(folder / "valkey", "valkey-server"))) == 1


def test_other_commands_go_by_the_same_tenancy(first: Up, folder: Path) -> None:
    """Or whoever owns a second organization would run the whole installation."""
    made = manage("setup", "--org", "Acme", "--email", "ana@acme.test", data_dir=folder)
    assert made.returncode == 0, made.stderr

    assert manage("platform_staff", data_dir=folder).stdout == ""


def test_a_second_up_on_the_same_folder_is_refused_with_the_reason(first: Up, folder: Path) -> None:
    second = manage("up", data_dir=folder, PORT=str(free_port()))

    assert second.returncode == 1
    assert f"manage.py up (process {first.process.pid}) already runs on the data folder {folder}" in second.stderr
    assert "DATA_DIR=" in second.stderr


def test_a_taken_port_is_refused_with_its_holder(first: Up, tmp_path: Path) -> None:
    other = manage("up", data_dir=tmp_path / "other", PORT=str(first.port))

    assert other.returncode == 1
    assert f"Port {first.port} on 127.0.0.1 is taken by" in other.stderr
    assert f"(process {first.process.pid})" in other.stderr
    assert not (tmp_path / "other" / "postgres").exists()


def test_a_killed_web_comes_back_and_nobody_is_refused_meanwhile(first: Up, token: str) -> None:
    (web,) = [pid for pid in first.children() if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(web, signal.SIGKILL)

    assert status(first, "/healthz") == 200  # it waited: the port is the supervisor's, whichever web serves it

    first.wait_for("was killed by SIGKILL; starting it again")
    assert eventually(lambda: status(first, "/readyz") == 200, 30)
    assert chat(first, token) == 200


def test_killing_the_supervisor_leaves_no_process_behind(first: Up, folder: Path) -> None:
    left = {pid: identity for pid in first.children() if (identity := Identity.of(pid))}
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes()[:80] for pid in left}
    assert len(left) >= 5

    first.process.kill()
    first.process.wait()

    # PostgreSQL writes everything to the disk first, which others may keep busy.
    eventually(lambda: not any(identity.alive() for identity in left.values()), 60)
    assert [commands[pid] for pid, identity in left.items() if identity.alive()] == []


def test_the_next_start_recovers_and_keeps_everything(first: Up, folder: Path, token: str) -> None:
    (folder / "postgres" / "postmaster.pid").write_text("1\n/elsewhere\n")  # a stale file whose id another program has

    with up(folder, first.port) as again:
        again.running()
        everybody = [identity for pid in again.children() if (identity := Identity.of(pid))]

        assert "Token     shown once, at the first start" in again.text
        assert token not in again.text
        assert chat(again, token) == 200
        assert again.stop(signal.SIGTERM) == 0
        assert not any(identity.alive() for identity in everybody)
    assert not (folder / "state.json").exists()


def test_with_services_of_your_own_nothing_private_is_started(tmp_path: Path, own_services: dict[str, str]) -> None:
    with up(tmp_path / "data", **own_services) as running:
        running.running()

        assert chat(running, running.printed(r"Token +(tg_live_\w+)")) == 200
        assert not (tmp_path / "data" / "postgres").exists()
        assert not (tmp_path / "data" / "valkey").exists()
        assert running.stop(signal.SIGINT) == 0


@pytest.fixture
def own_services() -> Iterator[dict[str, str]]:
    """A fresh database on the suite's server, and a Valkey database that nothing else uses."""
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE up_test")
        try:
            yield {
                "DATABASE_URL": server.replace("/tollgate?", "/up_test?"),
                "REDIS_URL": os.environ["REDIS_URL"].replace("db=0", "db=9"),
            }
        finally:
            connection.execute("DROP DATABASE up_test WITH (FORCE)")


def test_nobody_listens_once_it_stopped(folder: Path, first: Up) -> None:
    with pytest.raises((ConnectionRefusedError, HTTPError, http.client.HTTPException)):
        http.client.HTTPConnection("127.0.0.1", first.port, timeout=2).request("GET", "/healthz")
