"""The terminal of `up` shows what a child complains about, and the disk does not fill with what it chats."""

from pathlib import Path

import pytest

from apps.launch.logs import LogTail, loud


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"event": "spool is nearly full", "level": "warning", "used": 83, "logger": "apps.audit"}',
         "spool is nearly full used=83"),
        ('{"event": "no", "level": "error", "exception": "Traceback …\\n  File …\\nOSError: disk"}', "no OSError: disk"),
        ("[2026-11-21 03:48:57,766: ERROR/MainProcess] Task x raised", "Task x raised"),
        ("ERROR:    Application startup failed. Exiting.", "Application startup failed. Exiting."),
        ("2026-11-21 UTC [1] PANIC:  could not write", "PANIC:  could not write"),
        ('2026-11-21 UTC [1] FATAL:  role "x" does not exist', 'FATAL:  role "x" does not exist'),
        ("2026-11-21 UTC [1] FATAL:  the database system is starting up", None),
        ("2026-11-21 UTC [1] FATAL:  terminating connection due to administrator command", None),
        ('{"event": "started", "level": "info"}', None),
        ("{not json", None),
        ("INFO:     Uvicorn running", None),
    ],
)  # fmt: skip
def test_warnings_and_errors_are_shown_and_nothing_else(line: str, shown: str | None) -> None:
    assert loud(line) == shown


def test_a_tail_shows_what_is_new_and_waits_for_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("ERROR:    of the last run\n")
    tail = LogTail(log)

    with log.open("a") as target:
        target.write("ERROR:    new\nERROR:    half")
        target.flush()
        assert list(tail.loud_lines()) == ["new"]
        target.write(" a line\n")
        target.flush()
        assert list(tail.loud_lines()) == ["half a line"]


def test_a_flood_is_summed_up(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = LogTail(log)
    log.write_text("ERROR:    again\n" * 100)

    shown = list(tail.loud_lines())

    assert len(shown) < 10
    assert f"more in {log}" in shown[-1]


def test_a_long_log_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = LogTail(log, limit=1000)
    with log.open("ab", buffering=0) as writer:
        for number in range(100):
            writer.write(f"ERROR:    number {number:04}\n".encode())
            assert list(tail.loud_lines()) == [f"number {number:04}"]

    assert log.stat().st_size <= 1100
    assert (tmp_path / "web.log.1").stat().st_size <= 1100
