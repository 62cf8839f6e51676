"""The flusher: a task beside the gateway's requests that carries the spool's records into PostgreSQL.

It wakes when a record arrives, waits a moment for company, and delivers what there is. While PostgreSQL is away
everything stays in the spool, and the flusher tries again, less and less often. Now and then it looks for folders of
dead processes.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from apps.audit.delivery import Connect, DatabaseAway, Delivery
from apps.audit.spool import Spool, orphans
from apps.core.logs import get_logger

log = get_logger(__name__)

BATCH_RECORDS = 2000
BATCH_BYTES = 1 << 20
LINGER = 0.2  # seconds a first record waits for others
RETRY_FIRST, RETRY_MOST = 0.1, 5.0  # seconds between attempts while PostgreSQL is away
ADOPT_EVERY = 30.0  # seconds
CATCH_UP_LOOK = 0.02  # seconds between looks whether everything has been delivered


class Flusher:
    """Delivers `spool`, and the spools of dead processes beside it. `run` is to be a task; `drain` ends it.

    `connect` opens a psycopg connection with the owner's rights (`apps.audit.delivery.database(url)`).
    """

    def __init__(
        self,
        spool: Spool,
        connect: Connect,
        *,
        batch_records: int = BATCH_RECORDS,
        linger: float = LINGER,
        adopt_every: float = ADOPT_EVERY,
    ) -> None:
        self.adopted_total = 0  # folders of dead processes delivered and removed
        self.away_since: float | None = None  # Unix seconds since when PostgreSQL takes no records; None while it does
        self._spool = spool
        self._delivery = Delivery(connect, spool.root)
        self._batch_records = batch_records
        self._linger = linger
        self._adopt_every = adopt_every
        self._adopt_at = 0.0  # at once: the process we replace may have left a spool
        self._looks_begun = self._looks_done = 0  # for the spools of dead processes
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()  # waiting for company is over
        self._stopping = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        spool.on_pending = self._wake.set

    @property
    def flushed_total(self) -> int:
        """Records that PostgreSQL has acknowledged, adopted ones included."""
        return self._delivery.flushed_total

    @property
    def rejected_total(self) -> int:
        """Records that PostgreSQL refused; they are in the spool's `rejected` folder."""
        return self._delivery.rejected_total

    @property
    def damaged_total(self) -> int:
        """Records whose checksum did not fit when they were read back; their bytes are in the `rejected` folder."""
        return self._delivery.damaged_total

    @property
    def batches_total(self) -> int:
        """Batches sent to PostgreSQL, repetitions included."""
        return self._delivery.statements_total

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest record that still waits in this process's spool."""
        oldest = self._spool.oldest_pending_at
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    async def run(self) -> None:
        """Deliver until `drain`, or until cancelled.

        Never ends by an error: what cannot be delivered stays in the spool.
        """
        self._runner = asyncio.current_task()
        retry = RETRY_FIRST
        try:
            while True:
                await self._wait_for_work()
                try:
                    await self._deliver_own()
                    if not self._stopping.is_set():
                        await self._adopt()
                except (DatabaseAway, OSError) as trouble:
                    self._went_away(trouble)
                except Exception:  # an error of ours must not end the way of every later record
                    log.exception("flushing records failed; trying again")
                else:
                    self._came_back()
                    retry = RETRY_FIRST
                    if self._stopping.is_set() and not self._spool.pending_records:
                        return
                    continue
                if self._stopping.is_set():  # for as long as `drain` gives us
                    await asyncio.sleep(RETRY_FIRST)
                else:
                    await _wait(self._stopping, retry * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
                    retry = min(2 * retry, RETRY_MOST)
        finally:
            self._runner = None
            await self._delivery.close()

    async def catch_up(self) -> None:
        """Return once all that was recorded until now is in PostgreSQL: by this process, and by dead ones beside it.

        Never returns while PostgreSQL is away: give it a limit.
        """
        goal, look = self._spool.appended_total, self._looks_begun + 1
        while self._spool.delivered_total < goal or self._looks_done < look:
            if self._looks_begun < look:
                self._adopt_at = 0.0
            self._hurry.set()
            self._wake.set()
            await asyncio.sleep(CATCH_UP_LOOK)

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - it ends the task, not a wait
        """Deliver what waits, for at most `timeout` seconds, and end `run`. Returns how many records are left in the
        spool.

        These are safe: close the spool, and the next process adopts them.
        """
        self._stopping.set()
        self._hurry.set()
        self._wake.set()
        runner = self._runner or asyncio.create_task(self.run(), name="flusher")
        done, _ = await asyncio.wait({runner}, timeout=timeout)
        if not done:
            runner.cancel()
            await asyncio.wait({runner})
        if self._spool.pending_records:
            log.warning(
                "records wait in the spool for another process to deliver them", records=self._spool.pending_records
            )
        return self._spool.pending_records

    async def _wait_for_work(self) -> None:
        """Until a record waits and has had its moment, or it is time to look for orphans, or we are to stop."""
        if not self._spool.pending_records:
            self._wake.clear()
            await _wait(self._wake, max(0.0, self._adopt_at - time.monotonic()))
        if self._spool.pending_records < self._batch_records:
            await _wait(self._hurry, self._linger)
        if not self._stopping.is_set():
            self._hurry.clear()

    async def _deliver_own(self) -> None:
        """Everything that waits now; what arrives meanwhile waits for company again, unless this is the end."""
        goal = self._spool.appended_total
        while self._spool.delivered_total < goal or self._stopping.is_set():
            try:
                batch = self._spool.read(max_records=self._batch_records, max_bytes=BATCH_BYTES)
            except OSError as error:
                lost = self._spool.drop_unreadable()
                if not lost:
                    raise
                log.exception(
                    "a segment of the spool cannot be read; its records are lost", records=lost, reason=error.strerror
                )
                continue
            if batch is None:
                return
            await self._delivery.deliver(batch)
            self._spool.advance(batch)

    async def _adopt(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._looks_begun += 1
        self._adopt_at = time.monotonic() + self._adopt_every
        try:
            self.adopted_total += await adopt(self._spool.root, self._delivery, meanwhile=self._own_first)
        except BaseException:
            self._looks_begun -= 1
            self._adopt_at = 0.0
            raise
        self._looks_done = self._looks_begun

    async def _own_first(self) -> None:
        """Between two batches of somebody else's: our own have priority."""
        if self._spool.pending_records:
            await self._deliver_own()

    def _went_away(self, trouble: Exception) -> None:
        if self.away_since is None:
            self.away_since = time.time()
            log.error(
                "records cannot be delivered and wait in the spool",
                reason=str(trouble),
                pending=self._spool.pending_records,
            )

    def _came_back(self) -> None:
        if self.away_since is not None:
            log.warning("records are delivered again", after_seconds=round(time.time() - self.away_since, 1))
            self.away_since = None


async def adopt(root: Path, delivery: Delivery, *, meanwhile: Callable[[], Awaitable[None]] | None = None) -> int:
    """Deliver the spools of dead processes below `root`, and remove them. Returns how many.

    `meanwhile` is awaited after every batch. Raises DatabaseAway. A folder that cannot be read is left as it is, and
    said so.
    """
    adopted = 0
    for orphan in orphans(root):
        before = delivery.flushed_total
        try:
            while (batch := orphan.read(max_records=BATCH_RECORDS, max_bytes=BATCH_BYTES)) is not None:
                await delivery.deliver(batch)
                orphan.advance(batch)
                if meanwhile is not None:
                    await meanwhile()
            orphan.finish()
        except OSError as error:
            log.warning("a dead process's spool cannot be adopted", folder=str(orphan.folder), reason=error.strerror)
            continue
        finally:
            orphan.release()
        adopted += 1
        log.info("adopted a dead process's spool", folder=orphan.folder.name, records=delivery.flushed_total - before)
    return adopted


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
