"""Following the database: what changed, within half a second, whoever changed it.

Triggers append every change to `core_change` and notify. A notification only wakes us; the log is what we read, twice a second at
the least, so a lost notification costs half a second and nothing else. Each look asks for all transactions that were not over at
the look before (`txid >= its xmin`), so that one which commits late, after others with higher ids, is not missed.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from apps.core.change_tracking import CHANNEL
from apps.core.logs import get_logger

log = get_logger(__name__)

_POLL = 0.5  # seconds between looks when nothing is notified
_ANSWER = 3.0  # a database that does not answer a look within this is away
_MANY = 5_000  # more changes than this at once: forget everything rather than read them all

_LOOK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, c.id, c.kind, c.row_id, c.organization_id
FROM (SELECT 1) AS one LEFT JOIN core_change c ON c.txid >= %s LIMIT %s
"""

# Of the log as well, so that a database without our tables is not taken for one that can be followed.
_FIRST_LOOK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM (SELECT 1) AS one LEFT JOIN core_change ON false
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed row. `row_id` None: any row of the table; `organization_id` None: of no organization, or any."""

    kind: str
    row_id: UUID | None
    organization_id: UUID | None


class ChangeFollower:
    """Calls back on every change, on connecting (`connected`, when all that was known may be stale) and on losing the database."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection[Any]]],
        *,
        connected: Callable[[], None],
        lost: Callable[[], None],
        changed: Callable[[list[Change]], None],
        too_many: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._connected, self._lost, self._changed, self._too_many = connected, lost, changed, too_many

    async def run(self) -> None:
        """Follow until cancelled, reconnecting with a growing pause of at most a second."""
        pause = 0.05
        away = False
        while True:
            try:
                async with asyncio.timeout(_ANSWER):
                    connection = await self._connect()
                try:
                    since = await self._begin(connection)
                    if away:
                        log.info("database_back")
                    away, pause = False, 0.05
                    await self._follow(connection, since)
                finally:
                    await _close(connection)
            except (psycopg.Error, OSError, TimeoutError) as exc:
                self._lost()
                if not away:
                    log.error("database_away", why=str(exc).strip() or type(exc).__name__)
                away = True
            except Exception:
                # An error of ours must not leave tokens standing that were revoked meanwhile.
                self._lost()
                log.exception("following_changes_failed")
                away = True
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (jitter, not a secret)
            pause = min(pause * 2, 1.0)

    async def _begin(self, connection: AsyncConnection[Any]) -> int:
        """Listen first, then look: what commits in between is in the look or notified."""
        async with asyncio.timeout(_ANSWER):
            await connection.execute(f"LISTEN {CHANNEL}")
            cursor = await connection.execute(_FIRST_LOOK)
            row = await cursor.fetchone()
        self._connected()
        return int(row[0]) if row else 0

    async def _follow(self, connection: AsyncConnection[Any], since: int) -> None:
        seen: set[int] = set()
        while True:
            async for _ in connection.notifies(timeout=_POLL, stop_after=1):
                pass
            async with asyncio.timeout(_ANSWER):
                cursor = await connection.execute(_LOOK, (since, _MANY), prepare=True)
                rows = await cursor.fetchall()
            if len(rows) >= _MANY:
                self._too_many()
            fresh = [row for row in rows if row[1] is not None and row[1] not in seen]
            # A transaction that stays open holds `since` back: what we have seen comes again, and is not news.
            seen = {row[1] for row in rows if row[1] is not None}
            since = rows[0][0]
            if fresh:
                self._changed([Change(row[2], row[3], row[4]) for row in fresh])


async def _close(connection: AsyncConnection[Any]) -> None:
    with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
        async with asyncio.timeout(1):
            await connection.close()
