"""When a budget's window begins and ends, by the organization's calendar. Pure; no Django."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Span:
    """One window of a budget. Unix seconds; `ends` infinite: it never does. `day`: the day asked about, in days since 1970."""

    starts: float
    ends: float
    day: int


def span(window: str, rolling_days: int | None, zone: ZoneInfo, at: datetime) -> Span:
    """The window that `at` lies in. `window` is one of apps.policies.models.Window.

    Rolling days end with today: the window of `rolling_days=7` began six midnights before the last one, and moves on at the next.
    A `total` window began in 1970.
    """
    today = at.astimezone(zone).date()
    number = (today - _EPOCH).days
    match window:
        case "day":
            first, after = today, today + timedelta(days=1)
        case "week":
            first = today - timedelta(days=today.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = today.replace(day=1)
            after = (first + timedelta(days=32)).replace(day=1)
        case "rolling":
            first, after = today - timedelta(days=(rolling_days or 1) - 1), today + timedelta(days=1)
        case "total":
            return Span(0.0, float("inf"), 0)
        case _:
            raise ValueError(f"{window!r} is no window")
    return Span(midnight(first, zone).timestamp(), midnight(after, zone).timestamp(), number)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day in a zone, in UTC; where the clocks skip midnight, the moment they skip to."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
