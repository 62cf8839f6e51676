"""The data plane as a raw ASGI application: its life, and which of its pages a request is for."""

import asyncio
import gc
import hmac

import orjson

from apps.audit.delivery import database
from apps.audit.flusher import Flusher
from apps.audit.spool import Spool
from apps.core.egress import Egress
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.config import GatewayConfig
from apps.gateway.counters.counters import Counters
from apps.gateway.counters.heart import Heart
from apps.gateway.directory.directory import Directory
from apps.gateway.exchange import Exchange, Message, Receive, Send
from apps.gateway.governance.admission import Admission
from apps.gateway.governance.builder import Builder
from apps.gateway.health.health import Health
from apps.gateway.health.sharing import Sharing
from apps.gateway.idempotency.idempotency import Idempotency
from apps.gateway.means import Means
from apps.gateway.objects.owners import Owners
from apps.gateway.objects.paying import Payer
from apps.gateway.pipeline import handle
from apps.gateway.realtime.caller import Caller
from apps.gateway.realtime.opening import Realtime
from apps.gateway.realtime.secrets import Secrets
from apps.gateway.server import CLIENT
from apps.gateway.store.store import Store
from apps.gateway.surfaces import is_data_plane
from apps.gateway.uploads.disk import UploadDisk
from apps.gateway.upstream.dialing import Dialer
from apps.gateway.upstream.pool import UpstreamPool

log = get_logger(__name__)

OPERATIONS = frozenset({"/healthz", "/readyz", "/metrics"})
_STORE_START = 2.0  # seconds to wait for the store, so that the first callers are not refused
_FLUSH_ON_EXIT = 5.0  # seconds; what remains is adopted by the next process
_MEASURE_EVERY = 1.0  # seconds


class Gateway:
    """The application. `startup` and `shutdown` are called by the server's lifespan (config.asgi)."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._directory = Directory(config)
        dialer = Dialer(Egress(config.egress_allow))
        self._pool = UpstreamPool(dialer)
        self._connect = database(config.database_url)
        self._store = Store(config.redis_url)
        self._counters = Counters(self._store, config.hold_lease)
        self._builder = Builder(self._store, self._connect)
        self._admission = Admission(self._counters, self._builder)
        self._health = Health(cool=config.route_cooldown)
        self._uploads = UploadDisk(config.upload_dir, config.upload_space)
        secrets = Secrets(self._store, config.keyring)
        self._realtime = Realtime(self._directory, self._admission, self._health, dialer, secrets)
        idempotency = Idempotency(self._store, config.keyring)
        self._owners = Owners(config.database_url, lambda: self._directory.is_connected)
        self._payer = Payer(config, self._owners, self._directory, self._admission, self._pool)
        self._means = Means(
            self._directory,
            self._admission,
            self._pool,
            self._health,
            self._realtime,
            self._uploads,
            idempotency,
            self._owners,
            self._payer,
        )
        self._sharing = Sharing(self._health, self._store)
        self._looking: asyncio.Task[None] | None = None
        self._heart: Heart | None = None
        self._beating: asyncio.Task[None] | None = None
        self._spool: Spool | None = None
        self._flusher: Flusher | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._paying: asyncio.Task[None] | None = None
        self._stopping = False
        self._in_flight = 0

    async def startup(self) -> None:
        """Open what the data plane needs. Does not insist on the database: /readyz says when it is there."""
        config = self._config
        self._spool = Spool(config.spool_dir, max_bytes=config.spool_max_bytes)
        self._flusher = Flusher(self._spool, self._connect)
        self._flushing = asyncio.create_task(self._flusher.run(), name="record-flusher")
        await self._pool.start()
        self._heart = Heart(self._counters, self._admission.forget_unasked, self._flusher, self._connect)
        self._payer.spool = self._spool
        await self._owners.start()
        await asyncio.gather(self._directory.start(), self._store.start(_STORE_START))
        self._paying = asyncio.create_task(self._payer.run(), name="payer")
        self._beating = asyncio.create_task(self._heart.run(), name="heart")
        self._looking = asyncio.create_task(self._sharing.run(), name="health")
        self._measuring = asyncio.create_task(self._keep_measuring(), name="gauges")
        _spare_the_collector()
        log.info("gateway_started", spool=str(config.spool_dir))

    async def shutdown(self) -> None:
        """After the last answer: deliver what is recorded, then close everything."""
        self._stopping = True
        if self._flusher is not None:
            left = await self._flusher.drain(_FLUSH_ON_EXIT)
            if left:
                log.warning("records_left_in_spool", records=left)
        await self._builder.stop()
        if self._heart is not None:
            await self._heart.stop()
        for task in (self._flushing, self._measuring, self._beating, self._looking, self._paying):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._sharing.stop()
        await self._store.stop()
        await self._owners.stop()
        await self._directory.stop()
        await self._pool.stop()
        self._uploads.stop()
        if self._spool is not None:
            self._spool.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request of the data plane."""
        path = scope["path"]
        if path in OPERATIONS:
            await self._operate(path, scope, send)
            return
        spool = self._spool
        if spool is None:
            raise RuntimeError("the gateway has not been started: its server must run the lifespan protocol")
        self._in_flight += 1
        try:
            exchange = Exchange(scope, receive, send, self._config, spool)
            await handle(exchange, self._means, records_are_possible=self._can_record())
        finally:
            self._in_flight -= 1
            # The client's way back holds its scope: left in there it would be a ring, which lives until the collector finds it.
            scope.pop(CLIENT, None)

    async def relay(self, scope: Message, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end."""
        spool = self._spool
        if spool is None:
            raise RuntimeError("the gateway has not been started: its server must run the lifespan protocol")
        caller = Caller(scope, receive, send)
        exchange = Exchange({**scope, "method": "GET"}, receive, send, self._config, spool)
        await self._realtime.relay(exchange, caller, records_are_possible=self._can_record())

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path belongs to the data plane."""
        return path in OPERATIONS or is_data_plane(path)

    def _can_record(self) -> bool:
        spool = self._spool
        if spool is None or spool.failing:
            return False
        return spool.pending_bytes < self._config.spool_max_bytes - _ROOM

    async def _operate(self, path: str, scope: Message, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, b'{"error":"use GET"}', (b"allow", b"GET, HEAD"))
        elif path == "/healthz":
            await _send(send, 200, b'{"status":"alive"}')
        elif path == "/readyz":
            problems, usable = self._problems()
            body = orjson.dumps(
                {"status": "ready" if not problems else "degraded" if usable else "not ready", "problems": problems}
            )
            await _send(send, 200 if usable else 503, body)
        elif not self._may_read_metrics(scope):
            await _send(
                send, 401, b'{"error":"send METRICS_TOKEN as a bearer token"}', (b"www-authenticate", b"Bearer")
            )
        else:
            self._measure()
            # Collected off the loop: with several workers it reads a file of each.
            body, content_type = await asyncio.to_thread(metrics.exposition)
            await _send(send, 200, body, content_type=content_type.encode())

    def _problems(self) -> tuple[list[str], bool]:
        """What is wrong, each in a sentence, and whether calls can be answered all the same."""
        problems = []
        usable = True
        if self._stopping:
            problems.append("shutting down")
            usable = False
        if not self._directory.is_connected:
            usable = usable and self._directory.is_usable
            problems.append(
                "PostgreSQL cannot be reached (DATABASE_URL); "
                + ("known tokens still work" if self._directory.is_usable else "no token can be checked")
            )
        if not self._store.is_connected:
            problems.append(
                "the store of limits and budgets cannot be reached (REDIS_URL); calls that have any are refused"
            )
        if self._spool is not None and self._spool.failing:
            self._spool.probe()
        if not self._can_record():
            usable = False
            problems.append("the record spool is full, or its disk is (SPOOL_DIR, SPOOL_MAX_BYTES)")
        elif self._spool is not None and self._spool.nearly_full:
            problems.append("the record spool is nearly full (SPOOL_DIR, SPOOL_MAX_BYTES)")
        return problems, usable

    def _may_read_metrics(self, scope: Message) -> bool:
        token = self._config.metrics_token
        if not token:
            return True
        sent: bytes = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(sent, b"Bearer " + token.encode())

    async def _keep_measuring(self) -> None:
        """One worker answers /metrics for all of them, so each keeps its own gauges true without being asked."""
        while True:
            self._measure()
            await asyncio.sleep(_MEASURE_EVERY)

    def _measure(self) -> None:
        """Bring the gauges up to date."""
        metrics.in_flight.set(self._in_flight)
        metrics.directory_connected.set(int(self._directory.is_connected))
        metrics.routes_cooling.set(self._health.cooling)
        metrics.show_routes(self._health.shown())
        metrics.store_connected.set(int(self._store.is_connected))
        metrics.settlements_waiting.set(self._counters.unsettled)
        metrics.directory_tokens.set(self._directory.size)
        if self._spool is not None and self._flusher is not None:
            metrics.spool_records.set(self._spool.pending_records)
            metrics.spool_bytes.set(self._spool.pending_bytes)
            metrics.spool_lag.set(self._flusher.lag_seconds)
            metrics.records_flushed.set(self._flusher.flushed_total)
            metrics.records_rejected.set(self._flusher.rejected_total)


def _spare_the_collector() -> None:
    """Leave what lives as long as the process out of garbage collection, and look less often: a request leaves few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


_ROOM = 1024 * 1024  # kept free for the records of calls that are under way


async def _send(
    send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes], content_type: bytes = b"application/json"
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type), length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})
