"""Many callers at the same moment: each has a connection of its own, and all send at once.

Bare sockets, as a client library's own work for some hundred callers would spread them over seconds.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATH = "/v1/chat/completions"
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Ask:
    """One call. `leaves`: the caller hangs up once the answer's first chunk has come."""

    body: Mapping[str, Any]
    token: str
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = PATH
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` 0: nothing. `whole` is False where the caller left or the connection broke."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def json(self) -> Any:
        """The body parsed as JSON."""
        return json.loads(self.body)


_NOTHING = Answer(0, {}, b"", whole=False)


def crowd(urls: Sequence[str], asks: Iterable[Ask]) -> list[Answer]:
    """Send all of them at once, in turns to these gateways, and wait for the answers, which are in the order of the asks."""
    return asyncio.run(_crowd(urls, list(asks)))


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """How many answers had which status."""
    return Counter(answer.status for answer in answers)


async def _crowd(urls: Sequence[str], asks: list[Ask]) -> list[Answer]:
    ports = [urlsplit(url).port for url in urls]
    connections = [
        await asyncio.open_connection("127.0.0.1", ports[number % len(ports)], limit=1 << 24)
        for number in range(len(asks))
    ]
    async with asyncio.timeout(_PATIENCE):
        pairs = zip(asks, connections, strict=True)
        return await asyncio.gather(*(_call(ask, *connection) for ask, connection in pairs))


async def _call(ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    body = json.dumps(ask.body).encode()
    fields = {
        "host": "gateway",
        "authorization": f"Bearer {ask.token}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **ask.headers,
    }
    lines = [f"POST {ask.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        status = int(first.split()[1])
        if ask.leaves and status == 200:
            await reader.read(1)
            writer.transport.abort()
            return Answer(status, headers, b"", whole=False)
        raw = await reader.read(-1)
    except (OSError, asyncio.IncompleteReadError):
        return _NOTHING
    finally:
        writer.close()
    if headers.get("transfer-encoding") == "chunked":
        text, whole = _unchunked(raw)
        return Answer(status, headers, text, whole)
    return Answer(status, headers, raw, whole=len(raw) == int(headers.get("content-length", "0")))


def _unchunked(raw: bytes) -> tuple[bytes, bool]:
    """A chunked body, and whether it has its end."""
    out = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return out, True
        out, raw = out + raw[:length], raw[length + 2 :]
    return out, False
