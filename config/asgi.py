"""ASGI applications: `application` is both planes in one process; `gateway` and `console` are each alone, to be deployed apart."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 (settings must be loaded first)
from django.core.handlers.asgi import ASGIHandler  # noqa: E402

from apps.core import health  # noqa: E402
from apps.core.clients import forwarded_scheme  # noqa: E402
from apps.core.databases import libpq_url  # noqa: E402
from apps.core.tenancy import NOBODY, enter  # noqa: E402
from apps.gateway.asgi import Gateway  # noqa: E402
from apps.gateway.config import GatewayConfig  # noqa: E402
from apps.gateway.exchange import Message, Receive, Send  # noqa: E402


class Planes:
    """Sends each request to its plane, and runs the data plane's life."""

    def __init__(self, data_plane: Gateway | None, control_plane: ASGIHandler | None) -> None:
        self._data_plane, self._control_plane = data_plane, control_plane

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        match scope["type"]:
            case "http":
                data_plane, control_plane = self._data_plane, self._control_plane
                if data_plane is not None and (control_plane is None or data_plane.serves(scope["path"])):
                    await data_plane(scope, receive, send)
                elif scope["path"] in health.PATHS:
                    status, body = await health.console_health(scope["path"], libpq_url(settings.DATABASE_URL))
                    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
                    await send({"type": "http.response.start", "status": status, "headers": headers})
                    await send({"type": "http.response.body", "body": body})
                elif control_plane is not None:
                    enter(NOBODY)  # also for what is still sent when Django's middleware is done with the request
                    await control_plane(_as_the_client_sees_it(scope), receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                if self._data_plane is not None:
                    await self._data_plane.relay(scope, receive, send)
                else:
                    await receive()
                    await send({"type": "websocket.close", "code": 1008})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    if self._data_plane is not None:
                        await self._data_plane.startup()
                except OSError as exc:
                    await send({"type": "lifespan.startup.failed", "message": f"The gateway cannot start: {exc}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._data_plane is not None:
                    await self._data_plane.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _as_the_client_sees_it(scope: Message) -> dict[str, Any]:
    """The scope with the scheme that a trusted proxy vouches for, so that Django knows when it is spoken to over https."""
    sent = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1")
    client = scope.get("client")
    scheme = forwarded_scheme(client[0] if client else None, sent, settings.TRUSTED_PROXIES)
    return {**scope, "scheme": scheme or scope["scheme"]}


_gateway = Gateway(GatewayConfig.from_settings())
_console = ASGIHandler()

application = Planes(_gateway, _console)
gateway = Planes(_gateway, None)
console = Planes(None, _console)
