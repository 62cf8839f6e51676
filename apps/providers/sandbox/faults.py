"""From a Reply to what goes over the wire, spoilt as the model or the command line wants it. Nothing is sent here."""

import enum
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from itertools import count
from secrets import token_hex

from apps.providers.sandbox.catalogue import Behaviour, Damage
from apps.providers.sandbox.errors import SERVER_ERROR
from apps.providers.sandbox.reply import Reply, refusal


class Ending(enum.Enum):
    """What may happen instead of an answer's end."""

    HANG = enum.auto()
    RESET = enum.auto()


type Step = bytes | float | Ending
"""Bytes to flush, seconds to pause, or an ending, after which nothing follows."""

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><hr>sandbox</body></html>\r\n"
_BROKEN_EVENT = b'data: {"id":"chatcmpl-sandbox","choices":[{"index":0,"delta":{"content":"bro\n\n'

# What OpenAI sends along with every answer; a gateway keeps most of it to itself.
_COMPANY = (
    b"x-sandbox: true\r\nopenai-organization: org-sandbox\r\nopenai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n"
    b"x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n"
    b"set-cookie: __sandbox=1; Path=/; HttpOnly\r\n"
)
_RUN, _NUMBERS = token_hex(4), count(1)


def steps(reply: Reply, behaviour: Behaviour, *, keep_alive: bool = True, bare: bool = False) -> Iterator[Step]:
    """What to do on the connection, in order; `bare` leaves the body out, as HEAD wants it.

    What the reply is has been decided before: an error is sent as it is, only later.
    """
    damage = behaviour.damage if reply.status == HTTPStatus.OK else Damage.NONE
    if behaviour.first_byte:
        yield behaviour.first_byte
    match damage:
        case Damage.HANG:
            yield Ending.HANG
            return
        case Damage.DIE:
            yield Ending.RESET
            return
        case Damage.HTML:
            reply = Reply(502, _HTML, content_type="text/html")
        case Damage.REDIRECT:
            reply = Reply(307, headers={"location": "/v1/elsewhere"})
        case Damage.ERROR_MIDWAY if reply.events is None:
            reply = refusal(SERVER_ERROR)
    if damage is Damage.GZIP:
        reply = replace(reply, headers={**reply.headers, "content-encoding": "gzip"})
    if reply.events is None or bare:
        yield from _whole(reply, damage, keep_alive=keep_alive, bare=bare)
    else:
        yield head(reply, "transfer-encoding: chunked", keep_alive=keep_alive)
        yield from _chunks(_events(reply, reply.events, damage), behaviour.between)


def head(reply: Reply, framing: str, *, keep_alive: bool) -> bytes:
    """Status line and headers. The request id is the one part of an answer that differs each time."""
    phrase = HTTPStatus(reply.status).phrase if reply.status in HTTPStatus else "Unknown"
    own = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    text = (
        f"HTTP/1.1 {reply.status} {phrase}\r\ncontent-type: {reply.content_type}\r\n{framing}\r\n{own}"
        f"x-request-id: req_sandbox_{_RUN}{next(_NUMBERS):08x}\r\n{'' if keep_alive else 'connection: close\r\n'}"
    )
    return text.encode("latin-1") + _COMPANY + b"\r\n"


def _whole(reply: Reply, damage: Damage, *, keep_alive: bool, bare: bool) -> Iterator[Step]:
    body = reply.body
    if damage is Damage.MALFORMED:
        body = body[: len(body) // 2]
    elif damage is Damage.GZIP:
        body = zlib.compress(body, wbits=31)
    top = head(reply, f"content-length: {len(body)}", keep_alive=keep_alive)
    if bare:
        yield top
    elif damage in (Damage.HANG_MIDWAY, Damage.DIE_MIDWAY):
        yield top + body[: len(body) // 2]
        yield Ending.HANG if damage is Damage.HANG_MIDWAY else Ending.RESET
    else:
        yield top + body


def _events(reply: Reply, events: tuple[bytes, ...], damage: Damage) -> Iterator[bytes | Ending]:
    """The stream's body in the pieces in which it leaves."""
    half = len(events) // 2
    match damage:
        case Damage.HANG_MIDWAY:
            yield from events[:half]
            yield Ending.HANG
        case Damage.DIE_MIDWAY:
            yield from events[:half]
            yield Ending.RESET
        case Damage.ERROR_MIDWAY:
            yield from (*events[:half], reply.error_event(half))
        case Damage.NO_END:
            yield from events[:half]
        case Damage.MALFORMED:
            yield from (*events[:half], _BROKEN_EVENT, *events[half:])
        case Damage.ODD_FRAMING:
            text = b": an event follows\r\n\r\n".join(_oddly(event) for event in events)
            yield from (text[at : at + 7] for at in range(0, len(text), 7))
        case Damage.GZIP:
            yield from _compressed(events)
        case _:
            yield from events


def _oddly(event: bytes) -> bytes:
    """The same event with carriage returns, and without the spaces that need not be there."""
    lines = (line.replace(b": ", b":", 1) for line in event.split(b"\n"))
    return b"\r\n".join(lines)


def _compressed(events: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=31)
    for event in events:
        yield compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()


def _chunks(events: Iterable[bytes | Ending], between: float) -> Iterator[Step]:
    """HTTP's chunked framing, one event a chunk, with pauses between them."""
    first = True
    for event in events:
        if between and not first:
            yield between
        first = False
        if isinstance(event, Ending):
            yield event
            return
        yield b"%x\r\n%b\r\n" % (len(event), event)
    yield b"0\r\n\r\n"
