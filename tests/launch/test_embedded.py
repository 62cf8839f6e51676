"""The private services under our supervisor: what survives, what is cleared, what is refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from apps.core.embedded import DataFolder, Embedded, ServiceError
from apps.core.embedded.machine import check_machine
from apps.core.embedded.processes import eventually, working_in
from tests.launch.commands import CHECKOUT

FLAGS = "flags\t\t: fpu sse4_2 avx avx2 fma\n"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


def write(environment: dict[str, str]) -> None:
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        client.set("kept", "42")


def read(environment: dict[str, str]) -> tuple[int, bytes]:
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        return row[0], client.get("kept")


def test_data_survives_a_stop_and_a_start(folder: DataFolder) -> None:
    for use in (write, read):
        services = Embedded(folder)
        result = use(services.start())
        services.stop()

    assert result == (42, b"42")


def test_servers_die_with_a_killed_holder_and_the_next_start_has_all_rows(folder: DataFolder) -> None:
    script = (
        "import pathlib, sys, time; from apps.core.embedded import DataFolder, Embedded\n"
        "from tests.launch.test_embedded import write\n"
        "write(Embedded(DataFolder(pathlib.Path(sys.argv[1]))).start()); print('written', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.root)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"written\n"
        servers = {
            *working_in(folder.root / "postgres", "postgres"),
            *working_in(folder.root / "valkey", "valkey-server"),
        }
        assert len(servers) > 1
        holder.kill()

    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in servers), 15)
    services = Embedded(folder)
    assert read(services.start()) == (42, b"42")
    services.stop()


def test_a_crash_of_the_servers_themselves_loses_no_committed_row(folder: DataFolder) -> None:
    services = Embedded(folder)
    write(services.start())
    for _, process in services.running:
        process.send_signal(signal.SIGKILL)
        process.wait()
    services.stop()

    again = Embedded(folder)
    assert read(again.start()) == (42, b"42")
    again.stop()


def test_a_stale_pid_file_that_names_a_living_stranger_does_not_prevent_a_start(folder: DataFolder) -> None:
    services = Embedded(folder)
    services.start()
    services.stop()
    (folder.root / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder.root}\n0\n5432\n")

    again = Embedded(folder)
    assert set(again.start()) == {"DATABASE_URL", "REDIS_URL"}
    again.stop()


def test_an_interrupted_creation_is_made_afresh(folder: DataFolder) -> None:
    (folder.root / "postgres.new").mkdir()
    (folder.root / "postgres.new" / "PG_VERSION").write_text("18\n")

    with Embedded(folder, ["DATABASE_URL"]) as services:
        assert [server.title for server, _ in services.running] == ["PostgreSQL"]


def test_one_folder_has_one_holder(folder: DataFolder) -> None:
    assert folder.lock.take("first")
    other = DataFolder(folder.root)

    assert not other.lock.take()
    assert other.lock.note() == "first"
    folder.lock.close()
    assert other.lock.take()


def test_a_long_path_still_has_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "data"

    with Embedded(DataFolder(deep), ["REDIS_URL"]) as services:
        assert redis.Redis.from_url(services.servers[0].url).ping()


def test_only_the_owner_reaches_the_sockets(folder: DataFolder) -> None:
    with Embedded(folder, ["REDIS_URL"]) as services:
        socket = Path(services.servers[0].url.removeprefix("unix://").partition("?")[0])

        assert socket.parent.stat().st_mode & 0o077 == 0


def test_this_machine_will_do() -> None:
    check_machine()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"cpuinfo": FLAGS.replace(" avx2", "")}, "lacks AVX2"),
        ({"cpuinfo": FLAGS.replace(" avx2 fma", "")}, "lacks AVX2 and FMA"),
        ({"system": "Darwin", "libc": ""}, "for this platform"),
        ({"machine": "riscv64"}, "riscv64"),
        ({"libc": "", "cpuinfo": FLAGS}, "for this platform"),
    ],
)
def test_a_machine_that_cannot_run_them_is_told_so(facts: dict[str, str], words: str) -> None:
    suitable = {"system": "Linux", "machine": "x86_64", "libc": "glibc", "cpuinfo": FLAGS}
    check_machine(**suitable)

    with pytest.raises(ServiceError, match=words) as refusal:
        check_machine(**(suitable | facts))

    assert "Set DATABASE_URL and REDIS_URL" in str(refusal.value)
