"""Hours of the week: every minute is asked, over midnight and where the clocks change."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.policies.hours import DAYS, hours_hold, parse_hours

MADRID = ZoneInfo("Europe/Madrid")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def open_minutes(text: str) -> set[int]:
    """The minutes of a week in UTC, from Monday, that `text` allows."""
    zone = ZoneInfo("UTC")
    return {minute for minute in range(7 * 1440) if hours_hold((text,), MONDAY + timedelta(minutes=minute), zone)}


def minutes(day: int, starts: int, ends: int) -> set[int]:
    return {(day * 1440 + minute) % (7 * 1440) for minute in range(starts, ends)}


@pytest.mark.parametrize(
    ("text", "days", "starts", "ends"),
    [
        ("mon-fri 08:00-18:00", range(5), 8 * 60, 18 * 60),
        ("sat,sun 10:00-14:00", (5, 6), 10 * 60, 14 * 60),
        ("22:00-06:00", range(7), 22 * 60, 30 * 60),
        ("sun 22:00-06:00", (6,), 22 * 60, 30 * 60),
        ("fri-mon 00:00-24:00", (4, 5, 6, 0), 0, 1440),
        ("MON,wed-thu 12:30-12:31", (0, 2, 3), 750, 751),
        ("  tue   00:00-00:01 ", (1,), 0, 1),
        ("tue 18:00-00:00", (1,), 18 * 60, 1440),
    ],
)
def test_hours_allow_these_minutes_and_no_other(text: str, days: list[int], starts: int, ends: int) -> None:
    assert open_minutes(text) == set().union(*(minutes(day, starts, ends) for day in days))


CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59))


@given(st.sampled_from(DAYS), CLOCKS, CLOCKS, st.integers(0, 7 * 1440 - 1))
def test_any_span_begins_and_ends_where_it_says(
    day: str, starts: tuple[int, int], ends: tuple[int, int], minute: int
) -> None:
    text = f"{day} {starts[0]:02}:{starts[1]:02}-{ends[0]:02}:{ends[1]:02}"
    begin, end = starts[0] * 60 + starts[1], ends[0] * 60 + ends[1]
    if begin == end:
        with pytest.raises(ValueError, match="ends as it begins"):
            parse_hours(text)
        return
    length = (end - begin) % 1440
    since = (minute - DAYS.index(day) * 1440 - begin) % (7 * 1440)
    assert hours_hold((text,), MONDAY + timedelta(minutes=minute), ZoneInfo("UTC")) is (since < length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "mon",
        "8:00-18:00",
        "08:00-25:00",
        "08:60-18:00",
        "24:00-06:00",
        "00:00-24:01",
        "08:00-08:00",
        "08:00 - 18:00",
        "mun 08:00-18:00",
        "mon-fri-sun 08:00-18:00",
        "mon--fri 08:00-18:00",
        "mon, tue 08:00-18:00",
        "08:00-18:00; 20:00-21:00",
        "\u0660\u0668:\u0660\u0660-18:00",  # digits, but not ours
        "mon 08:00-18:00\n20:00-21:00",
    ],
)
def test_what_is_no_time_of_the_week_is_named(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_hours(text)
    assert repr(text) in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        hours = parse_hours(text)
        assert hours.days
        assert hours.starts != hours.ends


def test_the_hour_that_comes_twice_counts_twice_and_the_skipped_one_never_comes() -> None:
    def allowed(day: datetime) -> list[str]:
        quarters = [day + timedelta(minutes=15 * number) for number in range(4 * 5)]
        return [f"{at:%H:%M}" for at in quarters if hours_hold(("02:00-03:00",), at, MADRID)]

    # The clocks in Madrid go back at 01:00 UTC on 25 October, and forward at 01:00 UTC on 29 March.
    assert allowed(datetime(2026, 10, 25, tzinfo=UTC)) == [
        "00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45",
    ]  # fmt: skip
    assert allowed(datetime(2026, 3, 29, tzinfo=UTC)) == []


def test_a_night_over_a_change_of_clocks_stays_open() -> None:
    start = datetime(2026, 10, 24, 20, tzinfo=UTC)  # 22:00 in Madrid
    night = [start + timedelta(minutes=number) for number in range(9 * 60)]
    assert all(hours_hold(("sat 22:00-06:00",), at, MADRID) for at in night)  # nine hours, as one comes twice
    assert not hours_hold(("sat 22:00-06:00",), night[-1] + timedelta(minutes=1), MADRID)
