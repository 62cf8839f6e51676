"""The one table of columns agrees with the model and the database, and cleaned text always fits."""

import asyncio
import unicodedata
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.audit.delivery import Delivery, database
from apps.audit.frames import encode_frame
from apps.audit.models import RequestRecord
from apps.audit.record import MAX_LENGTHS, RECORD_COLUMNS, clean_count, clean_text
from apps.audit.spool import Batch
from apps.core.ids import uuid7

long_text = st.text(min_size=1, max_size=9).map(lambda text: 99 * text)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | long_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
TEXTS = ("method", "path", "model_asked", "model_served", "error_code", "user_agent", "end_user", "client_request_id")
COUNTS = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")


def test_the_table_of_columns_is_the_models_and_the_databases(database_url: str) -> None:
    with psycopg.connect(database_url) as asking:
        found = asking.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = 'audit_requestrecord'::regclass AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
    spoken = {"character varying": "varchar", "timestamp with time zone": "timestamptz"}
    in_database = {}
    for name, kind, not_null in found:
        base, bracket, rest = kind.partition("(")
        in_database[name] = spoken.get(base, base) + bracket + rest + (" not null" if not_null else "")

    assert in_database.pop("recorded_at") == "timestamptz not null"
    assert in_database == dict(RECORD_COLUMNS)
    assert {field.column for field in RequestRecord._meta.concrete_fields} == {*RECORD_COLUMNS, "recorded_at"}
    for name, length in MAX_LENGTHS.items():
        assert RequestRecord._meta.get_field(name).max_length == length


@pytest.mark.parametrize(
    ("given_text", "cleaned"),
    [
        ("gpt-5", "gpt-5"),
        ("naïve 模型 👩‍🚀", "naïve 模型 👩‍🚀"),
        ("a\x00b\nc\x1b[31md\x7f\x85", "abc[31md"),
        ("half \ud83d surrogate", "half  surrogate"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        (None, ""),
        (5, ""),
        (["x"], ""),
    ],
)
def test_text_keeps_its_letters_and_loses_what_does_harm(given_text: object, cleaned: str) -> None:
    assert clean_text(given_text, 100) == cleaned


@given(st.text(st.characters()), st.integers(1, 50))
def test_cleaned_text_is_short_and_printable_enough_for_any_terminal(text: str, length: int) -> None:
    cleaned = clean_text(text, length)

    assert len(cleaned) <= length
    assert not {unicodedata.category(letter) for letter in cleaned} & {"Cc", "Cs"}
    assert clean_text(cleaned, length) == cleaned


@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1", None, [1]])
def test_a_count_that_is_none_is_nothing(value: object) -> None:
    assert clean_count(value) is None
    assert clean_count(0) == 0
    assert clean_count(2**63 - 1) == 2**63 - 1


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(garbage=st.lists(st.fixed_dictionaries(dict.fromkeys((*TEXTS, *COUNTS), anything)), min_size=1, max_size=10))
def test_whatever_a_client_or_a_provider_sends_the_record_of_it_is_accepted(
    garbage: list[dict[str, Any]], database_url: str, spool_root: Path
) -> None:
    payloads = [
        orjson.dumps(
            {"id": uuid7(), "status": 400, "total_us": 1}
            | {name: clean_text(facts[name], MAX_LENGTHS[name]) for name in TEXTS}
            | {name: clean_count(facts[name]) for name in COUNTS}
        )
        for facts in garbage
    ]
    lines = b"".join(map(encode_frame, payloads))

    async def deliver() -> Delivery:
        spool_root.mkdir(exist_ok=True)
        delivery = Delivery(database(database_url), spool_root)
        await delivery.deliver(Batch(lines, len(payloads), len(lines)))
        await delivery.close()
        return delivery

    delivery = asyncio.run(deliver())

    assert (delivery.flushed_total, delivery.rejected_total) == (len(payloads), 0)
