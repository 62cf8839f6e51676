"""A file, and the commands that read and write it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.control.conftest import Ran, Run, acme, actor, credential, loopback, owner, run, service, upstream, zeta

__all__ = ["acme", "actor", "credential", "loopback", "owner", "run", "service", "upstream", "zeta"]

type Apply = Callable[..., Ran]


@pytest.fixture
def apply(run: Run, tmp_path: Path) -> Apply:
    """Apply this text, as a file called tollgate.yaml."""

    def apply_text(text: str, *words: str, **environment: str) -> Ran:
        file = tmp_path / "tollgate.yaml"
        file.write_text(text)
        ran = run("apply_config", str(file), *words, **environment)
        return Ran(ran.code, ran.out, ran.err.replace(f"{tmp_path}/", ""))

    return apply_text


@pytest.fixture
def export(run: Run) -> Callable[..., str]:
    """What export_config prints."""

    def export_text(*words: str) -> str:
        ran = run("export_config", *words)
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    return export_text
