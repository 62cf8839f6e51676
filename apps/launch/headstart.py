"""A second start in half the time: web starts while we still load Django ourselves, if no migration can be due."""

import contextlib
import hashlib
from pathlib import Path

import psycopg

from apps.launch import children
from apps.launch.foundation import Foundation, current_foundation_or_none

CHECKOUT = Path(__file__).resolve().parents[2]
_MEMO = "migrated"


def head_start(database_url: str) -> None:
    """Start web now if code and database are as they were when `migrations_done` was last called. Only `up` has one."""
    ground = current_foundation_or_none()
    if ground is None:
        return
    with contextlib.suppress(OSError):
        if (ground.folder.root / _MEMO).read_text(encoding="utf-8") == _fingerprint(database_url):
            log = ground.folder.log("web")
            log.unlink(missing_ok=True)
            ground.early_web = children.web(ground.folder, CHECKOUT, listening=ground.listener.fileno()).spawn()


def migrations_done(ground: Foundation, database_url: str) -> None:
    """Remember that no migration is due for this code and this database."""
    ground.folder.write_private(ground.folder.root / _MEMO, _fingerprint(database_url))


def _fingerprint(database_url: str) -> str:
    """Changes whenever a migration is added here or a dependency is updated, and whenever one is applied there."""
    code = hashlib.sha256((CHECKOUT / "requirements/local.txt").read_bytes())
    for file in sorted(CHECKOUT.glob("apps/*/migrations/*.py")):
        code.update(f"\0{file.relative_to(CHECKOUT)}".encode())
    try:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT count(*), max(id), max(applied) FROM django_migrations").fetchone()
    except psycopg.Error:
        row = None
    return f"{code.hexdigest()} {row}"
