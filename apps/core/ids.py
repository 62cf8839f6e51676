"""Identifiers: UUID version 7 (RFC 9562), so that ids sort by the time they were made."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_MASK = ~((0xF000 << 64) | (0xC000 << 48)) & ((1 << 128) - 1)
_VERSION = (0x7000 << 64) | (0x8000 << 48)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(milliseconds: int | None = None) -> UUID:
    """A new id: 48 bits of Unix milliseconds, then 74 random bits."""
    at = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    value = (at << 80) | int.from_bytes(os.urandom(10))
    return UUID(int=value & _MASK | _VERSION)


def uuid7_floor(at: datetime) -> UUID:
    """The smallest version 7 id made at `at` or later: turns a range of time into a range of ids. None is from before 1970."""
    return UUID(int=(max((at - _EPOCH) // timedelta(milliseconds=1), 0) << 80) | _VERSION)


def uuid7_time(value: UUID) -> datetime:
    """When a version 7 id was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC)


def request_id(value: UUID) -> str:
    """How a request's id is shown to clients and operators: `req_` and 32 hexadecimal digits."""
    return f"req_{value.hex}"


def parse_request_id(shown: str) -> UUID | None:
    """The id behind `req_…` (or a bare UUID); None if it is neither."""
    try:
        return UUID(shown.strip().removeprefix("req_"))
    except ValueError:
        return None
