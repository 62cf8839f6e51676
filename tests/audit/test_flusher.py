"""The flusher delivers what is spooled, whoever dies meanwhile."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from apps.audit.delivery import database
from apps.audit.flusher import Flusher
from apps.audit.spool import Spool
from apps.core.embedded import DataFolder, Embedded
from apps.core.ids import uuid7
from tests.audit.conftest import flushing, record

Stored = Callable[[], list[UUID]]


@asynccontextmanager
async def soon(seconds: float = 20) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield


async def until(condition: Callable[[], object]) -> None:
    """Wait for something another task or process does."""
    async with soon():
        while not condition():
            await asyncio.sleep(0.02)


async def test_records_arrive_by_themselves(spool: Spool, database_url: str, stored: Stored) -> None:
    keys = sorted(uuid7() for _ in range(5))
    async with flushing(spool, database_url) as flusher:
        for key in keys:
            spool.append(record(id=key))

        await until(lambda: flusher.flushed_total == 5)

        assert stored() == keys
        assert (flusher.lag_seconds, spool.pending_records) == (0.0, 0)
        spool.append(record())
        await until(lambda: flusher.flushed_total == 6)


async def test_records_travel_together(spool: Spool, database_url: str, stored: Stored) -> None:
    async with flushing(spool, database_url, batch_records=2000) as flusher:
        for _ in range(5000):
            spool.append(record())
        await until(lambda: flusher.flushed_total == 5000)

        assert flusher.batches_total <= 8  # a batch ends at 2,000 records, a mebibyte or the end of a segment
    assert len(stored()) == 5000


async def test_a_segment_deleted_by_hand_costs_its_records_and_no_others(
    spool_root: Path, database_url: str, stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(spool_root, max_bytes=64 << 20, segment_bytes=5_000) as spool:
        for _ in range(100):
            spool.append(record())
        oldest = min(spool.folder.glob("*.frames"))
        gone = oldest.read_bytes().count(b"\n")
        oldest.unlink()

        async with flushing(spool, database_url) as flusher:
            await until(lambda: flusher.flushed_total == 100 - gone)
            await until(lambda: spool.pending_records == 0)

        spool.append(record())
        assert await Flusher(spool, database(database_url)).drain(10) == 0
    assert len(stored()) == 101 - gone
    assert "its records are lost" in caplog.text


async def test_draining_delivers_what_waits_and_leaves_nothing_behind(
    spool_root: Path, database_url: str, stored: Stored
) -> None:
    spool = Spool(spool_root, max_bytes=64 << 20, segment_bytes=50_000)
    flusher = Flusher(spool, database(database_url))
    for _ in range(500):
        spool.append(record())

    assert await flusher.drain(20) == 0

    spool.close()
    assert len(stored()) == 500
    assert list(spool_root.iterdir()) == []


async def test_draining_without_postgresql_gives_up_in_time_and_the_next_process_delivers(
    spool_root: Path, database_url: str, stored: Stored, unused_tcp_port: int
) -> None:
    with Spool(spool_root, max_bytes=64 << 20) as spool:
        flusher = Flusher(spool, database(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/x"))
        running = asyncio.create_task(flusher.run())
        spool.append(record())
        await until(lambda: flusher.away_since)

        async with soon(5):
            assert await flusher.drain(0.3) == 1
        assert running.done()

    with Spool(spool_root, max_bytes=64 << 20) as another:
        async with flushing(another, database_url) as flusher:
            await until(lambda: flusher.adopted_total == 1)
    assert len(stored()) == 1
    assert list(spool_root.iterdir()) == []


async def test_a_killed_process_loses_no_record_it_had_acknowledged(
    spool: Spool, spool_root: Path, database_url: str, stored: Stored
) -> None:
    """It appends and flushes as fast as it can, and is killed somewhere in the middle."""
    script = """
        import asyncio, sys
        from pathlib import Path
        from apps.audit.delivery import database
        from apps.audit.flusher import Flusher
        from apps.audit.spool import Spool
        from apps.core.ids import uuid7
        from tests.audit.conftest import record

        async def main():
            spool = Spool(Path(sys.argv[1]), max_bytes=64 << 20, segment_bytes=30_000)
            flusher = asyncio.create_task(Flusher(spool, database(sys.argv[2]), linger=0.01).run())
            while True:
                for _ in range(20):
                    key = uuid7()
                    spool.append(record(id=key))
                    sys.stdout.write(key.hex + "\\n")
                    sys.stdout.flush()
                await asyncio.sleep(0)

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), str(spool_root), database_url,
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    acknowledged = [await process.stdout.readline() for _ in range(3000)]
    process.kill()
    acknowledged += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    keys = {UUID(line.decode().strip()) for line in acknowledged if line.endswith(b"\n")}

    async with flushing(spool, database_url) as flusher:
        await until(lambda: flusher.adopted_total == 1)

    found = stored()
    assert len(found) == len(set(found))
    assert keys <= set(found)
    assert len(found) <= len(keys) + 1  # one may have been written and not yet said so


@pytest.fixture
def private_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A server of our own with the record's tables, to be stopped and started at will."""
    root = tmp_path_factory.mktemp("postgresql")
    for parent in (root, *root.parents):
        if parent.name.startswith("pytest-"):
            parent.chmod(0o711)  # the server's account passes through
    folder = DataFolder(root)
    folder.lock.take("a test")
    server = Embedded(folder, ["DATABASE_URL"], durable=False)
    yield server
    server.stop()


async def test_while_postgresql_is_stopped_records_wait_and_afterwards_they_arrive_once(
    spool: Spool, private_postgresql: Embedded, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = private_postgresql.start()["DATABASE_URL"]
    migrated(url)
    keys = sorted(uuid7() for _ in range(400))

    def count() -> int:
        with psycopg.connect(url) as asking:
            (number,) = asking.execute("SELECT count(*) FROM audit_requestrecord").fetchone() or (0,)
            return int(number)

    async with flushing(spool, url) as flusher:
        for key in keys[:100]:
            spool.append(record(id=key))
        await until(lambda: flusher.flushed_total == 100)

        private_postgresql.stop()
        for key in keys[100:300]:
            spool.append(record(id=key))
        await until(lambda: flusher.away_since)
        await asyncio.sleep(1)  # several attempts fail
        assert (spool.pending_records, flusher.rejected_total) == (200, 0)
        for key in keys[300:]:
            spool.append(record(id=key))

        private_postgresql.start()
        await until(lambda: flusher.flushed_total == 400)
        await until(lambda: flusher.away_since is None)

        assert count() == 400
    said = [entry.getMessage() for entry in caplog.records if entry.name == "apps.audit.flusher"]
    assert sum("wait in the spool" in line for line in said) == 1  # not once per attempt
    assert sum("delivered again" in line for line in said) == 1


def migrated(url: str) -> None:
    """Bring an empty database to the product's schema, as an operator does."""
    import os

    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "-v0"],
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=Path(__file__).parents[2],
        check=True,
    )
