"""How long a provider asks to be left alone, in whichever way it says so. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_WAIT_MOST = 24 * 3600.0  # seconds; what asks for more is no delay
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e12  # a plain number beyond these is a time, not a delay
_DATE_LENGTH = 20  # of the shortest date; plain numbers are shorter
_FAMILIES = (
    # OpenAI's and its likes': x-ratelimit-reset-tokens: 6m0s, beside x-ratelimit-remaining-tokens: 0
    (re.compile(rb"x-ratelimit-reset-(.+)"), b"x-ratelimit-remaining-%b"),
    # Anthropic's: anthropic-ratelimit-tokens-reset: 2026-11-21T12:00:00Z, beside anthropic-ratelimit-tokens-remaining: 0
    (re.compile(rb"anthropic-ratelimit-(.+)-reset"), b"anthropic-ratelimit-%b-remaining"),
    # Others': one for all
    (re.compile(rb"(?:x-)?ratelimit-(reset)"), b"x-ratelimit-remaining"),
)
_RETRY_DELAY = re.compile(rb'"retryDelay"\s*:\s*"(\d{1,6}(?:\.\d{1,9})?)s"')  # google.rpc.RetryInfo


def asked_to_wait(headers: Iterable[tuple[bytes, bytes]], at: float) -> float | None:
    """Seconds from now on, from an answer's headers (names in lower case); None where nothing is asked for.

    `at`: now, in Unix seconds; where the answer is dated, times in it are held against that date, as clocks differ. A delay comes
    first, then those limits that are used up, of which the last one counts; of limits that are not, the first.
    """
    found = dict(headers)
    for name, unit in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        if (text := found.get(name)) is not None:
            seconds = _seconds(text.decode("latin-1").strip(), at, found, unit)
            if seconds is not None:
                return seconds
    used_up, others = _resets(found, at)
    if used_up or others:
        return max(used_up) if used_up else min(others)
    return None


def asked_in_body(body: bytes) -> float | None:
    """The same of a refusal's body, as Google says it."""
    delay = _RETRY_DELAY.search(body)
    return None if delay is None else _bearable(float(delay[1]))


def _resets(found: Mapping[bytes, bytes], at: float) -> tuple[list[float], list[float]]:
    """In how many seconds limits are whole again: those with nothing left, and the others."""
    used_up: list[float] = []
    others: list[float] = []
    for name, value in found.items():
        for pattern, beside in _FAMILIES:
            if (match := pattern.fullmatch(name)) is None:
                continue
            seconds = _seconds(value.decode("latin-1").strip(), at, found, 1.0)
            if seconds is not None:
                left = found.get(beside % match[1] if b"%b" in beside else beside, b"").strip()
                (used_up if left == b"0" else others).append(seconds)
            break
    return used_up, others


def _seconds(text: str, at: float, found: Mapping[bytes, bytes], unit: float) -> float | None:
    """A number of units, a duration such as 6m0s, or a time."""
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if number >= _EPOCH_SECONDS:
            number = number / 1000 if number >= _EPOCH_MILLISECONDS else number
            return _bearable(max(0.0, number - _now(found, at)))
        return _bearable(number * unit)
    parts = _DURATION.findall(text)
    if parts and "".join(number + name for number, name in parts) == text:
        return _bearable(sum(float(number) * _UNITS[name] for number, name in parts))
    when = _time(text)
    return None if when is None else _bearable(max(0.0, when - _now(found, at)))


def _now(found: Mapping[bytes, bytes], at: float) -> float:
    dated = _time(found.get(b"date", b"").decode("latin-1"))
    return at if dated is None else dated


def _time(text: str) -> float | None:
    """Unix seconds of an HTTP date, or of RFC 3339."""
    if len(text) < _DATE_LENGTH:
        return None
    try:
        when = parsedate_to_datetime(text) if text[:1].isalpha() else datetime.fromisoformat(text)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _bearable(seconds: float) -> float | None:
    return seconds if 0 <= seconds < _WAIT_MOST else None  # neither negative, infinite nor no number at all
