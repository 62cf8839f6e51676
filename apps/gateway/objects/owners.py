"""Whose is it: the table of objects as the data plane asks and writes it, on connections of its own.

What is written together is inserted together: calls that end in the same moment share one statement and one commit.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import AsyncRowFactory, class_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.core.errors import ObjectsUnavailable
from apps.core.ids import uuid7
from apps.core.logs import get_logger
from apps.gateway.directory.views import TokenView
from apps.objects import statements

log = get_logger(__name__)

type Facts = Mapping[str, Any]

FILE, BATCH, RESPONSE = "file", "batch", "response"

_SECONDS = 3.0  # for one statement
_CONNECTIONS = 4
_AT_ONCE = 500  # rows of one statement
_KNOWN = 50_000  # objects whose credential is remembered; which one never changes
_FACTS_MOST = 16 * 1024  # bytes of an object's facts; what is larger is not an object that lists show


@dataclass(frozen=True, slots=True)
class Owned:
    """An object, as its row says."""

    id: UUID
    organization_id: UUID
    service_id: UUID
    token_id: UUID
    credential_id: UUID
    kind: str
    upstream_id: str
    model: str
    facts: dict[str, Any]
    awaited: bool
    end_user: str
    tags: list[str]
    checked_at: datetime

    @property
    def credential(self) -> str:
        """Its credential's id as the directory has it."""
        return self.credential_id.hex


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """An object that has just been made."""

    organization_id: UUID
    service_id: UUID
    token_id: UUID
    credential: str
    kind: str
    upstream_id: str
    model: str = ""
    facts: Mapping[str, Any] | None = None
    items: Sequence[str] = ()
    end_user: str = ""
    tags: Sequence[str] = ()
    awaited: bool = False


def new(token: TokenView, credential: str, kind: str, upstream_id: str, **more: Any) -> New:
    """One that this token has made."""
    return New(
        organization_id=token.organization_id,
        service_id=token.service_id,
        token_id=token.id,
        credential=credential,
        kind=kind,
        upstream_id=upstream_id,
        **more,
    )


class Owners:
    """The table. Reads and writes raise ObjectsUnavailable when the database does not answer."""

    def __init__(self, database_url: str, is_connected: Callable[[], bool]) -> None:
        """`is_connected`: whether the database can be reached at all; while it cannot, nobody waits for it."""
        self._is_connected = is_connected
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            database_url,
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_SECONDS,
            open=False,
            kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "tollgate-objects"},
        )
        self._waiting: list[tuple[New, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._known: OrderedDict[tuple[UUID, str, str], str] = OrderedDict()

    async def start(self) -> None:
        """Begin to connect; does not wait for it."""
        await self._pool.open(wait=False)

    async def stop(self) -> None:
        """Write what waits, and close the connections."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=_SECONDS)
        await self._pool.close(timeout=1)

    # --- Reading ---

    async def find(self, token: TokenView, kind: str, upstream_id: str) -> Owned | None:
        """The service's own object of that id; None: it has none."""
        parameters = {"service": token.service_id, "kind": kind, "ids": [upstream_id]}
        found = await self._rows(statements.FIND, parameters)
        return found[0] if found else None

    async def credentials(self, token: TokenView, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """The credentials of those of these objects that are the service's own, by the objects' ids."""
        service = token.service_id
        found = {each: known for each in ids if (known := self._known.get((service, kind, each))) is not None}
        asked = [each for each in ids if each not in found]
        if asked:
            for row in await self._rows(statements.FIND, {"service": service, "kind": kind, "ids": asked}):
                found[row.upstream_id] = row.credential
                self._remember(service, kind, row.upstream_id, row.credential)
        return found

    async def credentials_of_items(self, token: TokenView, ids: Sequence[str]) -> dict[str, str]:
        """As `credentials`, of what the outputs of the service's responses consist of."""
        rows = await self._ask(statements.FIND_ITEMS, {"service": token.service_id, "ids": list(ids)}, tuple_row)
        return {item: credential.hex for item, credential in rows}

    async def page(
        self, token: TokenView, kind: str, *, most: int, after: str = "", purpose: str = "", newest_first: bool = True
    ) -> tuple[list[Owned], bool]:
        """Some of the service's own objects, and whether there are more."""
        rows = await self._rows(
            statements.NEWEST if newest_first else statements.OLDEST,
            {"service": token.service_id, "kind": kind, "after": after, "purpose": purpose, "most": most},
        )
        return rows[:most], len(rows) > most

    async def awaited(self, *, every: float, most: int) -> list[Owned]:
        """Objects that are still to be paid and were not looked at for so many seconds; from now on they were."""
        return await self._rows(statements.AWAITED, {"every": every, "most": most})

    # --- Writing ---

    async def add(self, made: New) -> None:
        """It is the service's from now on; returns when that is durable."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((made, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="objects-writer")
        await done
        self._remember(made.service_id, made.kind, made.upstream_id, made.credential)

    async def add_made_by(
        self, owned: Owned, kind: str, upstream_id: str, show: Callable[[], Awaitable[Facts]]
    ) -> None:
        """What an object has made belongs to whom that belongs to. `show` tells its facts, if it is not known yet."""
        if (owned.service_id, kind, upstream_id) in self._known:
            return
        known = {"service": owned.service_id, "kind": kind, "ids": [upstream_id]}
        if await self._rows(statements.FIND, known):
            self._remember(owned.service_id, kind, upstream_id, owned.credential)
            return
        await self.add(
            New(
                organization_id=owned.organization_id,
                service_id=owned.service_id,
                token_id=owned.token_id,
                credential=owned.credential,
                kind=kind,
                upstream_id=upstream_id,
                facts=await show(),
                end_user=owned.end_user,
                tags=owned.tags,
            )
        )

    async def note(self, owned: Owned, facts: Mapping[str, Any]) -> None:
        """The provider shows it like this now."""
        await self._do(statements.NOTE, {"id": owned.id, "facts": _facts(facts)})

    async def note_items(self, token: TokenView, credential: str, upstream_id: str, items: Sequence[str]) -> None:
        """What a response's output consists of, now that it is over and what it costs is about to be recorded."""
        await self._do(
            statements.NOTE_ITEMS,
            {
                "service": token.service_id,
                "credential": UUID(credential),
                "upstream_id": upstream_id,
                "items": list(items),
            },
        )

    async def delete(self, owned: Owned) -> None:
        """It is gone."""
        self._known.pop((owned.service_id, owned.kind, owned.upstream_id), None)
        await self._do(statements.DELETE, {"id": owned.id})

    async def claim(self, owned: Owned) -> tuple[UUID, bytes] | None:
        """Whether this process is to record what it cost: under which id, and the digest of the token it is charged to."""
        rows = await self._ask(statements.CLAIM, {"id": owned.id, "record_id": uuid7()}, tuple_row)
        return (rows[0][0], bytes(rows[0][1])) if rows else None

    async def paid(self, owned: Owned) -> None:
        """What it cost is recorded."""
        await self._do(statements.PAID, {"id": owned.id})

    # --- Within ---

    def _remember(self, service: UUID, kind: str, upstream_id: str, credential: str) -> None:
        self._known[service, kind, upstream_id] = credential
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    async def _write(self) -> None:
        """Write what waits until nothing does: whatever comes meanwhile goes together."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                error: ObjectsUnavailable | None = None
                try:
                    await self._do(statements.INSERT, {"rows": _rows_of([made for made, _ in batch])})
                except ObjectsUnavailable as exc:
                    error = exc
                for _, done in batch:
                    if done.done():
                        continue
                    if error is None:
                        done.set_result(None)
                    else:
                        done.set_exception(error)
        finally:
            self._writer = None

    async def _rows(self, statement: LiteralString, parameters: Mapping[str, Any]) -> list[Owned]:
        return await self._ask(statement, parameters, class_row(Owned))

    async def _do(self, statement: LiteralString, parameters: Mapping[str, Any]) -> None:
        await self._ask(statement, parameters, tuple_row)

    async def _ask[T](
        self, statement: LiteralString, parameters: Mapping[str, Any], factory: AsyncRowFactory[T]
    ) -> list[T]:
        """What a statement returns. Any of them may be made twice: after an outage the pool is full of dead connections, each of
        which is found out by one that fails."""
        if not self._is_connected():
            raise ObjectsUnavailable
        try:
            async with asyncio.timeout(_SECONDS):
                for _ in range(_CONNECTIONS):
                    try:
                        return await self._ask_once(statement, parameters, factory)
                    except psycopg.OperationalError as exc:
                        log.info("objects_connection_lost", why=str(exc).strip())
                return await self._ask_once(statement, parameters, factory)
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as exc:
            log.warning("objects_unavailable", why=str(exc).strip() or type(exc).__name__)
            raise ObjectsUnavailable from exc

    async def _ask_once[T](
        self, statement: LiteralString, parameters: Mapping[str, Any], factory: AsyncRowFactory[T]
    ) -> list[T]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=factory) as cursor:
            await cursor.execute(statement, parameters, prepare=True)
            return await cursor.fetchall() if cursor.description is not None else []


def _rows_of(made: Sequence[New]) -> str:
    """What INSERT takes."""
    return orjson.dumps(
        [
            {
                "id": uuid7(),
                "organization_id": each.organization_id,
                "service_id": each.service_id,
                "token_id": each.token_id,
                "credential_id": each.credential,
                "kind": each.kind,
                "upstream_id": each.upstream_id,
                "model": each.model[:255],
                "facts": orjson.Fragment(_facts(each.facts)) if each.facts else {},
                "items": each.items,
                "end_user": each.end_user,
                "tags": each.tags,
                "awaited": each.awaited,
            }
            for each in made
        ]
    ).decode()


def _facts(facts: Mapping[str, Any]) -> str:
    """As PostgreSQL takes it: it keeps no NUL."""
    text = orjson.dumps(facts)
    if b"\\u0000" in text:
        text = orjson.dumps(_without_nul(facts))
    return text.decode() if len(text) <= _FACTS_MOST else "{}"


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "")
        case dict():
            return {_without_nul(name): _without_nul(each) for name, each in value.items()}
        case list():
            return [_without_nul(each) for each in value]
        case _:
            return value
