"""Prometheus metrics of the data plane. Labels are bounded: endpoints, statuses, our own error codes; never a tenant, and models
and credentials only of so many routes that fail."""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import REGISTRY as DEFAULT_REGISTRY
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)

_requests = Counter("tollgate_requests_total", "Requests that were answered or refused.", ("endpoint", "status"))
_errors = Counter("tollgate_errors_total", "Requests that ended in an error, by error code.", ("endpoint", "code"))
_duration = Histogram(
    "tollgate_request_seconds",
    "From a request's arrival to its answer's end.",
    ("endpoint", "stream"),
    buckets=_SECONDS,
)
_first_byte = Histogram(
    "tollgate_first_byte_seconds",
    "From a request's arrival to its answer's first byte.",
    ("endpoint", "stream"),
    buckets=_SECONDS,
)
_overhead = Histogram(
    "tollgate_gateway_seconds", "What the gateway itself took of a request.", ("endpoint",), buckets=_OVERHEAD
)
in_flight = Gauge("tollgate_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")
realtime_sessions = Gauge("tollgate_realtime_sessions", "Realtime sessions that are open.", multiprocess_mode="livesum")
spool_records = Gauge(
    "tollgate_spool_pending_records", "Records that PostgreSQL does not have yet.", multiprocess_mode="livesum"
)
spool_bytes = Gauge("tollgate_spool_pending_bytes", "Their size on disk.", multiprocess_mode="livesum")
spool_lag = Gauge("tollgate_spool_lag_seconds", "Age of the oldest of them.", multiprocess_mode="livemax")
records_flushed = Gauge(
    "tollgate_records_flushed",
    "Records that PostgreSQL has acknowledged since the process started.",
    multiprocess_mode="livesum",
)
records_rejected = Gauge(
    "tollgate_records_rejected",
    "Records that PostgreSQL refused, kept in the spool's rejected folder.",
    multiprocess_mode="livesum",
)
replays = Counter("tollgate_idempotent_replays_total", "Requests that were answered again for their Idempotency-Key.")
records_lost = Counter("tollgate_records_lost_total", "Records that the spool could not take.")
directory_connected = Gauge(
    "tollgate_directory_connected", "1 while the database's changes are followed.", multiprocess_mode="livemin"
)
directory_tokens = Gauge("tollgate_directory_tokens", "Tokens in memory.", multiprocess_mode="livesum")

# labels() costs more than the counting itself, so children are kept. Their number is bounded by what is bounded in the labels.
settlements_failed = Counter(
    "tollgate_settlements_failed_total", "Settlements that the store refused, or that were too many to keep for it."
)
holds_expired = Counter("tollgate_holds_expired_total", "Holds freed because the process that held them fell silent.")
store_connected = Gauge(
    "tollgate_store_connected", "Whether the counters' store is connected.", multiprocess_mode="livemin"
)
settlements_waiting = Gauge(
    "tollgate_settlements_waiting", "Settlements kept until the store is back.", multiprocess_mode="livesum"
)
routes_cooling = Gauge(
    "tollgate_routes_cooling", "Routes that are asked last as they have failed lately.", multiprocess_mode="livesum"
)
_route_open = Gauge(
    "tollgate_route_open",
    "Routes that fail: 1 while they are asked last, 0.5 while a probe finds out whether they have recovered, else 0.",
    ("credential", "provider", "model"),
    multiprocess_mode="livemax",
)
attempts_failed = Counter(
    "tollgate_attempts_failed_total", "Attempts that a provider did not answer, whatever followed.", ("kind",)
)
hedges = Counter(
    "tollgate_hedges_total",
    "Calls for which a second route was asked at the same time, by which one went on.",
    ("won",),
)
limit_refusals = Counter("tollgate_limit_refusals_total", "Requests refused by a limit or a budget.", ("scope", "kind"))
rebuilds = Counter("tollgate_budget_rebuilds_total", "Budgets whose counters were built from the ledger.", ("outcome",))

_bound: dict[tuple[str, int, str, bool], tuple[Counter, Counter | None, Histogram, Histogram, Histogram]] = {}


def observe(
    endpoint: str, status: int, code: str, *, stream: bool, total: float, first_byte: float | None, gateway: float
) -> None:
    """Count one finished request. Times in seconds; `code` is empty for an answer without an error of ours or upstream's."""
    key = (endpoint, status, code, stream)
    children = _bound.get(key)
    if children is None:
        kind = "true" if stream else "false"
        children = _bound[key] = (
            _requests.labels(endpoint, str(status)),
            _errors.labels(endpoint, code) if code else None,
            _duration.labels(endpoint, kind),
            _first_byte.labels(endpoint, kind),
            _overhead.labels(endpoint),
        )
    requests, errors, duration, first, overhead = children
    requests.inc()
    if errors is not None:
        errors.inc()
    duration.observe(total)
    if first_byte is not None:
        first.observe(first_byte)
    overhead.observe(gateway)


_ROUTES_MAX = 200
_OTHERS = ("other", "other", "other")
_routes: dict[tuple[str, str, str], float] = {}  # those that have been shown


def show_routes(routes: Iterable[tuple[str, str, str, float]]) -> None:
    """Show the routes that fail (credential's label, provider, model, and how), instead of those shown before.

    Those beyond the first so many are shown as one: a label that was once shown stays until the process ends.
    """
    now: dict[tuple[str, str, str], float] = {}
    for credential, provider, model, value in routes:
        key = (credential, provider, model or "all")
        if key not in _routes and len(_routes) + len(now) >= _ROUTES_MAX:
            key = _OTHERS
        now[key] = max(value, now.get(key, 0.0))
    for key, value in {**dict.fromkeys(_routes, 0.0), **now}.items():
        if _routes.get(key) != value:
            _routes[key] = value
            _route_open.labels(*key).set(value)


def exposition() -> tuple[bytes, str]:
    """What /metrics answers, and its content type. With PROMETHEUS_MULTIPROC_DIR set, the sum over all worker processes."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # the library's own variable, which it reads at import
    if folder is None:
        return generate_latest(DEFAULT_REGISTRY), CONTENT_TYPE_LATEST
    _forget_dead_workers(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _forget_dead_workers(folder: Path) -> None:
    """Take the gauges of workers that have died out of the sum: what they had in flight is in flight no more."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped
