"""Hours of the week, as a policy allows them: `mon-fri 08:00-18:00`, `sat,sun 10:00-14:00`, `22:00-06:00`. Pure; no Django.

They are read on the clock on the wall: where the clocks go back an hour, the repeated hour counts twice, and where they go forward,
the skipped one never comes.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_HOURS = re.compile(r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*)\s+)?(?P<starts>\d\d:\d\d)-(?P<ends>\d\d:\d\d)")
_REMEDY = "write it as mon-fri 08:00-18:00, sat,sun 10:00-14:00 or 22:00-06:00"


@dataclass(frozen=True, slots=True)
class Hours:
    """From `starts` to `ends` (minutes of the day, the end not included) on `days` (0 is Monday).

    Where it ends at or before it starts, it ends on the day after: `fri 22:00-06:00` ends on Saturday.
    """

    days: frozenset[int]
    starts: int
    ends: int

    def hold(self, at: datetime) -> bool:
        """Whether a local time lies within."""
        day, minute = at.weekday(), at.hour * 60 + at.minute
        if self.starts < self.ends:
            return day in self.days and self.starts <= minute < self.ends
        return (day in self.days and minute >= self.starts) or ((day - 1) % 7 in self.days and minute < self.ends)


@lru_cache(maxsize=4096)
def parse_hours(text: str) -> Hours:
    """Read one entry. Raises ValueError that names the text and says how to write it."""
    match = _HOURS.fullmatch(text.strip().lower())
    if match is None or not text.isascii():
        raise ValueError(f"{text!r} is not a time of the week: {_REMEDY}.")
    starts, ends = _minutes(match["starts"], text), _minutes(match["ends"], text)
    if starts == _DAY_MINUTES:
        raise ValueError(f"{text!r} begins at 24:00: begin at 00:00 of the day after.")
    if starts == ends:
        raise ValueError(f"{text!r} ends as it begins: write 00:00-24:00 for the whole day.")
    return Hours(_days(match["days"], text), starts, ends)


def hours_hold(texts: tuple[str, ...], at: datetime, zone: ZoneInfo) -> bool:
    """Whether `at` (with its zone) lies in any of these hours, by the clocks of `zone`. What cannot be read allows nothing."""
    local = at.astimezone(zone)
    return any(hours is not None and hours.hold(local) for hours in map(_parsed, texts))


def _parsed(text: str) -> Hours | None:
    try:
        return parse_hours(text)
    except ValueError:
        return None  # written past our own checks; it allows nothing


def _minutes(clock: str, text: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if minute > 59 or hour * 60 + minute > _DAY_MINUTES:
        raise ValueError(f"{text!r}: {clock} is no time of day: use 00:00 to 24:00.")
    return hour * 60 + minute


def _days(words: str | None, text: str) -> frozenset[int]:
    if words is None:
        return frozenset(range(7))
    days: set[int] = set()
    for word in words.split(","):
        first, _, last = word.partition("-")
        for name in (first, last or first):
            if name not in DAYS:
                raise ValueError(f"{text!r}: {name!r} is no day: use {', '.join(DAYS)}.")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days.update((start + offset) % 7 for offset in range((end - start) % 7 + 1))
    return frozenset(days)
