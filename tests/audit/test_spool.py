"""The spool keeps every record it has taken, and says so when it cannot take one."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.audit.frames import MAX_PAYLOAD_BYTES, encode_frame, payload_of
from apps.audit.spool import Batch, Orphan, Spool, SpoolFull, orphans


def payloads(batch: Batch | None) -> list[bytes]:
    return [] if batch is None else [payload_of(line) for line in batch.lines.splitlines(keepends=True)]


def read_all(source: Spool | Orphan, *, max_records: int = 100) -> list[bytes]:
    found: list[bytes] = []
    while (batch := source.read(max_records=max_records, max_bytes=1 << 20)) is not None:
        found += payloads(batch)
        source.advance(batch)
    return found


def adopt_all(root: Path) -> list[bytes]:
    found: list[bytes] = []
    for orphan in orphans(root):
        found += read_all(orphan)
        orphan.finish()
    return found


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


def python(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def test_a_record_costs_one_write_and_is_in_the_file_at_once(spool: Spool) -> None:
    for payload in numbered(50):
        spool.append(payload)

    assert spool.writes == spool.appended_total == spool.pending_records == 50
    written = b"".join(path.read_bytes() for path in spool.folder.glob("*.frames"))
    assert written == b"".join(map(encode_frame, numbered(50)))
    assert spool.pending_bytes == len(written)


def test_records_are_read_in_order_and_again_until_they_are_delivered(spool: Spool) -> None:
    for payload in numbered(10):
        spool.append(payload)

    first = spool.read(max_records=4, max_bytes=1 << 20)
    assert payloads(first) == payloads(spool.read(max_records=4, max_bytes=1 << 20)) == numbered(10)[:4]
    assert first is not None
    spool.advance(first)

    assert read_all(spool) == numbered(10)[4:]
    assert (spool.pending_records, spool.pending_bytes) == (0, 0)


def test_a_batch_of_fewer_bytes_than_one_record_still_holds_one(spool: Spool) -> None:
    large = b'{"text":"%b"}' % (b"x" * 10_000)
    spool.append(large)

    assert payloads(spool.read(max_records=10, max_bytes=100)) == [large]


def test_segments_are_removed_once_they_are_delivered(spool_root: Path) -> None:
    with Spool(spool_root, max_bytes=1 << 20, segment_bytes=200) as spool:
        for payload in numbered(100):
            spool.append(payload)
        assert len(list(spool.folder.glob("*.frames"))) > 5

        assert read_all(spool) == numbered(100)

        assert len(list(spool.folder.glob("*.frames"))) == 1


def test_beyond_its_cap_it_refuses_and_keeps_what_it_has(spool_root: Path) -> None:
    with Spool(spool_root, max_bytes=1000, segment_bytes=300) as spool:
        kept = []
        with pytest.raises(SpoolFull, match="SPOOL_MAX_BYTES"):
            for payload in numbered(1000):
                spool.append(payload)
                kept.append(payload)
        assert spool.pending_bytes <= 1000
        assert spool.nearly_full
        assert spool.refused_total == 1

        assert read_all(spool) == kept

        assert not spool.nearly_full
        spool.append(b"{}")
        assert read_all(spool) == [b"{}"]


def test_a_record_of_absurd_size_is_refused(spool: Spool) -> None:
    with pytest.raises(ValueError, match="at most"):
        spool.append(b"x" * (MAX_PAYLOAD_BYTES + 1))
    assert spool.pending_records == 0


def test_a_write_cut_short_by_a_full_disk_harms_no_other_record(spool_root: Path) -> None:
    """The limit on a file's size makes the kernel write a part, as a full disk does."""
    process = python(
        """
        import resource, sys
        from pathlib import Path
        from apps.audit.spool import Spool, SpoolFull
        spool = Spool(Path(sys.argv[1]), max_bytes=1 << 20)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1003, hard))
        kept = 0
        for number in range(200):
            try:
                spool.append(b'{"n":%d}' % number)
                assert not spool.failing
                print(number)
            except SpoolFull as refusal:
                assert "SPOOL_DIR" in str(refusal), refusal
                assert spool.failing
                if spool.refused_total == 3:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        """,
        spool_root,
    )
    acknowledged = [b'{"n":%d}' % int(line) for line in process.communicate(timeout=20)[0].split()]

    assert process.returncode == 0
    assert len(acknowledged) == 197
    (segment,) = spool_root.glob("*/*.frames")
    assert segment.read_bytes() == b"".join(map(encode_frame, acknowledged))  # no remains in between
    assert adopt_all(spool_root) == acknowledged


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(0, 400))
def test_a_segment_torn_at_any_byte_gives_all_records_before_the_tear(
    kept: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("torn")
    with Spool(root, max_bytes=1 << 20) as spool:
        for payload in numbered(20):
            spool.append(payload)
    (segment,) = root.glob("*/*.frames")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:kept])

    found = adopt_all(root)

    # A frame that lacks nothing but its line feed is a whole record.
    complete = whole[:kept].count(b"\n") + (whole[kept : kept + 1] == b"\n")
    assert found == numbered(20)[:complete]
    assert list(root.iterdir()) == []


def test_what_a_killed_process_had_written_is_adopted(spool_root: Path) -> None:
    process = python(
        """
        import os, signal, sys
        from pathlib import Path
        from apps.audit.spool import Spool
        spool = Spool(Path(sys.argv[1]), max_bytes=1 << 20, segment_bytes=500)
        for number in range(100):
            spool.append(b'{"n":%d}' % number)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        spool_root,
    )
    assert process.communicate(timeout=20) == (b"", None)
    assert process.returncode == -9

    assert adopt_all(spool_root) == numbered(100)
    assert list(spool_root.iterdir()) == []


def test_the_spool_of_a_living_process_is_left_alone(spool: Spool) -> None:
    spool.append(b"{}")

    assert list(orphans(spool.root)) == []


def test_an_orphan_is_handed_out_once_and_again_only_when_released(spool_root: Path) -> None:
    with Spool(spool_root, max_bytes=1 << 20) as spool:
        spool.append(b"{}")

    (held,) = orphans(spool_root)
    assert list(orphans(spool_root)) == []
    held.release()

    assert adopt_all(spool_root) == [b"{}"]


def test_closing_removes_a_delivered_folder_and_leaves_another(spool_root: Path) -> None:
    first, second = Spool(spool_root, max_bytes=1 << 20), Spool(spool_root, max_bytes=1 << 20)
    for spool in (first, second):
        spool.append(b"{}")
    read_all(first)

    first.close()
    second.close()

    assert list(spool_root.iterdir()) == [second.folder]


def test_starting_and_adopting_at_the_same_time_loses_and_doubles_nothing(spool_root: Path) -> None:
    processes = [
        python(
            """
            import sys
            from pathlib import Path
            from apps.audit.spool import Spool
            from tests.audit.test_spool import adopt_all
            root, me = Path(sys.argv[1]), sys.argv[2]
            for turn in range(60):
                spool = Spool(root, max_bytes=1 << 20)
                spool.append(b'{"by":"%b.%d"}' % (me.encode(), turn))
                spool.close()
                for payload in adopt_all(root):
                    print(payload.decode())
            """,
            spool_root,
            number,
        )
        for number in range(4)
    ]
    printed = [process.communicate(timeout=60)[0].decode().split() for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    found = [line for lines in printed for line in lines] + [payload.decode() for payload in adopt_all(spool_root)]
    assert sorted(found) == sorted(f'{{"by":"{number}.{turn}"}}' for number in range(4) for turn in range(60))


def test_it_knows_how_old_the_oldest_waiting_record_is(spool: Spool) -> None:
    assert spool.oldest_pending_at is None
    before = time.time()
    spool.append(b"{}")
    after = time.time()
    taken = spool.read(max_records=10, max_bytes=1 << 20)
    assert taken is not None
    spool.append(b"{}")  # while the first is on its way

    assert before <= (spool.oldest_pending_at or 0) <= after
    spool.advance(taken)

    assert after <= (spool.oldest_pending_at or 0) <= time.time()
    read_all(spool)
    assert spool.oldest_pending_at is None


def test_a_damaged_record_on_disk_is_told_from_its_neighbours(spool_root: Path) -> None:
    with Spool(spool_root, max_bytes=1 << 20) as spool:
        for payload in numbered(3):
            spool.append(payload)
    (segment,) = spool_root.glob("*/*.frames")
    segment.write_bytes(segment.read_bytes().replace(b'{"n":1}', b'{"n":7}'))

    (orphan,) = orphans(spool_root)
    batch = orphan.read(max_records=10, max_bytes=1 << 20)
    orphan.release()

    assert payloads(batch) == [b'{"n":0}', b'{"n":2}']
    assert batch is not None
    assert [payload_of(line) for line in batch.damaged] == [b'{"n":7}']


def test_a_segment_that_was_deleted_under_it_is_given_up_and_the_rest_goes_on(spool_root: Path) -> None:
    with Spool(spool_root, max_bytes=1 << 20, segment_bytes=100) as spool:
        for payload in numbered(30):
            spool.append(payload)
        oldest = min(spool.folder.glob("*.frames"))
        gone = oldest.read_bytes().count(b"\n")
        oldest.unlink()

        with pytest.raises(FileNotFoundError):
            spool.read(max_records=10, max_bytes=1 << 20)

        assert spool.drop_unreadable() == gone
        assert read_all(spool) == numbered(30)[gone:]
        assert spool.pending_bytes == 0
