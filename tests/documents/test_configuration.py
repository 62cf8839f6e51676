"""docs/configuration.md lists every variable, with its default, and none that nobody reads."""

import ast
import re
from pathlib import Path

from tests.documents.markdown import ROOT, code, rows

PAGE = ROOT / "docs/configuration.md"
REQUIRED = {"SECRET_KEY", "SEALING_KEYS", "DATABASE_URL", "REDIS_URL"}
# Their defaults are put together from other settings; the page says how.
COMPUTED = {"DATA_DIR", "SPOOL_DIR", "UPLOAD_DIR", "PUBLIC_URL"}


def _read_by(source: Path) -> dict[str, str | None]:
    """Each variable that a module reads through `env`, with its default; None: it has none."""
    found: dict[str, str | None] = {}
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "env":
            name, default = node.args[0], node.args[2] if len(node.args) > 2 else None
            if isinstance(name, ast.Constant):
                found[str(name.value)] = (
                    None if default is None else str(default.value) if isinstance(default, ast.Constant) else "computed"
                )
    return found


def _listed() -> dict[str, str]:
    """Each listed variable, with the default's cell."""
    return {name: row[1] for row in rows(PAGE) for name in code(row[0])}


def test_every_setting_is_listed():
    missing = _read_by(ROOT / "config/settings.py").keys() - _listed().keys()

    assert not missing, f"docs/configuration.md does not list {sorted(missing)}"


def test_every_variable_listed_is_read_somewhere():
    sources = [*(ROOT / "apps").rglob("*.py"), *(ROOT / "config").glob("*.py"), *(ROOT / "bench").glob("*.py")]
    read = {name for source in [*sources, ROOT / "manage.py"] for name in _read_by(source)}
    read |= set(re.findall(r"\$\{?([A-Z_]{3,})", (ROOT / "bin/venv").read_text()))

    assert not _listed().keys() - read


def test_defaults_are_those_of_the_settings():
    listed = _listed()
    for name, default in _read_by(ROOT / "config/settings.py").items():
        if default is None:
            assert listed[name] == "required", name
            assert name in REQUIRED
        elif name in COMPUTED:
            assert default == "computed", name
        elif default == "":
            assert listed[name] == "none", name
        else:
            assert code(listed[name]) == [default], name
