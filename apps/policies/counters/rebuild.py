"""Building budgets' counters from the ledger, while calls go on: nothing is counted twice, and nothing left out. No Django.

The ledger lacks what gateways have recorded and not yet delivered, and does not know what running calls hold. So a rebuild

1. marks the budgets (rebuild_begin): from then on they admit nothing, and what is settled for them is kept apart (`late`);
2. waits until every gateway process has said (`acks`) that all it had recorded by then is in the ledger and all its running calls
   hold what they hold. A process unheard of for four seconds is dead, and its spool is the others' to deliver before they say so;
3. reads the ledger in one snapshot, and which of the late, running and expired requests are in it;
4. writes the sum, adds the late ones that were not, and what running calls hold, and opens the budget again (rebuild_end).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from apps.core.logs import get_logger
from apps.policies import ledger
from apps.policies.counters import keys, scripts
from apps.policies.counters.plan import NANO, Counted
from apps.policies.counters.scripts import Script

log = get_logger(__name__)

_LOOK_EVERY = 0.05  # seconds between looks whether all have answered
_ALIVE = 4_000  # milliseconds since a process was last heard of
# Milliseconds after which every living process has been heard of, since the store forgot them: they look for it twice a second at
# least, and are heard of at once when they find it.
_ALL_HEARD = 1_500
_PATIENCE = 8.0  # seconds for all processes to answer; then the rebuild is given up, and begun again by the next call
_LIFE = 7 * 24 * 3600  # seconds until a budget is built anew whatever happened, or forgotten if nobody asks


class RebuildFailed(Exception):
    """The budgets could not be built now; they admit nothing until a later try succeeds."""


class Overtaken(RebuildFailed):
    """What was built is out of date already: a late cost has come in meanwhile, or another process took over."""


class StorePort(Protocol):
    """What a rebuild needs of the store."""

    @property
    def run_id(self) -> str:
        """The store's run."""
        ...

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script."""
        ...

    async def execute(self, *parts: str | int) -> Any:
        """Run a plain command."""
        ...


async def rebuild(
    store: StorePort,
    connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]],
    organization: UUID,
    budgets: Sequence[Counted],
    *,
    again: bool = False,
) -> int:
    """Build those of `budgets` that are not built, or with `again` all of them. Returns how many this call has built.

    Budgets that somebody else is building are waited for. Raises RebuildFailed, psycopg.Error, and what the store raises.
    """
    name = secrets.token_hex(8)
    begun = await store.run(
        scripts.REBUILD_BEGIN,
        [keys.REBUILD, keys.PROCS, keys.SINCE, *(each.key for each in budgets)],
        [name, store.run_id, "1" if again else "0"],
    )
    mine = [budgets[position - 1] for position in begun[2:]]
    try:
        if mine:
            await _wait_for_processes(store, name)
            async with await connect() as connection:
                await connection.set_autocommit(False)
                await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
                for each in mine:
                    await _build(store, connection, organization, each, name)
        others = [each for each in budgets if each not in mine]
        await _wait_for_others(store, others)
    except BaseException:
        # Unmarked, so that the next call begins at once instead of waiting for us.
        for each in mine:
            if await store.execute("HGET", each.key, "r") == name:
                await store.execute("DEL", each.key)
        raise
    finally:
        if mine:
            await store.execute("HDEL", keys.REBUILD, name)
            await store.execute("DEL", keys.acks(name))
    return len(mine)


async def _wait_for_processes(store: StorePort, name: str) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while True:
        seconds, micros = await store.execute("TIME")
        now = int(seconds) * 1000 + int(micros) // 1000
        since, _, run = (await store.execute("GET", keys.SINCE) or "").partition(";")
        heard = await store.execute("HGETALL", keys.PROCS)
        alive = {process for process, at in zip(heard[::2], heard[1::2], strict=True) if now - int(at) <= _ALIVE}
        answered = set(await store.execute("SMEMBERS", keys.acks(name)))
        # Where the store has forgotten everybody meanwhile, nothing is known of who lives.
        if alive <= answered and run == store.run_id and now - int(since) >= _ALL_HEARD:
            return
        if loop.time() > until:
            raise RebuildFailed(f"{len(alive - answered)} of {len(alive)} gateway processes have not answered in time")
        await asyncio.sleep(_LOOK_EVERY)


async def _wait_for_others(store: StorePort, budgets: Sequence[Counted]) -> None:
    until = asyncio.get_running_loop().time() + _PATIENCE
    for each in budgets:
        while True:
            built_in, rebuilding = await store.execute("HMGET", each.key, "e", "r")
            if built_in == store.run_id and not rebuilding:
                break
            if not rebuilding or asyncio.get_running_loop().time() > until:
                raise RebuildFailed("another process gave its rebuild up")
            await asyncio.sleep(_LOOK_EVERY)


async def _build(
    store: StorePort, connection: psycopg.AsyncConnection[Any], organization: UUID, each: Counted, name: str
) -> None:
    spent, days = await spent_in_ledger(connection, organization, each)
    asked: dict[str, str] = {}
    while True:
        answer = await store.run(
            scripts.REBUILD_END,
            [each.key, keys.HOLD, keys.EXPIRED],
            [
                name,
                store.run_id,
                each.window,
                each.rule.rolling_days or 0,
                spent,
                _LIFE,
                len(days),
                *(part for pair in days.items() for part in pair),
                *(part for pair in asked.items() for part in pair),
            ],
        )
        if answer[0] == 1:
            log.debug("budget_rebuilt", budget=each.key, spent_nano=spent, late=len(asked))
            return
        if answer[0] == 0:
            raise Overtaken("the rebuild took too long and somebody else has begun another, or wants one")
        unknown = answer[1:]
        cursor = await connection.execute(
            ledger.CONTAINS_SQL, ledger.contains_parameters([UUID(id_) for id_ in unknown])
        )
        there = {row[0].hex for row in await cursor.fetchall()}
        asked.update((id_, "1" if id_ in there else "0") for id_ in unknown)


async def spent_in_ledger(
    connection: psycopg.AsyncConnection[Any], organization: UUID, each: Counted
) -> tuple[int, Mapping[int, int]]:
    """What the ledger says was spent in the window, in nano-USD rounded up; and by day, where the window rolls."""
    rule = each.rule
    subject: UUID | str | None = rule.subject_id
    if rule.scope == "end_user":
        subject = each.end_user
    elif rule.scope == "tag":
        subject = rule.tag
    scope = rule.holder or rule.scope
    if rule.rolling_days:
        values = ledger.parameters(organization, subject, each.span, ZoneInfo(rule.timezone))
        cursor = await connection.execute(ledger.spent_days_sql(scope), values)
        days = {int(day): nano(usd) for day, usd in await cursor.fetchall()}
        return sum(days.values()), days
    cursor = await connection.execute(ledger.spent_sql(scope), ledger.parameters(organization, subject, each.span))
    row = await cursor.fetchone()
    return nano(row[0] if row else Decimal(0)), {}


def nano(usd: Decimal) -> int:
    """Nano-USD, rounded up: the store never counts less than was spent."""
    return int((usd * NANO).to_integral_value(ROUND_CEILING))
