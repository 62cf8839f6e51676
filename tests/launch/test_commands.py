"""Commands without a running `up` bring their own services and take them away again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.core.embedded.processes import working_in
from tests.launch.commands import CHECKOUT, PATIENCE, environment, free_port, manage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands") / "data"


def nothing_runs(folder: Path) -> bool:
    return not any(working_in(folder / "postgres", "postgres")) and not any(
        working_in(folder / "valkey", "valkey-server")
    )


def test_a_command_on_a_folder_without_tables_says_what_to_run_first(folder: Path) -> None:
    refused = manage("createsuperuser", data_dir=folder)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "has no tables yet. Run `make up`, or `.venv/bin/python manage.py migrate`, first." in refused.stderr
    assert nothing_runs(folder)


def test_a_command_starts_what_it_needs_and_stops_it_after(folder: Path) -> None:
    migrated = manage("migrate", "core", data_dir=folder)

    assert migrated.returncode == 0, migrated.stderr
    assert "Applying core.0001_initial" in migrated.stdout
    assert nothing_runs(folder)


def test_two_commands_at_once_both_work(folder: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "manage.py", "showmigrations", "core"],
            cwd=CHECKOUT,
            env=environment(folder),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    outputs = [process.communicate(timeout=PATIENCE)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert all("[X] 0001_initial" in output for output in outputs)
    assert nothing_runs(folder)


def test_help_starts_nothing(tmp_path: Path) -> None:
    assert manage("help", data_dir=tmp_path / "data").returncode == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("unusable", ["file", "/sys/tollgate"])
def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(unusable: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    refused = manage("up", data_dir=tmp_path / unusable, PORT="1")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"Cannot use the data folder {tmp_path / unusable}" in refused.stderr
    assert "set DATA_DIR" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_named_with_the_remedy(tmp_path: Path) -> None:
    small = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if subprocess.run(small, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        refused = manage("up", data_dir=tmp_path / "data", PORT=str(free_port()))
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)

    assert refused.returncode == 1
    assert refused.stderr.startswith("tollgate: The disk is full")
    assert "Free some space, or set DATA_DIR" in refused.stderr
