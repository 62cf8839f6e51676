"""python -m apps.launch.web: the web process of `up`, on a listening socket that it is handed."""

import argparse
import math
import os
import sys

import uvicorn
from django.conf import settings

from apps.gateway.server import BoundedHttpProtocol


def main() -> int:
    """Serve both planes until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="apps.launch.web")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    server = uvicorn.Server(
        uvicorn.Config(
            "config.asgi:application",
            fd=options.fd,
            loop="uvloop",
            http=BoundedHttpProtocol,
            ws="none",
            lifespan="on",
            proxy_headers=False,  # the gateway decides whom to believe: TRUSTED_PROXIES
            server_header=False,
            access_log=False,  # every call has a record
            log_config=None,  # Django's
            timeout_graceful_shutdown=math.ceil(settings.DRAIN_TIMEOUT),
        )
    )
    server.run()
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main())
