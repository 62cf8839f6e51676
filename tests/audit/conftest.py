"""A spool on a real disk, and the suite's PostgreSQL with the product's own tables."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from apps.audit.delivery import Delivery, database
from apps.audit.flusher import Flusher
from apps.audit.spool import Spool
from apps.core.ids import uuid7


def record(**fields: Any) -> bytes:
    """A record as the gateway writes it; `fields` replace its own."""
    facts = {
        "id": uuid7(),
        "created_at": "2026-11-21T03:00:00.123456Z",
        "endpoint": "chat_completions",
        "dialect": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model_asked": "sandbox-chat",
        "model_served": "sandbox-chat",
        "provider": "sandbox",
        "stream": False,
        "status": 200,
        "error_code": "",
        "input_tokens": 12,
        "output_tokens": 34,
        "total_us": 5_000,
        "attempts": [],
    }
    return orjson.dumps(facts | fields)


@pytest.fixture
def spool_root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(spool_root: Path) -> Iterator[Spool]:
    with Spool(spool_root, max_bytes=64 << 20) as spool:
        yield spool


@pytest.fixture
def database_url(db: None) -> Iterator[str]:
    """Where the product's tables are, for connections of the tests' own; what they hold is removed afterwards.

    Not pytest-django's `transactional_db`, whose emptying of every table takes longer than most of these tests.
    """
    given = connection.settings_dict
    assert given["NAME"].startswith("test_"), "what is emptied afterwards is the suite's own database"
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    url = make_conninfo(**{name: given[key] for name, key in names.items() if given.get(key)})
    yield url
    with psycopg.connect(url) as cleaning:
        cleaning.execute("DELETE FROM audit_requestrecord")
        for table in ("services_token", "services_service", "orgs_organization", "core_change"):
            cleaning.execute(SQL("DELETE FROM {}").format(Identifier(table)))


@pytest.fixture
def query(database_url: str) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Ask PostgreSQL, apart from Django."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as asking:

        def ask(statement: str, *parameters: Any) -> list[dict[str, Any]]:
            cursor = asking.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield ask


@pytest.fixture
def stored(query: Callable[..., list[dict[str, Any]]]) -> Callable[[], list[UUID]]:
    """The ids of all records in the table, in order."""
    return lambda: [row["id"] for row in query("SELECT id FROM audit_requestrecord ORDER BY id")]


@pytest.fixture
async def delivery(database_url: str, spool_root: Path) -> AsyncIterator[Delivery]:
    spool_root.mkdir(exist_ok=True)
    delivery = Delivery(database(database_url), spool_root)
    yield delivery
    await delivery.close()


@asynccontextmanager
async def flushing(spool: Spool, url: str, **options: Any) -> AsyncIterator[Flusher]:
    """A running flusher, drained at the end."""
    import asyncio

    flusher = Flusher(spool, database(url), **options)
    task = asyncio.create_task(flusher.run())
    try:
        yield flusher
    finally:
        await flusher.drain(10)
        await task
