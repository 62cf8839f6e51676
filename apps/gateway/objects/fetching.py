"""Asking a provider on the gateway's own behalf: no client waits, and none is recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from apps.core.errors import UpstreamMalformed, UpstreamTimeout
from apps.gateway.directory.views import Account
from apps.gateway.upstream.connection import Response
from apps.gateway.upstream.pool import UpstreamPool

_SECONDS = 30.0
_MOST = 4 * 1024 * 1024  # bytes of an object


async def fetch(pool: UpstreamPool, account: Account, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of an answer; an empty one where it is none. Raises GatewayError."""
    body = bytearray()
    async with _asked(pool, account, method, path) as response:
        while piece := await response.read():
            body += piece
            if len(body) > _MOST:
                raise UpstreamMalformed
        status = response.status
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    return status, found if isinstance(found, dict) else {}


async def fetch_lines(pool: UpstreamPool, account: Account, path: str, longest: int) -> AsyncIterator[bytes]:
    """The lines of a file, without longer ones than so many bytes. Raises GatewayError if it cannot be had."""
    pending = bytearray()
    skips = False
    async with _asked(pool, account, "GET", path) as response:
        if response.status != 200:
            raise UpstreamMalformed
        while piece := await response.read():
            pending += piece
            *lines, rest = pending.split(b"\n")
            for line in lines:
                if not skips:
                    yield bytes(line)
                skips = False
            pending = bytearray(rest)
            if len(pending) > longest:
                pending.clear()
                skips = True
    if pending and not skips:
        yield bytes(pending)


@asynccontextmanager
async def _asked(pool: UpstreamPool, account: Account, method: str, path: str) -> AsyncIterator[Response]:
    view = account.credential
    head = account.head(method, path, content_type="")
    if method == "POST":
        head += b"content-length: 0\r\n"
    try:
        async with asyncio.timeout(_SECONDS):
            connection = await pool.connection(view.origin, connect_timeout=view.timeouts.connect)
            response = await connection.send(head + b"\r\n", b"")
            try:
                yield response
            finally:
                response.close()
    except TimeoutError as exc:
        raise UpstreamTimeout("The provider took too long.") from exc
