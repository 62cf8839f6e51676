"""From frames to rows: one COPY and one INSERT per batch, one transaction, as often as need be.

The batch goes into a session's temporary table as it lies in the spool, and PostgreSQL takes the JSON apart: Python
touches no single record unless one is refused. `ON CONFLICT DO NOTHING` makes a second delivery harmless, so that
everybody may retry.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import psycopg

from apps.audit.frames import payload_of
from apps.audit.record import RECORD_COLUMNS
from apps.audit.rejected import reject
from apps.audit.spool import Batch
from apps.core.logs import get_logger

Connect = Callable[[], Awaitable[psycopg.AsyncConnection]]

log = get_logger(__name__)

TIMEOUT = 60.0  # seconds for one batch, before the server is taken for away
_SLICE = 128 << 10  # bytes
_FIRST_MONTH = date(2020, 1, 1)  # a record from before is a broken clock's, and gets no partition made for it
_AHEAD = timedelta(days=62)

_SESSION = """
SET application_name = 'tollgate flusher';
SET statement_timeout = '50s';
SET jit = off;
CREATE TEMPORARY TABLE audit_batch (checksum text, line json) ON COMMIT DELETE ROWS
"""
_COPY = "COPY audit_batch (checksum, line) FROM STDIN"
# The months of a batch whose ids are of version 7 and of a believable time.
_MONTHS = """
SELECT min(at)::date, max(at)::date FROM (
    SELECT to_timestamp(('x' || replace(left(line ->> 'id', 13), '-', ''))::bit(48)::bigint / 1000.0)
        AT TIME ZONE 'UTC' AS at
    FROM audit_batch WHERE line ->> 'id' ~* '^[0-9a-f]{8}-[0-9a-f]{4}-7'
) AS ids WHERE at BETWEEN %s AND %s
"""
# At most once a minute per token. In the order of ids, so that two flushers never wait for each other; a token somebody
# else has locked has its turn next time.
_TOKENS_USED = """
UPDATE services_token SET last_used_at = GREATEST(last_used_at, used.at)
FROM (
    SELECT token.id, given.at FROM services_token AS token
    JOIN unnest(%s::uuid[], %s::timestamptz[]) AS given (id, at) ON given.id = token.id
    WHERE token.last_used_at IS NULL OR token.last_used_at <= given.at - interval '1 minute'
    ORDER BY token.id FOR UPDATE OF token SKIP LOCKED
) AS used
WHERE services_token.id = used.id
"""


class DatabaseAway(Exception):
    """PostgreSQL could not take a batch now, for a reason that is not the batch's. Deliver it again later."""


class Delivery:
    """One connection's way of putting batches into `audit_requestrecord`. Not for concurrent use.

    `root` is where refused records are put (apps.audit.rejected).
    """

    def __init__(self, connect: Connect, root: Path) -> None:
        self.flushed_total = 0  # records PostgreSQL has acknowledged
        self.rejected_total = 0  # records PostgreSQL refused, kept in the file of rejected records
        self.damaged_total = 0  # stretches of a spool that were no record any more, kept there as well
        self.statements_total = 0  # batches sent, for the promise that records travel together
        self._connect = connect
        self._root = root
        self._connection: psycopg.AsyncConnection | None = None

    async def deliver(self, batch: Batch) -> None:
        """See that every record of the batch is in the table, or in the file of rejected records.

        Raises DatabaseAway, and OSError when that file cannot be written; the batch is then to be delivered again.
        """
        if batch.records:
            await self._deliver(batch.lines, batch.records)
        for raw in batch.damaged:
            path = reject(self._root, raw, reason="damaged in the spool: its checksum does not fit")
            self.damaged_total += 1
            log.error("a damaged record was set aside", file=str(path), bytes=len(raw))
        if batch.torn_bytes:
            log.warning("the last record of a process that died was never completed", bytes=batch.torn_bytes)

    async def close(self) -> None:
        """Close the connection, if there is one. The next `deliver` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    async def _deliver(self, lines: bytes, records: int) -> None:
        """Insert; where PostgreSQL refuses the lot, halve it until the refused records stand alone."""
        try:
            await self._insert(lines)
        except psycopg.Error as refusal:
            if records == 1:
                path = reject(self._root, payload_of(lines), reason=_reason(refusal), sqlstate=refusal.sqlstate)
                self.rejected_total += 1
                log.error(
                    "PostgreSQL refused a record", file=str(path), reason=_reason(refusal), sqlstate=refusal.sqlstate
                )
                return
            frames = _lines(lines)
            middle = len(frames) // 2
            await self._deliver(b"".join(frames[:middle]), middle)
            await self._deliver(b"".join(frames[middle:]), len(frames) - middle)
        else:
            self.flushed_total += records

    async def _insert(self, lines: bytes) -> None:
        """One transaction. Raises DatabaseAway, or psycopg.Error if it is the records that PostgreSQL refuses."""
        try:
            async with asyncio.timeout(TIMEOUT):
                connection = self._connection or await self._open()
                try:
                    used = await self._copy_and_insert(connection, lines)
                except psycopg.errors.CheckViolation:
                    if not await self._make_partitions(connection, lines):
                        raise
                    used = await self._copy_and_insert(connection, lines)
                await self._note_use(connection, used)
        except psycopg.Error as error:
            if _is_refusal(error):
                raise
            await self.close()
            raise DatabaseAway(_reason(error)) from error
        except (OSError, TimeoutError) as error:
            await self.close()
            raise DatabaseAway(str(error) or f"no answer within {TIMEOUT:.0f} s") from error
        except asyncio.CancelledError:
            await self.close()  # whatever it was doing, the next batch starts on a connection in a known state
            raise

    async def _open(self) -> psycopg.AsyncConnection:
        connection = await self._connect()
        try:
            await connection.set_autocommit(True)
            await connection.execute(_SESSION)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    async def _copy_and_insert(self, connection: psycopg.AsyncConnection, lines: bytes) -> Mapping[UUID, datetime]:
        async with connection.transaction():
            await self._copy(connection, lines)
            used = await connection.execute(_INSERT)
            return dict(await used.fetchall())

    async def _copy(self, connection: psycopg.AsyncConnection, lines: bytes) -> None:
        self.statements_total += 1
        async with connection.cursor().copy(_COPY) as copy:
            for start in range(0, len(lines), _SLICE):
                # A backslash is COPY's own escape; JSON as we write it has no other character that COPY minds.
                await copy.write(lines[start : start + _SLICE].replace(b"\\", b"\\\\"))
                await asyncio.sleep(0)  # requests have their turn in between

    async def _make_partitions(self, connection: psycopg.AsyncConnection, lines: bytes) -> bool:
        """Make the partitions of the batch's months. False if it has none that we would make one for."""
        now = datetime.now(UTC).replace(tzinfo=None)
        async with connection.transaction():
            await self._copy(connection, lines)
            months = await connection.execute(_MONTHS, (_FIRST_MONTH, now + _AHEAD))
            first, last = await months.fetchone() or (None, None)
            if first is None:
                return False
            await connection.execute("SELECT audit_ensure_partitions(%s, %s)", (first, last))
        return True

    async def _note_use(self, connection: psycopg.AsyncConnection, used: Mapping[UUID, datetime]) -> None:
        """Write when tokens were last used. Apart from the records: these are kept even if this fails."""
        if not used:
            return
        try:
            await connection.execute(_TOKENS_USED, (list(used), list(used.values())))
        except psycopg.Error as error:
            log.warning("when tokens were last used could not be written", reason=_reason(error))
            if connection.broken:
                await self.close()


def database(url: str, *, connect_timeout: int = 5) -> Connect:
    """How a Delivery connects: to a PostgreSQL URL, in seconds."""

    async def connect() -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=connect_timeout)

    return connect


def _insert_statement() -> LiteralString:
    """INSERT … SELECT over the temporary table. Its result: tokens whose last use should be written, and when it was.

    Texts are cut to their column, so that a gateway which forgot to never loses a record.
    """
    neutral = {
        "varchar": "''",
        "boolean": "false",
        "smallint": "0",
        "bigint": "0",
        "jsonb": "'[]'",
        "text[]": "'{}'",
        "uuid[]": "'{}'",
    }
    own = {
        # A version 7 id carries its time.
        "created_at": "COALESCE(r.created_at, to_timestamp("
        "('x' || replace(left(r.id::text, 13), '-', ''))::bit(48)::bigint / 1000.0))",
        "id": "r.id",
        # The kernel's name of an interface (fe80::1%eth0) is no part of the address.
        "client_address": "split_part(r.client_address, '%', 1)::inet",
    }
    types, values = [], []
    for name, declared in RECORD_COLUMNS.items():
        sql_type, _, not_null = declared.partition(" ")
        base = sql_type.partition("(")[0]
        types.append(f"{name} {'text' if base in {'varchar', 'inet'} else sql_type}")
        value = f"r.{name}::{sql_type}" if base == "varchar" else f"r.{name}"
        values.append(own.get(name) or (f"COALESCE({value}, {neutral[base]})" if not_null else value))
    return f"""
WITH records AS MATERIALIZED (
    SELECT {", ".join(f"{value} AS {name}" for name, value in zip(RECORD_COLUMNS, values, strict=True))}
    FROM audit_batch, json_to_record(line) AS r ({", ".join(types)})
), inserted AS (
    INSERT INTO audit_requestrecord ({", ".join(RECORD_COLUMNS)}) SELECT * FROM records ON CONFLICT (id) DO NOTHING
    RETURNING organization_id, service_id, token_id, created_at, cost_usd
), spent AS (
    INSERT INTO audit_spend AS s (organization_id, service_id, token_id, at, requests, cost_usd)
    SELECT organization_id, service_id, token_id, date_bin('15 minutes', created_at, 'epoch'), count(*), sum(cost_usd)
    FROM inserted WHERE cost_usd IS NOT NULL AND token_id IS NOT NULL
    GROUP BY 1, 2, 3, 4 ORDER BY 3, 4 -- in one order everywhere, so that two flushers never wait for each other
    ON CONFLICT (token_id, at) DO UPDATE SET requests = s.requests + excluded.requests, cost_usd = s.cost_usd + excluded.cost_usd
), used AS (
    SELECT token_id AS id, max(created_at) AS at FROM records
    WHERE token_id IS NOT NULL AND status <> 401 GROUP BY token_id
)
SELECT used.id, used.at FROM used JOIN services_token AS token ON token.id = used.id
WHERE token.last_used_at IS NULL OR token.last_used_at <= used.at - interval '1 minute'
"""


_INSERT = _insert_statement()


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds alone; bytes.splitlines splits at carriage returns as well."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _is_refusal(error: psycopg.Error) -> bool:
    """Whether it is the records that PostgreSQL minds: bad data (22), broken rules (23), too much or too deep (54)."""
    return (error.sqlstate or "")[:2] in {"22", "23", "54"}


def _reason(error: psycopg.Error) -> str:
    """The first line of what PostgreSQL said: later ones quote the record's values."""
    return (error.diag.message_primary or str(error)).strip().split("\n", 1)[0]
