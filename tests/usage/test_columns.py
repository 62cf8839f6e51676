"""Usage survives its record: what was read from a provider is what an amount is computed from again."""

import json

from hypothesis import given
from hypothesis import strategies as st

from apps.audit.record import RECORD_COLUMNS
from apps.providers.usage import MISMATCH_FLAG, Usage, from_columns, to_columns

COUNTS = st.none() | st.integers(0, 1 << 50)
USAGES = st.builds(
    Usage,
    **{name: COUNTS for name in Usage.__struct_fields__ if name not in ("tier", "estimated", "mismatch")},
    tier=st.sampled_from(["", "priority", "flex"]) | st.text(max_size=32),
    estimated=st.booleans(),
    mismatch=st.booleans(),
)


@given(USAGES)
def test_a_record_gives_back_the_usage_that_was_written_into_it(usage: Usage) -> None:
    columns = json.loads(json.dumps(to_columns(usage)))  # as the spool carries it
    flags = [MISMATCH_FLAG] if usage.mismatch else []
    assert from_columns({**columns, "flags": flags}) == usage


@given(USAGES)
def test_the_columns_are_the_records_own(usage: Usage) -> None:
    columns = to_columns(usage)
    assert columns.keys() <= RECORD_COLUMNS.keys()
    assert all(columns[name] is not None for name in columns if "not null" in RECORD_COLUMNS[name])


def test_buckets_that_nobody_said_take_no_room() -> None:
    assert to_columns(Usage(input=1, searches=0))["other_usage"] == {"searches": 0}
    assert to_columns(Usage(input=1))["other_usage"] is None


def test_a_record_of_an_older_gateway_reads_as_nobody_saying() -> None:
    assert from_columns({"input_tokens": 5, "usage_estimated": True}) == Usage(input=5, estimated=True)
    assert from_columns({}) == Usage()


def test_what_is_no_usage_in_a_record_is_nobody_saying() -> None:
    assert from_columns({"other_usage": [1], "service_tier": None, "flags": None}) == Usage()
    assert from_columns({"other_usage": {"images": -1, "seconds": "2", "who": 5}}) == Usage()
