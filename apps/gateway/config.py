"""What the data plane is told, read once from the settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from django.conf import settings

from apps.core.clients import Network
from apps.core.databases import libpq_url
from apps.core.sealing import Keyring


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds allowed for one upstream call."""

    connect: float
    first_byte: float
    idle: float
    total: float


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The data plane's settings. Sizes in bytes, times in seconds."""

    database_url: str
    redis_url: str
    keyring: Keyring
    timeouts: Timeouts
    max_body_bytes: int
    max_upload_bytes: int
    upload_dir: Path
    upload_space: int
    max_json_depth: int
    egress_allow: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    stale_limit: float
    drain_timeout: float
    spool_dir: Path
    spool_max_bytes: int
    metrics_token: str
    upstream_attempts: int
    upstream_attempts_time: float
    route_cooldown: float
    hold_lease: float
    realtime_idle_timeout: float
    realtime_total_timeout: float
    realtime_max_event_bytes: int
    end_user_header: bytes  # in lower case; empty: none

    @classmethod
    def from_settings(cls) -> Self:
        """As configured through the environment."""
        return cls(
            database_url=libpq_url(settings.DATABASE_URL),
            redis_url=settings.REDIS_URL,
            keyring=settings.SEALING_KEYS,
            timeouts=Timeouts(
                settings.UPSTREAM_CONNECT_TIMEOUT,
                settings.UPSTREAM_FIRST_BYTE_TIMEOUT,
                settings.UPSTREAM_IDLE_TIMEOUT,
                settings.UPSTREAM_TOTAL_TIMEOUT,
            ),
            max_body_bytes=settings.MAX_BODY_BYTES,
            max_upload_bytes=settings.MAX_UPLOAD_BYTES,
            upload_dir=settings.UPLOAD_DIR,
            upload_space=settings.UPLOAD_SPACE,
            max_json_depth=settings.MAX_JSON_DEPTH,
            egress_allow=settings.EGRESS_ALLOW,
            trusted_proxies=settings.TRUSTED_PROXIES,
            stale_limit=settings.DIRECTORY_STALE_LIMIT,
            drain_timeout=settings.DRAIN_TIMEOUT,
            spool_dir=settings.SPOOL_DIR,
            spool_max_bytes=settings.SPOOL_MAX_BYTES,
            metrics_token=settings.METRICS_TOKEN,
            upstream_attempts=max(1, settings.UPSTREAM_ATTEMPTS),
            upstream_attempts_time=settings.UPSTREAM_ATTEMPTS_TIME,
            route_cooldown=settings.ROUTE_COOLDOWN,
            hold_lease=settings.HOLD_LEASE,
            realtime_idle_timeout=settings.REALTIME_IDLE_TIMEOUT,
            realtime_total_timeout=settings.REALTIME_TOTAL_TIMEOUT,
            realtime_max_event_bytes=settings.REALTIME_MAX_EVENT_BYTES,
            end_user_header=settings.END_USER_HEADER.encode(),
        )
