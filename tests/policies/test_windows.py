"""Windows follow the organization's calendar, through every change of its clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.policies.windows import Span, midnight, span

ZONES = (
    "UTC",
    "Europe/Madrid",
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "Asia/Kathmandu",  # a quarter
    "Pacific/Chatham",  # three quarters, with summer time
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Beirut",  # days that begin at 01:00
    "Africa/Cairo",  # so too
    "America/Asuncion",
    "Atlantic/Azores",  # days whose midnight comes twice
    "Pacific/Apia",
    "Pacific/Kiritimati",
)
WINDOWS = st.sampled_from(
    [("day", None), ("week", None), ("month", None), ("rolling", 2), ("rolling", 30), ("rolling", 366)]
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))
BEIRUT = datetime(2026, 3, 28, 22, tzinfo=UTC)  # where the clocks go from 00:00 to 01:00 of the 29th


def local(at: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


@given(WINDOWS, st.sampled_from(ZONES), MOMENTS)
@example(("day", None), "Asia/Beirut", BEIRUT)
@example(("day", None), "Asia/Beirut", BEIRUT - timedelta(microseconds=1))
def test_every_moment_lies_in_its_window_and_windows_meet(
    window: tuple[str, int | None], name: str, at: datetime
) -> None:
    zone = ZoneInfo(name)
    here = span(*window, zone, at)
    assert here.starts <= at.timestamp() < here.ends
    after = span(*window, zone, datetime.fromtimestamp(here.ends, UTC))
    if window[0] == "rolling":
        assert after.day == here.day + 1
        assert here.starts < after.starts < here.ends < after.ends
    else:
        assert after.starts == here.ends
    before = span(*window, zone, datetime.fromtimestamp(here.ends - 0.001, UTC))
    assert (before.starts, before.ends) == (here.starts, here.ends)


@given(WINDOWS, st.sampled_from(ZONES), MOMENTS)
def test_windows_begin_and_end_on_a_quarter_of_an_hour(window: tuple[str, int | None], name: str, at: datetime) -> None:
    here = span(*window, ZoneInfo(name), at)
    assert here.starts % 900 == 0
    assert here.ends % 900 == 0


@given(st.sampled_from(ZONES), MOMENTS)
def test_windows_begin_where_the_calendar_says(name: str, at: datetime) -> None:
    zone = ZoneInfo(name)
    assert local(span("week", None, zone, at).starts, zone).weekday() == 0
    assert local(span("month", None, zone, at).starts, zone).day == 1
    today = at.astimezone(zone).date()
    day = span("day", None, zone, at)
    assert local(day.starts, zone).date() == today == date(1970, 1, 1) + timedelta(days=day.day)
    assert local(span("rolling", 7, zone, at).starts, zone).date() == today - timedelta(days=6)
    assert span("rolling", 7, zone, at).ends == day.ends


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Madrid", date(2026, 3, 29), 23),
        ("Europe/Madrid", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Atlantic/Azores", date(2026, 10, 25), 25),
        ("UTC", date(2028, 2, 29), 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(zone: str, day: date, hours: float) -> None:
    here = span("day", None, ZoneInfo(zone), midnight(day, ZoneInfo(zone)))
    assert (here.ends - here.starts) / 3600 == hours


def test_a_total_window_never_ends() -> None:
    assert span("total", None, ZoneInfo("Asia/Tokyo"), BEIRUT) == Span(0.0, float("inf"), 0)


def test_another_word_is_no_window() -> None:
    with pytest.raises(ValueError, match="year"):
        span("year", None, ZoneInfo("UTC"), BEIRUT)
