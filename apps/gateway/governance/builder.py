"""Building budgets that the store does not know: once for all calls that wait for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from apps.core.errors import CountersUnavailable
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.store.connection import StoreAway, StoreRefusal
from apps.gateway.store.store import Store
from apps.policies.counters.plan import Counted
from apps.policies.counters.rebuild import Overtaken, RebuildFailed, rebuild

log = get_logger(__name__)

_AT_ONCE = 4  # rebuilds, each of which has a connection to PostgreSQL
_TRIES = 3  # at one rebuild that is overtaken, as where a batch is paid for at the same moment
_PATIENCE = 12.0  # seconds that a call waits for one


class Builder:
    """The rebuilds that this process has under way, by budget key."""

    def __init__(self, store: Store, connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]) -> None:
        self._store, self._connect = store, connect
        self._building: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def build(self, organization: UUID, budgets: Sequence[Counted]) -> None:
        """Return once these budgets are built. Raises CountersUnavailable if they could not be."""
        fresh = [each for each in budgets if each.key not in self._building]
        if fresh:
            task = asyncio.create_task(self._build(organization, fresh), name="budget-rebuild")
            for each in fresh:
                self._building[each.key] = task
            task.add_done_callback(lambda _: [self._building.pop(each.key, None) for each in fresh])
        tasks = {found for each in budgets if (found := self._building.get(each.key)) is not None}
        done, pending = await asyncio.wait(tasks, timeout=_PATIENCE) if tasks else (set(), set())
        if pending or any(task.cancelled() or task.exception() for task in done):
            raise CountersUnavailable(
                "The counters of this token's budgets are being built from the ledger, which takes longer than usual: try again."
            )

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = set(self._building.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, organization: UUID, budgets: Sequence[Counted]) -> None:
        try:
            async with self._slots:
                await self._rebuild(organization, budgets)
        except (RebuildFailed, StoreAway, StoreRefusal, psycopg.Error, OSError, TimeoutError) as why:
            metrics.rebuilds.labels("failed").inc()
            log.warning("budget_rebuild_failed", why=str(why) or type(why).__name__, budgets=len(budgets))
            raise
        except Exception:
            metrics.rebuilds.labels("failed").inc()
            log.exception("budget_rebuild_failed")
            raise
        metrics.rebuilds.labels("built").inc(len(budgets))
        log.info("budgets_built", organization=str(organization), budgets=len(budgets))

    async def _rebuild(self, organization: UUID, budgets: Sequence[Counted]) -> None:
        for tries in range(1, _TRIES + 1):
            try:
                await rebuild(self._store, self._connect, organization, budgets)
            except Overtaken:
                if tries == _TRIES:
                    raise
            else:
                return
