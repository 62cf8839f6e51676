"""`manage.py serve`: the web process, both planes or one of them."""

import logging
import os
import shutil
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from apps.orgs.setup.hint import setup_hint

log = logging.getLogger(__name__)

PLANES = {"all": "application", "gateway": "gateway", "console": "console"}


class Command(BaseCommand):
    """Runs uvicorn with the options that the gateway needs; see docs/production.md."""

    help = (
        "Serve the gateway and the console. On SIGTERM it takes no new calls and lets running ones end (DRAIN_TIMEOUT)."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument("--plane", choices=PLANES, default="all", help="what this process serves (default: all)")
        parser.add_argument("--host", default=settings.HOST, help="address to listen on (default: HOST)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on (default: PORT)")
        parser.add_argument("--fd", type=int, help="descriptor of a socket that listens already, instead of both")
        parser.add_argument("--workers", type=int, default=1, help="processes; about one for each core (default: 1)")

    def handle(self, *, plane: str, host: str, port: int, fd: int | None, workers: int, **_: Any) -> None:
        """Serve until told to stop."""
        if workers > 1:
            self._share_metrics()
        if hint := setup_hint():
            log.warning(hint)
        uvicorn.run(
            f"config.asgi:{PLANES[plane]}",
            host=host,
            port=port,
            fd=fd,
            workers=workers,
            loop="uvloop",
            http="apps.gateway.server:BoundedHttpProtocol",
            ws="apps.gateway.realtime.server:RealtimeProtocol",
            ws_max_size=settings.REALTIME_MAX_EVENT_BYTES,
            ws_per_message_deflate=False,  # audio in base64 shrinks by a quarter, at more CPU than all the rest of its relaying
            lifespan="on",
            interface="asgi3",
            log_config=None,  # ours, from the settings
            access_log=False,  # the request records are that
            server_header=False,
            proxy_headers=False,  # TRUSTED_PROXIES decides whom to believe
            backlog=4096,
            timeout_keep_alive=75,  # longer than load balancers', which must not meet a closing connection
            timeout_graceful_shutdown=int(settings.DRAIN_TIMEOUT) or 1,
        )

    def _share_metrics(self) -> None:
        """Workers count in files that any of them sums up for /metrics; those of a former run are removed."""
        folder = settings.DATA_DIR / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
