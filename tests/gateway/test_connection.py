"""Our own HTTP/1.1 client towards providers: what it takes for an answer, when it keeps a connection, and when it lets go."""

import asyncio
import contextlib
import datetime
import functools
import gc
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.egress import Egress
from apps.core.env import networks
from apps.core.errors import (
    ConnectTimeout,
    EgressBlocked,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamUnreachable,
)
from apps.gateway.upstream.connection import Response
from apps.gateway.upstream.dialing import Dialer
from apps.gateway.upstream.pool import Origin, UpstreamPool
from tests.support.provider import CLOSE, HANG, RESET, FakeProvider, closed_port, unreachable

LOOPBACK = Egress(networks("127.0.0.0/8,::1/128"))
SECONDS = 10.0

Named = Callable[..., str]


@contextlib.asynccontextmanager
async def pooled(egress: Egress = LOOPBACK, **options: float) -> AsyncIterator[UpstreamPool]:
    """A pool of connections, all closed in the end."""
    pool = UpstreamPool(Dialer(egress), **options)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


class Loop(uvloop.Loop):
    """The loop that the gateway runs on. Names in `names` resolve to those addresses, as if the system's resolver said so."""

    names: ClassVar[dict[str, tuple[str, ...]]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        found = [super(Loop, self).getaddrinfo(known, port, **options) for known in self.names.get(host, (host,))]
        return [entry for answer in found for entry in await answer]


def on_the_gateways_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on the loop that the gateway runs on, which pytest-asyncio's is not; its `pool` is open meanwhile."""

    async def run(pool: UpstreamPool | None, fixtures: Mapping[str, Any]) -> None:
        if pool is None:
            await test(**fixtures)
            return
        await pool.start()
        try:
            await test(pool=pool, **fixtures)
        finally:
            await pool.stop()

    @functools.wraps(test)
    def wrapped(pool: UpstreamPool | None = None, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(run(pool, fixtures))

    return wrapped


@pytest.fixture
def pool() -> UpstreamPool:
    """A pool that may call the loopback."""
    return UpstreamPool(Dialer(LOOPBACK))


async def get(pool: UpstreamPool, url: str, path: str = "/v1/models", *, body: bytes = b"") -> Response:
    """Send a request; returns when the answer's head is there."""
    origin = Origin.of(url)
    verb = b"POST" if body else b"GET"
    head = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (verb, path.encode(), origin.authority.encode())
    if body:
        head += b"content-length: %d\r\n" % len(body)
    connection = await pool.connection(origin, connect_timeout=SECONDS)
    return await connection.send(head + b"\r\n", body)


async def read_all(response: Response) -> bytes:
    parts = []
    while piece := await response.read():
        parts.append(piece)
    assert response.complete
    assert await response.read() == b""  # and stays at its end
    return b"".join(parts)


async def pump_all(response: Response) -> bytes:
    parts: list[bytes] = []

    def consume(piece: bytes) -> bool:
        assert piece
        parts.append(piece)
        return True

    assert await response.pump(consume)
    return b"".join(parts)


TAKES: Sequence[Callable[[Response], Awaitable[bytes]]] = (read_all, pump_all)


async def until(look: Callable[[], object], *, what: str) -> None:
    """Let the loop run until `look` is true. Raises AssertionError after ten seconds."""
    try:
        async with asyncio.timeout(SECONDS):
            while not look():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {SECONDS} s: {what}") from None


# --- What is an answer, however it is cut ---

BODY = bytes(range(256)) * 3


def chunked(body: bytes, sizes: Sequence[int], *, trailer: bytes = b"") -> bytes:
    out, at = b"", 0
    for size in [*sizes, len(body)]:
        piece = body[at : at + size]
        if piece:
            out += b"%x;note=1\r\n%b\r\n" % (len(piece), piece)
        at += size
    return out + b"0\r\n" + trailer + b"\r\n"


FRAMED = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(BODY, [1, 0x10, 300]),
    "chunked with trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(BODY, [500], trailer=b"X-Late: 1\r\n"),
    "early hints first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "until close": b"HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n" + BODY,
    "until close, 1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
}


@settings(max_examples=10, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("framing", FRAMED)
def test_an_answer_is_the_same_in_whatever_packets_it_comes(
    framing: str, take: Callable[[Response], Awaitable[bytes]], data: st.DataObject
) -> None:
    raw = FRAMED[framing]
    places = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=8)))
    packets = [raw[start:end] for start, end in pairwise([0, *places, len(raw)])]

    async def run() -> None:
        async with scripted(packets) as url, pooled() as pool:
            response = await get(pool, url)
            assert response.status == 200
            names = [name for name, _ in response.headers]
            assert b"link" not in names
            assert b"x-late" not in names
            assert await take(response) == BODY

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run())


@contextlib.asynccontextmanager
async def scripted(packets: Sequence[bytes]) -> AsyncIterator[str]:
    """A server on this loop: reads a request, sends each packet alone, closes. Gives its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for packet in packets:
                writer.write(packet)
                await writer.drain()
                for _ in range(3):  # the client's turn to read it: without that, the kernel may join two
                    await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("status", [204, 304])
@on_the_gateways_loop
async def test_an_answer_that_can_have_no_body_is_whole_with_its_head(
    status: int, take: Callable[[Response], Awaitable[bytes]], pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(b"HTTP/1.1 %d Fine\r\n\r\n" % status, keep_alive=True)
    response = await get(pool, upstream.url)
    assert (response.status, await take(response)) == (status, b"")
    await read_all(await get(pool, upstream.url))
    assert upstream.connections == 1


@on_the_gateways_loop
async def test_an_empty_body_is_an_end_at_once(pool: UpstreamPool, upstream: FakeProvider) -> None:
    upstream.answers(b"")
    assert await read_all(await get(pool, upstream.url)) == b""
    upstream.streams_raw([])
    assert await pump_all(await get(pool, upstream.url)) == b""
    assert upstream.connections == 1


@on_the_gateways_loop
async def test_a_large_request_arrives_whole(pool: UpstreamPool, upstream: FakeProvider) -> None:
    body = bytes(range(256)) * 40_000
    await read_all(await get(pool, upstream.url, "/v1/unknown", body=body))
    assert (await asyncio.to_thread(upstream.next_request)).body == body


@on_the_gateways_loop
async def test_header_names_are_lower_case_and_values_as_they_came(pool: UpstreamPool, upstream: FakeProvider) -> None:
    upstream.answers(b"{}", headers=[("X-Request-ID", "Abc"), ("x-twice", "1"), ("X-Twice", "2")])
    response = await get(pool, upstream.url)
    found = [pair for pair in response.headers if pair[0].startswith(b"x-")]
    assert found == [(b"x-request-id", b"Abc"), (b"x-twice", b"1"), (b"x-twice", b"2")]
    await read_all(response)


# --- What is none ---


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
)
@on_the_gateways_loop
async def test_garbage_is_named_as_such_and_its_connection_closed(
    raw: bytes, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(raw, HANG)
    with pytest.raises(UpstreamMalformed):
        async with asyncio.timeout(SECONDS):
            await get(pool, upstream.url)
    await until(lambda: pool.size == 0 and upstream.open_connections == 0, what="the connection's end")


@pytest.mark.parametrize("take", TAKES)
@on_the_gateways_loop
async def test_garbage_in_the_middle_of_a_body_ends_it(
    take: Callable[[Response], Awaitable[bytes]], pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnot a size\r\n", HANG)
    response = await get(pool, upstream.url)
    with pytest.raises(UpstreamMalformed):
        await take(response)
    assert not response.complete


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %b\r\n" % (n, b"y" * 1000) for n in range(200)),
        b"HTTP/1.1 200 OK\r\nx-long: " + b"y" * 10_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
    ],
    ids=["many headers", "one endless header", "endless hints"],
)
@on_the_gateways_loop
async def test_a_head_without_bounds_is_not_read_to_its_end(
    head: bytes, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(head, HANG)
    with pytest.raises(UpstreamMalformed):
        async with asyncio.timeout(SECONDS):
            await get(pool, upstream.url)
    await until(lambda: pool.size == 0, what="the connection's end")


@on_the_gateways_loop
async def test_a_large_head_that_providers_do_send_is_read(pool: UpstreamPool, upstream: FakeProvider) -> None:
    upstream.answers(b"{}", headers={"content-security-policy": "x" * 30_000})
    response = await get(pool, upstream.url)
    assert dict(response.headers)[b"content-security-policy"] == b"x" * 30_000
    assert await read_all(response) == b"{}"


@pytest.mark.parametrize("ending", [CLOSE, RESET])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-le"], ids=["nothing", "half a head"])
@on_the_gateways_loop
async def test_a_provider_that_leaves_before_its_head_has_disconnected(
    sent: bytes, ending: object, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(*([sent] if sent else []), ending)  # type: ignore[arg-type]  # one of provider.Ending
    with pytest.raises(UpstreamDisconnected):
        await get(pool, upstream.url)


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("framing", ["content-length: 10", "transfer-encoding: chunked"])
@on_the_gateways_loop
async def test_a_body_that_breaks_off_is_given_and_then_the_error(
    framing: str, take: Callable[[Response], Awaitable[bytes]], pool: UpstreamPool, upstream: FakeProvider
) -> None:
    body = b"5\r\nhello\r\n" if "chunked" in framing else b"hello"
    upstream.sends(b"HTTP/1.1 200 OK\r\n" + framing.encode() + b"\r\n\r\n" + body, CLOSE)
    response = await get(pool, upstream.url)
    if take is read_all:
        assert await response.read() == b"hello"
    with pytest.raises(UpstreamDisconnected):
        await take(response)
    assert not response.complete


@on_the_gateways_loop
async def test_an_answer_until_close_that_is_reset_is_not_whole(pool: UpstreamPool, upstream: FakeProvider) -> None:
    gate = threading.Event()
    upstream.streams_raw([b"hello", gate, RESET], framing="until-close")
    response = await get(pool, upstream.url)
    assert await response.read() == b"hello"
    gate.set()
    with pytest.raises(UpstreamDisconnected):
        await response.read()


# --- Which connections are used again ---


@on_the_gateways_loop
async def test_a_connection_is_used_again_and_two_calls_at_once_have_two(
    pool: UpstreamPool, upstream: FakeProvider
) -> None:
    for _ in range(5):
        await read_all(await get(pool, upstream.url))
    assert upstream.connections == 1

    gate = threading.Event()
    upstream.streams_raw([b"a", gate])
    slow = await get(pool, upstream.url)
    await read_all(await get(pool, upstream.url))
    gate.set()
    assert await read_all(slow) == b"a"
    assert (upstream.connections, pool.size) == (2, 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
@on_the_gateways_loop
async def test_a_connection_that_the_provider_gives_up_is_not_used_again(
    raw: bytes, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(raw, keep_alive=True)
    assert await read_all(await get(pool, upstream.url)) == b"{}"
    await read_all(await get(pool, upstream.url))
    assert upstream.connections == 2


@pytest.mark.parametrize(
    "extra",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nfor",
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-",
        b"HTTP/1.1 200 OK\r\n",
        b"H",
        b"junk",
        b"\r\n\r\nX",
    ],
)
@on_the_gateways_loop
async def test_what_a_provider_sends_beyond_its_answer_is_nobodys(
    extra: bytes, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.sends(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" + extra, keep_alive=True)
    assert await read_all(await get(pool, upstream.url)) == b"{}"
    upstream.answers(b"mine")
    assert await read_all(await get(pool, upstream.url)) == b"mine"
    assert upstream.connections == 2


@on_the_gateways_loop
async def test_a_connection_closed_while_it_lay_idle_is_noticed_before_it_is_used(pool: UpstreamPool) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            for _ in range(5):
                call = asyncio.Task(get(pool, url), loop=loop, eager_start=True)  # before the loop's next turn
                connected, _ = await loop.sock_accept(listener)
                await loop.sock_recv(connected, 4096)
                await loop.sock_sendall(connected, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                response = await call
                assert await response.read() == b"{}"
                connected.close()  # our loop has had no turn since: only the kernel knows


@on_the_gateways_loop
async def test_an_answer_nobody_read_takes_its_connection_with_it(pool: UpstreamPool, upstream: FakeProvider) -> None:
    upstream.streams_raw([b"data: 1\n\n", HANG])
    response = await get(pool, upstream.url)
    response.close()
    assert await asyncio.to_thread(upstream.hung_up.wait, SECONDS)
    await read_all(await get(pool, upstream.url))
    assert upstream.connections == 2


@on_the_gateways_loop
async def test_closing_an_answer_that_is_whole_leaves_its_connection_to_others(
    pool: UpstreamPool, upstream: FakeProvider
) -> None:
    first = await get(pool, upstream.url)
    await read_all(first)
    gate = threading.Event()
    upstream.streams_raw([b"a", gate, b"b"])
    second = await get(pool, upstream.url)
    first.close()
    gate.set()
    assert await read_all(second) == b"ab"
    assert upstream.connections == 1


@on_the_gateways_loop
async def test_connections_that_lie_idle_too_long_are_closed(upstream: FakeProvider) -> None:
    async with pooled(idle_seconds=0.3) as pool:
        await read_all(await get(pool, upstream.url))
        assert pool.size == 1
        await until(lambda: pool.size == 0 and upstream.open_connections == 0, what="the idle connection's end")
        await read_all(await get(pool, upstream.url))
        assert upstream.connections == 2


@on_the_gateways_loop
async def test_stopping_closes_every_connection(upstream: FakeProvider) -> None:
    async with pooled() as pool:
        await read_all(await get(pool, upstream.url))
        upstream.streams_raw([b"a", HANG])
        streaming = await get(pool, upstream.url)
    assert pool.size == 0
    with pytest.raises(UpstreamDisconnected):
        await read_all(streaming) if await streaming.read() else None
    await until(lambda: upstream.open_connections == 0, what="the provider's seeing it")


# --- Letting go ---


@on_the_gateways_loop
async def test_a_call_cancelled_before_its_head_closes_the_socket(pool: UpstreamPool, upstream: FakeProvider) -> None:
    upstream.hangs()
    call = asyncio.create_task(get(pool, upstream.url))
    request = await asyncio.to_thread(upstream.next_request)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(request.hung_up.wait, SECONDS)
    assert pool.size == 0


@pytest.mark.parametrize("take", TAKES)
@on_the_gateways_loop
async def test_a_call_cancelled_in_its_body_closes_the_socket(
    take: Callable[[Response], Awaitable[bytes]], pool: UpstreamPool, upstream: FakeProvider
) -> None:
    upstream.streams_raw([b"data: 1\n\n", HANG])
    response = await get(pool, upstream.url)

    async def relay() -> None:
        try:
            await take(response)
        finally:
            response.close()

    call = asyncio.create_task(relay())
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(upstream.hung_up.wait, SECONDS)


@on_the_gateways_loop
async def test_a_call_cancelled_as_its_answer_arrives_leaves_no_connection_in_use(
    pool: UpstreamPool, upstream: FakeProvider
) -> None:
    for turns in range(30):
        call = asyncio.create_task(get(pool, upstream.url))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await call).close()
        assert await read_all(await get(pool, upstream.url))
    await until(lambda: pool.size <= 1, what="every connection but the idle one to be gone")


# --- A reader who does not read ---


def endless(counter: list[int]) -> Iterator[bytes]:
    piece = b"x" * 16_384
    while True:
        counter[0] += len(piece)
        yield piece


@pytest.mark.parametrize("by", ["read", "pump"])
@on_the_gateways_loop
async def test_what_is_not_read_is_not_taken_from_the_provider(
    by: str, pool: UpstreamPool, upstream: FakeProvider
) -> None:
    sent = [0]
    upstream.streams_raw(endless(sent))
    response = await get(pool, upstream.url)
    if by == "pump":
        assert not await response.pump(lambda _: False)

    async def settled() -> int:
        """How much has been sent when no more is."""
        while True:
            before = sent[0]
            await asyncio.sleep(0.2)
            if sent[0] == before:
                return before

    stopped_at = await settled()
    assert response._unread <= 1024 * 1024  # the bound, and one turn's reading beyond it
    # What was there is given, and reading goes on afterwards.
    got = 0
    while got < stopped_at + 1_000_000:
        got += len(await response.read())
    assert sent[0] > stopped_at
    response.close()
    assert await asyncio.to_thread(upstream.hung_up.wait, SECONDS)


@on_the_gateways_loop
async def test_pumping_stops_when_told_and_nothing_is_lost(pool: UpstreamPool, upstream: FakeProvider) -> None:
    body = bytes(range(256)) * 8_000
    upstream.streams_raw([body[at : at + 5_000] for at in range(0, len(body), 5_000)])
    response = await get(pool, upstream.url)
    got = bytearray(await response.read())

    def consume(piece: bytes) -> bool:
        got.extend(piece)
        return len(got) % 3 != 0

    while not await response.pump(consume):
        await asyncio.sleep(0)
        got += await response.read()
    assert bytes(got) == body


# --- Where connections lead ---


@pytest.fixture
def named() -> Iterator[Named]:
    """Gives a URL of the same port, by a name that resolves to the addresses one wants."""

    def resolving(url: str, *addresses: str) -> str:
        Loop.names["provider.test"] = addresses
        return f"http://provider.test:{port_of(url)}"

    yield resolving
    Loop.names.clear()


def port_of(url: str) -> int:
    return Origin.of(url).port


@on_the_gateways_loop
async def test_a_name_that_resolves_to_a_private_address_is_not_dialled(upstream: FakeProvider, named: Named) -> None:
    name = named(upstream.url, "127.0.0.1")
    for egress in (Egress(), Egress(networks("10.0.0.0/8"))):
        async with pooled(egress) as pool:
            with pytest.raises(EgressBlocked):
                await get(pool, name)
    assert upstream.connections == 0
    async with pooled() as pool:
        assert (await get(pool, name)).status == 200
    assert upstream.connections == 1


@on_the_gateways_loop
async def test_of_several_addresses_only_allowed_ones_are_dialled(upstream: FakeProvider, named: Named) -> None:
    with FakeProvider(host="127.0.0.2", port=port_of(upstream.url)) as forbidden:
        name = named(upstream.url, "127.0.0.2", "127.0.0.1")
        async with pooled(Egress(networks("127.0.0.1"))) as pool:
            assert (await get(pool, name)).status == 200
        assert (forbidden.connections, upstream.connections) == (0, 1)


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "localhost", "127.0.0.1", "0"])
@on_the_gateways_loop
async def test_no_spelling_of_the_loopback_is_dialled_unless_allowed(host: str, upstream: FakeProvider) -> None:
    async with pooled(Egress()) as pool:
        with pytest.raises(EgressBlocked):
            await get(pool, f"http://{host}:{port_of(upstream.url)}")
    assert upstream.connections == 0


@on_the_gateways_loop
async def test_an_address_that_refuses_gives_way_to_the_next(
    upstream: FakeProvider, pool: UpstreamPool, named: Named
) -> None:
    name = named(upstream.url, "::1", "127.0.0.1")
    assert (await get(pool, name)).status == 200


@on_the_gateways_loop
async def test_when_both_families_refuse_the_provider_refuses_connections(pool: UpstreamPool, named: Named) -> None:
    name = named(closed_port(), "::1", "127.0.0.1")
    with pytest.raises(UpstreamUnreachable, match="it refuses connections"):
        await get(pool, name)
    assert pool.size == 0


@pytest.mark.parametrize("host", ["name.invalid", "a..b", "x" * 70 + ".test"])
@on_the_gateways_loop
async def test_a_name_that_does_not_resolve_is_named_as_the_reason(host: str, pool: UpstreamPool) -> None:
    with pytest.raises(UpstreamUnreachable, match="its name does not resolve"):
        await get(pool, f"http://{host}")


@on_the_gateways_loop
async def test_a_host_that_never_answers_runs_into_the_connect_timeout(pool: UpstreamPool) -> None:
    with unreachable() as url, pytest.raises(ConnectTimeout):
        await pool.connection(Origin.of(url), connect_timeout=0.2)
    assert pool.size == 0


@on_the_gateways_loop
async def test_a_call_cancelled_while_it_dials_leaves_no_socket(pool: UpstreamPool) -> None:
    with unreachable() as url:
        call = asyncio.create_task(get(pool, url))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    gc.collect()  # a socket left open would warn, and a warning is an error here
    assert pool.size == 0


def test_the_host_header_names_the_port_where_it_is_not_the_schemes_own() -> None:
    named = {
        "https://api.example.com/v1": "api.example.com",
        "https://api.example.com:443": "api.example.com",
        "https://api.example.com:8443/v1": "api.example.com:8443",
        "http://api.example.com": "api.example.com",
        "http://127.0.0.1:8000": "127.0.0.1:8000",
        "https://[::1]/v1": "[::1]",
        "https://[::1]:8443/v1": "[::1]:8443",
    }
    assert {url: Origin.of(url).authority for url in named} == named


# --- TLS ---


class Authority:
    """A certificate authority for one test run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tollgate tests")])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def server(self, *names: str) -> ssl.SSLContext:
        """A server's side of TLS, with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
        certificate = self._builder(subject, key.public_key()).add_extension(
            x509.SubjectAlternativeName(alternatives), critical=False
        )
        chain = self._folder / f"{names[0]}.pem"
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        chain.write_bytes(private + certificate.sign(self._key, hashes.SHA256()).public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        context.set_alpn_protocols(["http/1.1"])
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.asynccontextmanager
async def secure(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, list[str]]]:
    """A TLS server that answers every request with `{}`. Gives its URL and what happens: "connected", "asked", …"""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("connected")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                seen.append("asked")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator trusts an authority of their own: SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


@on_the_gateways_loop
async def test_a_provider_with_a_valid_certificate_is_called_and_its_connection_kept(
    authority: Authority, trusting: None
) -> None:
    async with secure(authority.server("127.0.0.1")) as (url, seen), pooled() as pool:
        for _ in range(3):
            assert await read_all(await get(pool, url)) == b"{}"
        assert (seen, pool.size) == (["connected", "asked", "asked", "asked"], 1)


@on_the_gateways_loop
async def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(
    authority: Authority, trusting: None
) -> None:
    async with secure(authority.server("other.example")) as (url, seen), pooled() as pool:
        with pytest.raises(UpstreamUnreachable, match="certificate is not valid: IP address mismatch"):
            await get(pool, url)
        assert "asked" not in seen
        assert pool.size == 0


@on_the_gateways_loop
async def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(authority: Authority) -> None:
    async with secure(authority.server("127.0.0.1")) as (url, seen), pooled() as pool:
        with pytest.raises(UpstreamUnreachable, match="certificate is not valid: unable to get local issuer"):
            await get(pool, url)
        assert "asked" not in seen
        assert pool.size == 0


@on_the_gateways_loop
async def test_a_provider_that_speaks_no_tls_is_said_to(upstream: FakeProvider, pool: UpstreamPool) -> None:
    with pytest.raises(UpstreamUnreachable, match="TLS failed"):
        await get(pool, upstream.url.replace("http://", "https://"))
    assert pool.size == 0


@on_the_gateways_loop
async def test_a_call_over_tls_that_is_cancelled_closes_the_socket(authority: Authority, trusting: None) -> None:
    async with secure(authority.server("127.0.0.1")) as (url, _), pooled() as pool:
        await read_all(await get(pool, url))
        call = asyncio.create_task(get(pool, url))
        await asyncio.sleep(0)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await until(lambda: pool.size == 0, what="the socket's end")
