"""/healthz and /readyz of a console that is deployed without the gateway; the gateway has its own (apps.gateway.asgi)."""

import asyncio

import orjson
import psycopg

PATHS = frozenset({"/healthz", "/readyz"})

_ANSWER = 3  # seconds


async def console_health(path: str, database_url: str) -> tuple[int, bytes]:
    """Status and JSON body. Alive whenever asked; ready when PostgreSQL (a libpq URL) answers."""
    if path == "/healthz":
        return 200, orjson.dumps({"status": "alive"})
    try:
        async with asyncio.timeout(_ANSWER):
            async with await psycopg.AsyncConnection.connect(database_url, connect_timeout=_ANSWER) as connection:
                await connection.execute("SELECT 1")
    except (psycopg.Error, OSError, TimeoutError):
        problems = ["PostgreSQL cannot be reached (DATABASE_URL)"]
        return 503, orjson.dumps({"status": "not ready", "problems": problems})
    return 200, orjson.dumps({"status": "ready", "problems": []})
