"""The connection to the store: answers find their askers, and nothing is lost or done twice when it stumbles."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from apps.core.errors import CountersUnavailable
from apps.gateway.counters.counters import Counters, Packed
from apps.gateway.store.connection import StoreAway, StoreConnection, StoreRefusal, command
from apps.gateway.store.store import Store
from apps.policies.counters import keys, scripts
from apps.policies.counters.plan import BudgetRule, Place, request
from tests.support.store import PrivateStore

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateStore]:
    """A store of these tests' own."""
    with PrivateStore() as store:
        yield store


@asynccontextmanager
async def speaking_to(handler: Handler) -> AsyncIterator[StoreConnection]:
    """A connection to a store that says what the test writes."""
    writers = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            await handler(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, connection = await asyncio.get_running_loop().create_connection(StoreConnection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        connection.abort()
        for writer in writers:
            writer.transport.abort()
        server.close()


@asynccontextmanager
async def connected(url: str, *, wait: float = 3.0) -> AsyncIterator[Store]:
    """A store as a gateway keeps it."""
    store = Store(url)
    await store.start(wait)
    try:
        yield store
    finally:
        await store.stop()


async def until(look: Callable[[], bool], *, timeout: float = 5.0) -> None:
    async with asyncio.timeout(timeout):
        while not look():
            await asyncio.sleep(0.01)


# --- One connection ---


async def test_answers_in_pieces_come_to_their_askers_in_order() -> None:
    replies = b":1\r\n$5\r\nhello\r\n*2\r\n:2\r\n*1\r\n$-1\r\n-ERR no such thing\r\n+OK\r\n"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"last\r\n")
        for number in range(len(replies)):
            writer.write(replies[number : number + 1])
            await writer.drain()

    async with speaking_to(handler) as connection:
        asked = [connection.call(command("PING", name)) for name in ("1", "2", "3", "4", "last")]
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[:3] == [1, "hello", [2, [None]]]
    assert isinstance(found[3], StoreRefusal)
    assert found[4] == "OK"


async def test_what_is_asked_in_one_turn_leaves_in_one_write() -> None:
    chunks: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            chunks.append(data)
            writer.write(b"+OK\r\n" * data.count(b"*1\r\n"))

    async with speaking_to(handler) as connection:
        assert await asyncio.gather(*(connection.call(command("PING")) for _ in range(50))) == ["OK"] * 50
    assert len(chunks) == 1


async def test_a_broken_connection_is_told_to_everybody_who_waits() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"last\r\n")
        writer.write(b"+OK\r\n$100\r\nhalf")
        await writer.drain()
        writer.close()

    told: list[Exception] = []
    async with speaking_to(handler) as connection:
        first, second = connection.call(command("PING")), connection.call(command("PING"))
        connection.tell(command("PING", "last"), lambda _, why: told.append(why))
        assert await first == "OK"
        with pytest.raises(StoreAway):
            await second
        assert [type(each) for each in told] == [StoreAway]
        with pytest.raises(StoreAway):
            connection.call(command("PING"))


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n"])
async def test_what_is_no_answer_to_anything_ends_the_connection(nonsense: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        writer.write(nonsense)
        await reader.read()

    async with speaking_to(handler) as connection:
        with contextlib.suppress(StoreAway):
            await connection.call(command("PING"))
        async with asyncio.timeout(2):
            await connection.closed


async def test_an_asker_who_has_gone_does_not_shift_the_answers() -> None:
    go_on = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"last\r\n")
        await go_on.wait()
        writer.write(b":1\r\n:2\r\n")

    async with speaking_to(handler) as connection:
        first, second = connection.call(command("PING")), connection.call(command("PING", "last"))
        first.cancel()
        go_on.set()
        assert await second == 2


# --- A store, kept connected ---


async def test_a_store_that_wants_a_password_is_away_for_who_has_none_or_a_wrong_one(valkey: PrivateStore) -> None:
    valkey.client.config_set("requirepass", "right")
    admin = redis.Redis.from_url(valkey.url.replace("unix://", "unix://:right@"))
    try:
        for url in (valkey.url, valkey.url.replace("unix://", "unix://:wrong@")):
            async with connected(url, wait=0.5) as store:
                assert not store.is_connected
                with pytest.raises(StoreAway):
                    await store.execute("PING")
        async with connected(valkey.url.replace("unix://", "unix://:right@")) as store:
            assert await store.execute("PING") == "PONG"
    finally:
        admin.config_set("requirepass", "")
        admin.close()


async def test_a_store_without_tls_is_away_for_who_wants_it() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"-ERR Protocol error\r\n")
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server, connected(f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", wait=0.5) as store:
        assert not store.is_connected


async def test_a_restarted_store_is_found_again_and_known_to_be_another(valkey: PrivateStore) -> None:
    met = []
    store = Store(valkey.url)
    store.on_connected = lambda: met.append(store.run_id)
    await store.start(3)
    try:
        waiting = store.send(command("BLPOP", "nothing", 60))
        await asyncio.sleep(0)
        valkey.kill()
        with pytest.raises(StoreAway):
            await waiting
        await until(lambda: not store.is_connected)
        valkey.start()
        await until(lambda: store.is_connected)
        assert await store.execute("PING") == "PONG"
        assert len(set(met)) == 2
    finally:
        await store.stop()


async def test_a_store_that_hangs_is_away_within_two_and_a_half_seconds_and_found_again(valkey: PrivateStore) -> None:
    async with connected(valkey.url) as store:
        valkey.halt()
        try:
            async with asyncio.timeout(2.6):
                with pytest.raises(StoreAway):
                    await store.execute("PING")
            with pytest.raises(StoreAway):
                await store.execute("PING")
        finally:
            valkey.go_on()
        await until(lambda: store.is_connected)
        assert await store.execute("PING") == "PONG"


# --- Taking and settling over it ---


def packed(requests: int | None = 100, concurrency: int | None = 100) -> tuple[Packed, str]:
    """The questions of a place of the test's own, and where the store keeps its limits."""
    subject = uuid4().hex
    place = Place("token", subject, requests, 1000, concurrency)
    return Packed(request("0" * 32, subject, [place], [], at=0)), keys.limits("token", subject)


async def admitted(counters: Counters, asked: Packed) -> str:
    id_ = uuid4().hex
    verdict = await counters.admit(asked, id_, amount=0, worst=0, tokens=10)
    assert verdict.refused == ""
    return id_


async def test_a_store_that_forgets_its_scripts_is_told_them_again_and_no_call_notices(valkey: PrivateStore) -> None:
    async with connected(valkey.url) as store:
        counters = Counters(store, 30)
        asked, where = packed()
        first = await admitted(counters, asked)
        valkey.client.script_flush()
        more = await asyncio.gather(*(admitted(counters, asked) for _ in range(10)))
        assert valkey.client.hget(where, "c") == "11"
        valkey.client.script_flush()
        counters.settle(first, cost=0, tokens=10)
        await until(lambda: counters.unsettled == 1)
        assert await store.run(
            scripts.BEAT, [keys.PROCS, keys.SINCE, keys.LEASE, keys.REBUILD, keys.EXPIRED], ["p", 1, "r"]
        )
        counters.settle_again()
        for id_ in more:
            counters.settle(id_, cost=0, tokens=10)
        assert await store.execute("PING") == "PONG"
        assert counters.unsettled == 0
        assert valkey.client.hget(where, "c") == "0"


async def test_settlements_of_an_outage_are_delivered_once(valkey: PrivateStore) -> None:
    async with connected(valkey.url) as store:
        counters = Counters(store, 30)
        asked, where = packed()
        ids = [await admitted(counters, asked) for _ in range(6)]
        valkey.halt()
        for id_ in ids[:3]:  # sent, and done when it goes on: the connection is given up before it says so
            counters.settle(id_, cost=0, tokens=0)
        await until(lambda: counters.unsettled == 3)
        for id_ in ids[3:]:  # not even sent
            counters.settle(id_, cost=0, tokens=0)
        assert counters.unsettled == 6
        with pytest.raises(CountersUnavailable):
            await admitted(counters, asked)
        valkey.go_on()
        await until(lambda: store.is_connected)
        more = [await admitted(counters, asked) for _ in range(5)]
        tokens = int(valkey.client.hget(where, "k"))
        counters.settle_again()
        assert await store.execute("PING") == "PONG"
        # Of the three that were done before, nothing came back a second time.
        assert int(valkey.client.hget(where, "k")) == tokens + 3 * 10 * 60_000
        assert counters.unsettled == 0
        assert valkey.client.hget(where, "c") == "5"
        assert set(valkey.client.hkeys(keys.HOLD)) >= set(more)
        assert not set(valkey.client.hkeys(keys.HOLD)) & set(ids)


async def test_a_call_given_up_while_the_store_was_asked_gives_back_what_it_took_and_nothing_more(
    valkey: PrivateStore,
) -> None:
    async with connected(valkey.url) as store:
        counters = Counters(store, 30)
        for asked, where in (packed(), packed(requests=0)):
            before = valkey.client.hget(where, "k")
            task = asyncio.create_task(counters.admit(asked, uuid4().hex, amount=0, worst=0, tokens=500))
            await asyncio.sleep(0)  # it has asked, and waits
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.execute("PING") == "PONG"
            assert not counters.running
            assert int(valkey.client.hget(where, "c") or 0) == 0
            if before is None and valkey.client.exists(where):
                assert int(valkey.client.hget(where, "k")) >= 1000 * 60_000


async def test_a_refused_command_that_cannot_succeed_later_is_not_kept(valkey: PrivateStore) -> None:
    async with connected(valkey.url) as store:
        counters = Counters(store, 30)
        asked, where = packed()
        id_ = await admitted(counters, asked)
        valkey.client.set(where, "no hash")  # an operator's mistake
        counters.settle(id_, cost=0, tokens=10)
        assert await store.execute("PING") == "PONG"
        assert counters.unsettled == 0
        with pytest.raises(CountersUnavailable):
            await admitted(counters, asked)


async def test_a_settlement_that_cannot_be_made_has_its_budgets_built_anew(valkey: PrivateStore) -> None:
    async with connected(valkey.url) as store:
        counters = Counters(store, 30)
        place = Place("token", "a" * 32, 1000, None, None)
        rule = BudgetRule(
            id=UUID(int=7),
            scope="organization",
            subject="-",
            subject_id=None,
            holder="",
            end_user="",
            tag="",
            window="total",
            rolling_days=None,
            timezone="UTC",
            limit_nano=10**9,
            blocks=True,
        )
        asked = Packed(request("0" * 32, "a" * 32, (place,), (rule,), at=time.time()))
        (budget,) = asked.request.budgets
        valkey.client.hset(budget.key, mapping={"e": store.run_id, "w": 0, "s": 0, "h": 0})
        id_ = uuid4().hex
        await counters.admit(asked, id_, amount=5, worst=5, tokens=0)
        valkey.client.hset(budget.key, "s", "nonsense")
        counters.settle(id_, cost=3, tokens=0)
        assert await store.execute("PING") == "PONG"  # the refusal is in
        assert await store.execute("EXISTS", budget.key) == 0
