"""Ids sort by the time they were made, and tell it."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID, uuid4

from hypothesis import example, given
from hypothesis import strategies as st

from apps.core.ids import parse_request_id, request_id, uuid7, uuid7_floor, uuid7_time

# From 1970 to 2100, in Unix milliseconds.
MOMENTS = st.integers(0, 4_102_444_800_000)


@given(MOMENTS)
def test_an_id_is_a_version_7_uuid_that_tells_its_millisecond(at: int) -> None:
    made = uuid7(at)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert uuid7_time(made) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)


def test_an_id_is_of_now() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= uuid7_time(uuid7()) <= datetime.now(UTC)


def test_ids_of_one_millisecond_differ() -> None:
    assert len({uuid7(0) for _ in range(10_000)}) == 10_000


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_time(one: int, other: int) -> None:
    assert (uuid7(one) < uuid7(other)) == (one < other) or one == other


@given(MOMENTS)
@example(8_081)  # 8.081 times 1000 is less than 8081 in floating point
def test_the_floor_of_a_moment_parts_the_ids_before_it_from_the_others(at: int) -> None:
    floor = uuid7_floor(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at))
    assert (floor.version, floor.variant) == (7, RFC_4122)
    assert floor <= uuid7(at)
    assert at == 0 or uuid7(at - 1) < floor


@given(st.uuids())
def test_a_request_id_is_read_as_it_is_shown(value: UUID) -> None:
    shown = request_id(value)
    assert shown.startswith("req_")
    assert len(shown) == 36
    assert parse_request_id(shown) == parse_request_id(f" {shown}\n") == parse_request_id(str(value)) == value


def test_what_is_no_request_id_is_none() -> None:
    for shown in ("", "req_", "req_123", uuid4().hex[:-1], "req_" + "x" * 32):
        assert parse_request_id(shown) is None
