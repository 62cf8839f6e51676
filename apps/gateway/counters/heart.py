"""This process among the others: heard of in the store, its leases renewed, its part of every rebuild done.

Four times a second, and whenever the store is back, it says that it lives. What it hears in return is acted on: rebuilds under way
are told all that this process knows (rebuild.py says why), a store that has forgotten everything is told what running calls hold,
and requests whose lease ran out give back what they hold, once what they cost is known as far as it ever will be.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from apps.audit.flusher import Flusher
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.counters.counters import Counters
from apps.gateway.store.connection import StoreAway, StoreRefusal
from apps.policies.counters import keys, scripts
from apps.policies.counters.rebuild import nano

log = get_logger(__name__)

_EVERY = 0.25  # seconds
_EXPIRE_AT_ONCE = 200
_CALM = 2.0  # seconds with the store before leases end: processes that it comes back to renew theirs first
_CATCH_UP = 2.0  # seconds for the records of the dead to arrive, before what their calls hold is given back
_RESOLVE_EVERY = 2.0  # seconds between looks for records of expired requests
_RESOLVE_AT_ONCE = 500
_FORGET_AFTER = 24 * 3600.0  # seconds: a request without a record by then was never answered
_COSTS = "SELECT id, COALESCE(cost_usd, 0) FROM audit_requestrecord WHERE id = ANY(%s)"

Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]


class Heart:
    """The task beside the requests that keeps this process's part of the counters true."""

    def __init__(
        self, counters: Counters, forget_unasked: Callable[[], None], flusher: Flusher, connect: Connect
    ) -> None:
        """`forget_unasked`: has budgets built anew that calls have passed without asking. Raises StoreAway."""
        self._counters, self._flusher, self._connect = counters, flusher, connect
        self._forget_unasked = forget_unasked
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._known: dict[str, asyncio.Task[None]] = {}  # rebuilds heard of
        self._resolve_at = 0.0
        self._resolving: asyncio.Task[None] | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._since = 0  # since when the store knows of processes, as it said last
        self._connected_at = 0.0
        self._at_once = asyncio.Event()
        counters.store.on_connected = self._connected

    def _connected(self) -> None:
        """The store is back: what it was not told goes before every new question."""
        self._connected_at = time.monotonic()
        with contextlib.suppress(StoreAway):
            self._counters.settle_again()
            self._forget_unasked()
        self._at_once.set()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._at_once.clear()
            try:
                if self._counters.store.is_connected:
                    await self._beat()
            except (StoreAway, StoreRefusal) as why:
                log.warning("beat_failed", why=str(why))
            except Exception:  # an error of ours must not end the beating, and with it every lease
                log.exception("beat_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._at_once.wait()

    async def stop(self) -> None:
        """Say that this process is gone, so that nobody waits for it."""
        for task in (*self._known.values(), self._resolving, self._expiring):
            if task is not None:
                task.cancel()
        with contextlib.suppress(StoreAway, StoreRefusal, TimeoutError):
            async with asyncio.timeout(1):
                await self._counters.store.execute("HDEL", keys.PROCS, self._name)

    async def _beat(self) -> None:
        counters = self._counters
        self._forget_unasked()
        if counters.unsettled:
            counters.settle_again()
        now = time.monotonic()
        due = []
        for id_, taken in counters.running.items():
            if now - taken.renewed_at > counters.lease_ms / 3000:
                taken.renewed_at = now
                due.append(id_)
        told = await counters.store.run(
            scripts.BEAT,
            [keys.PROCS, keys.SINCE, keys.LEASE, keys.REBUILD, keys.EXPIRED],
            [self._name, counters.lease_ms, counters.store.run_id, *due],
        )
        if told[1] != self._since:
            await self._hold_again()
            self._since = told[1]
        if told[3] and now - self._connected_at > _CALM and (self._expiring is None or self._expiring.done()):
            self._expiring = asyncio.create_task(self._expire(told[0]), name="leases-expire")
        rebuilds = told[4:]
        for name in rebuilds:
            if name not in self._known:
                self._known[name] = asyncio.create_task(self._answer_rebuild(name), name="rebuild-answer")
        for name in [name for name in self._known if name not in rebuilds]:
            del self._known[name]
        if told[2] and now >= self._resolve_at and (self._resolving is None or self._resolving.done()):
            self._resolve_at = now + _RESOLVE_EVERY
            self._resolving = asyncio.create_task(self._resolve(told[0]), name="expired-resolve")

    async def _answer_rebuild(self, name: str) -> None:
        """Put back what running calls hold, see all that was recorded delivered, and say so."""
        store = self._counters.store
        try:
            await self._hold_again()
            await self._flusher.catch_up()
            await store.execute("SADD", keys.acks(name), self._name)
            await store.execute("EXPIRE", keys.acks(name), 60)
        except (StoreAway, StoreRefusal) as why:
            self._known.pop(name, None)  # heard of again with the next beat
            log.warning("rebuild_unanswered", why=str(why))

    async def _hold_again(self) -> None:
        """Put back what running calls hold. Those that the store has not answered yet ask it after it forgot, if it did."""
        counters = self._counters
        running = [
            part
            for id_, taken in counters.running.items()
            if taken.is_certain
            for part in (id_, f"{taken.amount};{taken.packed.request.blob}")
        ]
        if running:
            where = [keys.LEASE, keys.HOLD, keys.EXPIRED]
            await counters.store.run(scripts.HOLD_AGAIN, where, [counters.lease_ms, *running])

    async def _expire(self, now: int) -> None:
        """Give back what the dead ones' calls hold, charged in the same step where their records say what they cost.

        While PostgreSQL is away the records are not waited for: they are charged when they arrive (`_resolve`).
        """
        store = self._counters.store
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CATCH_UP):
                    await self._flusher.catch_up()
            ids = await store.execute("ZRANGEBYSCORE", keys.LEASE, "-inf", now, "LIMIT", 0, _EXPIRE_AT_ONCE)
            try:
                costs = await self._costs(ids)
            except (psycopg.Error, OSError) as why:
                log.warning("expired_unresolved", why=str(why))
                costs = {}
            pairs = [part for id_ in ids for part in (id_, nano(costs[id_]) if id_ in costs else -1)]
            released = await store.run(scripts.EXPIRE, [keys.LEASE, keys.HOLD, keys.EXPIRED], [store.run_id, 1, *pairs])
            if released:
                metrics.holds_expired.inc(len(released))
                log.warning("holds_expired", requests=len(released))
        except (StoreAway, StoreRefusal) as why:
            log.warning("leases_unexpired", why=str(why))

    async def _costs(self, ids: Sequence[str]) -> dict[str, Decimal]:
        """What those of the requests cost that are recorded, in USD. Raises psycopg.Error, OSError."""
        async with await self._connect() as connection:
            cursor = await connection.execute(_COSTS, ([UUID(id_) for id_ in ids],))
            return {row[0].hex: row[1] for row in await cursor.fetchall()}

    async def _resolve(self, now: int) -> None:
        """Charge requests that expired for what their records say, and forget those that never had one."""
        store = self._counters.store
        try:
            found = await store.execute("HGETALL", keys.EXPIRED)
            taken = dict(zip(found[::2], found[1::2], strict=True))
            if len(taken) > _RESOLVE_AT_ONCE:
                taken = dict(list(taken.items())[:_RESOLVE_AT_ONCE])
            mine = self._counters.running
            ids = [id_ for id_ in taken if id_ not in mine]
            costs = await self._costs(ids)
            for id_ in ids:
                if id_ in costs:
                    await store.run(scripts.SPEND_EXPIRED, [keys.EXPIRED], [id_, nano(costs[id_]), store.run_id])
                elif now - int(taken[id_].split(";", 1)[0]) > _FORGET_AFTER * 1000:
                    await store.run(scripts.SPEND_EXPIRED, [keys.EXPIRED], [id_, -1, store.run_id])
        except (StoreAway, StoreRefusal, psycopg.Error, OSError) as why:
            log.warning("expired_unresolved", why=str(why))
