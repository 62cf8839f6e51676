"""Records reach PostgreSQL exactly once, and what cannot get there is set aside, not lost."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connection
from psycopg import conninfo

from apps.audit.delivery import DatabaseAway, Delivery, database
from apps.audit.flusher import adopt
from apps.audit.frames import encode_frame
from apps.audit.spool import Batch, Spool
from apps.core.ids import uuid7
from tests.audit.conftest import record

Query = Callable[..., list[dict[str, Any]]]
Stored = Callable[[], list[UUID]]


def batch(*payloads: bytes) -> Batch:
    lines = b"".join(map(encode_frame, payloads))
    return Batch(lines, len(payloads), len(lines))


def rejected(root: Path) -> list[dict[str, Any]]:
    return [
        orjson.loads(line)
        for path in (root / "rejected").glob("*.jsonl")
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


async def test_every_field_arrives_as_it_was(delivery: Delivery, query: Query) -> None:
    sent = {
        "id": uuid7(),
        "created_at": datetime(2026, 11, 21, 3, 0, 0, 123456, UTC),
        "organization_id": uuid7(),
        "service_id": uuid7(),
        "token_id": uuid7(),
        "credential_id": uuid7(),
        "endpoint": "responses",
        "dialect": "openai",
        "method": "POST",
        "path": '/v1/responses\\"é😀\t',
        "model_asked": "größe\\n",
        "model_served": "m",
        "provider": "openai",
        "stream": True,
        "status": 499,
        "error_code": "client_closed",
        "input_tokens": 2**62,
        "cache_read_tokens": 1,
        "cache_write_5m_tokens": 2,
        "cache_write_1h_tokens": 3,
        "output_tokens": 4,
        "reasoning_tokens": 5,
        "audio_input_tokens": 6,
        "audio_output_tokens": None,
        "usage_estimated": True,
        "first_byte_us": 7,
        "total_us": 8,
        "upstream_us": 9,
        "gateway_us": 10,
        "bytes_in": 11,
        "bytes_out": 12,
        "client_address": "2001:db8::1",
        "user_agent": 'OpenAI/Python "3" \\ {}',
        "end_user": "u\\N",
        "client_request_id": "c",
        "upstream_request_id": "r",
        "attempts": [{"status": 200, "error_code": "", "started_us": 1}],
        "image_input_tokens": 13,
        "image_output_tokens": None,
        "other_usage": {"searches": 2},
        "service_tier": "flex",
        "cost_usd": "0.000123456789",
        "price_ids": [uuid7(), uuid7()],
        "tags": ["team=größe\\N"],
        "flags": ["usage_mismatch"],
        "decision": {"rules": []},
    }

    await delivery.deliver(batch(orjson.dumps(sent)))

    (row,) = query("SELECT *, host(client_address) AS client_address FROM audit_requestrecord")
    assert row.pop("recorded_at") is not None
    assert row == {**sent, "cost_usd": Decimal("0.000123456789")}


async def test_delivering_twice_leaves_one_record(delivery: Delivery, stored: Stored) -> None:
    key = uuid7()
    payload = record(id=key)

    await delivery.deliver(batch(payload, payload))
    await delivery.deliver(batch(payload))

    assert stored() == [key]
    assert (delivery.flushed_total, delivery.rejected_total) == (3, 0)


async def test_a_newer_gateways_fields_are_ignored_and_an_older_ones_absent_fields_are_neutral(
    delivery: Delivery, query: Query
) -> None:
    key = uuid7(1_795_000_000_123)

    await delivery.deliver(batch(orjson.dumps({"id": key, "from_the_future": {"x": [1]}, "path": None})))

    (row,) = query("SELECT * FROM audit_requestrecord")
    assert (row["id"], row["created_at"]) == (key, datetime.fromtimestamp(1_795_000_000.123, UTC))
    assert (row["path"], row["stream"], row["status"], row["total_us"], row["attempts"]) == ("", False, 0, 0, [])
    assert (row["input_tokens"], row["client_address"]) == (None, None)


async def test_too_long_a_text_and_an_interface_name_cost_no_record(delivery: Delivery, query: Query) -> None:
    await delivery.deliver(batch(record(user_agent="x" * 5000, client_address="fe80::1%eth0")))

    (row,) = query("SELECT length(user_agent) AS length, host(client_address) AS address FROM audit_requestrecord")
    assert row == {"length": 300, "address": "fe80::1"}


POISON = {
    "a NUL in a text": b'{"id":"%b","end_user":"a\\u0000b"}' % str(uuid7()).encode(),
    "half a surrogate pair": b'{"id":"%b","end_user":"\\ud83d"}' % str(uuid7()).encode(),
    "no id": b'{"status":200}',
    "an id that is none": b'{"id":"1"}',
    "a time far from now": record(id=uuid7(4_102_444_800_000)),
    "a number too large": record(status=70_000),
    "a broken rule of the table": record(status=-1),
    "a fraction of a token": record(input_tokens=1.5),
    "no address": record(client_address="elsewhere"),
    "no JSON": b"{",
    "JSON that is no object": b"[1]",
    "JSON too deep for a server's stack": record(attempts=[]).replace(
        b'"attempts":[]', b'"attempts":' + b"[" * 300_000 + b"]" * 300_000
    ),
    "bytes that are no text": b'{"id":"\xff"}',
    "a tab, which orjson never writes": b'{"id":\t1}',
    "a carriage return, which it never writes either": b'{"id":\r1}',
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_a_record_that_postgresql_refuses_is_set_aside_and_its_neighbours_arrive(
    delivery: Delivery, stored: Stored, spool_root: Path, poison: bytes
) -> None:
    good = [uuid7() for _ in range(6)]

    await delivery.deliver(batch(*(record(id=key) for key in good[:4]), poison, *(record(id=key) for key in good[4:])))

    assert sorted(stored()) == sorted(good)
    assert (delivery.flushed_total, delivery.rejected_total) == (6, 1)
    (entry,) = rejected(spool_root)
    assert entry["reason"]
    assert entry["sqlstate"]


async def test_a_refused_record_is_kept_word_for_word(delivery: Delivery, spool_root: Path) -> None:
    await delivery.deliver(batch(record(id="nobody", end_user="größe")))

    (entry,) = rejected(spool_root)
    assert entry["record"] == orjson.loads(record(id="nobody", end_user="größe"))
    assert "uuid" in entry["reason"]
    (path,) = (spool_root / "rejected").glob("*.jsonl")
    assert path.stat().st_mode & 0o777 == 0o600


async def test_damaged_bytes_are_kept_as_well(delivery: Delivery, spool_root: Path) -> None:
    await delivery.deliver(Batch(b"", 0, 3, damaged=(b"\xff\x00x",)))

    (entry,) = rejected(spool_root)
    assert entry["base64"] == "/wB4"
    assert delivery.damaged_total == 1


async def test_a_month_without_a_partition_gets_one(delivery: Delivery, stored: Stored, query: Query) -> None:
    now = datetime.now(UTC)
    old, older = (uuid7(int((now - timedelta(days=days)).timestamp() * 1000)) for days in (100, 200))
    before = {
        row["relname"]
        for row in query("SELECT relname FROM pg_class WHERE relname LIKE 'audit_requestrecord_20__\\___'")
    }

    try:
        await delivery.deliver(batch(record(id=old), record(id=uuid7()), record(id=older)))

        assert stored()[:2] == [older, old]
        assert delivery.rejected_total == 0
    finally:
        for row in query("SELECT relname FROM pg_class WHERE relname LIKE 'audit_requestrecord_20__\\___'"):
            if row["relname"] not in before:
                query(f'DROP TABLE "{row["relname"]}"')


async def test_a_reader_of_the_table_is_not_held_up_by_a_new_partition(database_url: str, query: Query) -> None:
    async with await database(database_url)() as reader, await database(database_url)() as maker:
        await maker.execute("SET lock_timeout = '2s'")
        await maker.set_autocommit(False)
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM audit_requestrecord")

            await maker.execute("SELECT audit_ensure_partitions('2031-05-01', '2031-06-01')")
            assert await (await reader.execute("SELECT count(*) FROM audit_requestrecord")).fetchone() == (0,)
        await maker.rollback()


async def test_a_database_that_is_not_migrated_keeps_records_waiting(database_url: str, spool_root: Path) -> None:
    elsewhere = conninfo.make_conninfo(database_url, dbname="postgres")
    spool_root.mkdir()
    delivery = Delivery(database(elsewhere), spool_root)

    with pytest.raises(DatabaseAway, match="audit_requestrecord"):
        await delivery.deliver(batch(record()))

    assert rejected(spool_root) == []


async def test_two_who_deliver_the_same_folders_leave_every_record_once(
    database_url: str, stored: Stored, tmp_path: Path
) -> None:
    """The second folder is a copy: the same records delivered by another process at the same time."""
    import asyncio

    keys = sorted(uuid7() for _ in range(3000))
    for name in ("one", "two"):
        with Spool(tmp_path / "one", max_bytes=64 << 20, segment_bytes=100_000) as spool:
            for key in keys if name == "one" else []:
                spool.append(record(id=key))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    deliveries = [Delivery(database(database_url), tmp_path / name) for name in ("one", "two", "one")]

    adopted = await asyncio.gather(
        *(adopt(tmp_path / name, delivery) for name, delivery in zip(("one", "two", "one"), deliveries, strict=True))
    )

    assert sum(adopted) == 2
    assert stored() == keys
    assert not any(path.is_dir() for name in ("one", "two") for path in (tmp_path / name).iterdir())
    for delivery in deliveries:
        await delivery.close()


@pytest.fixture
def token(query: Query) -> UUID:
    organization, service, token = uuid7(), uuid7(), uuid7()
    query(
        "INSERT INTO orgs_organization (id, name, slug, timezone, created_at) VALUES (%s, 'o', 'o', 'UTC', now())",
        organization,
    )
    query(
        "INSERT INTO services_service (id, organization_id, name, created_at) VALUES (%s, %s, 's', now())",
        service,
        organization,
    )
    query(
        "INSERT INTO services_token (id, organization_id, service_id, name, digest, hint, scopes, created_at)"
        " VALUES (%s, %s, %s, 't', 'd', 'abcd', '{}', now())",
        token, organization, service,
    )  # fmt: skip
    return token


async def test_a_tokens_last_use_is_written_at_most_once_a_minute(
    delivery: Delivery, query: Query, token: UUID
) -> None:
    start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    async def used_after(seconds: int, status: int = 200) -> datetime:
        at = start + timedelta(seconds=seconds)
        await delivery.deliver(batch(record(token_id=token, created_at=at, status=status)))
        (row,) = query("SELECT last_used_at, xmin::text FROM services_token WHERE id = %s", token)
        return row["last_used_at"]

    assert await used_after(0) == start
    assert await used_after(59) == start
    assert await used_after(61) == start + timedelta(seconds=61)
    assert await used_after(3) == start + timedelta(seconds=61)  # late news does not turn it back
    assert await used_after(3600, status=429) == start + timedelta(seconds=3600)  # let in, then refused
    changes = query("SELECT count(*) FROM core_change WHERE kind = 'services_token' AND row_id = %s", token)
    assert changes == [{"count": 1}]  # its creation: the data plane is not woken by use


async def test_a_token_that_was_not_let_in_was_not_used(delivery: Delivery, query: Query, token: UUID) -> None:
    await delivery.deliver(batch(record(token_id=token, status=401), record(token_id=uuid7())))

    assert query("SELECT last_used_at FROM services_token") == [{"last_used_at": None}]


async def test_a_token_locked_by_an_operator_holds_up_no_record(
    delivery: Delivery, database_url: str, query: Query, stored: Stored, token: UUID
) -> None:
    async with await database(database_url)() as operator, operator.transaction():
        await operator.execute("SELECT 1 FROM services_token WHERE id = %s FOR UPDATE", (token,))

        await delivery.deliver(batch(record(token_id=token)))

        assert len(stored()) == 1
    assert query("SELECT last_used_at FROM services_token") == [{"last_used_at": None}]


def test_the_suites_database_is_the_one_the_records_go_to(database_url: str) -> None:
    assert conninfo.conninfo_to_dict(database_url)["dbname"] == connection.settings_dict["NAME"]
