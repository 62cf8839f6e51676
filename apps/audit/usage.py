"""What was used: requests, tokens and cost, grouped, in buckets of time.

By organization, service and token it is added up from quarter hours (audit_spend), whatever the range; by anything else from the
records themselves, for a bounded range.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from apps.core.ids import uuid7_floor

# What may be grouped by, and its column. Those of the first can be added up from quarter hours.
ROLLED_UP: dict[str, LiteralString] = {
    "organization": "organization_id",
    "service": "service_id",
    "token": "token_id",
}
GROUPS: dict[str, LiteralString] = {
    **ROLLED_UP,
    "credential": "credential_id",
    "model": "model_asked",
    "model_served": "model_served",
    "provider": "provider",
    "endpoint": "endpoint",
    "end_user": "end_user",
    "status": "status",
    "error_code": "error_code",
}
BUCKETS = ("hour", "day", "week", "month")
RECORDS_RANGE = timedelta(days=31)
ROWS_MOST = 10_000
# Between a record's id and its time: both are the request's arrival, read from the clock one after the other.
_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAsked:
    """What to add up. `bucket` empty: the whole range; buckets begin by `zone`."""

    organization_id: UUID | None
    since: datetime
    until: datetime
    group_by: tuple[str, ...]
    bucket: str
    zone: ZoneInfo
    service_id: UUID | None = None
    token_id: UUID | None = None
    model: str | None = None
    from_records: bool = False  # also what could be added up from quarter hours: these know no tokens and no failures

    @property
    def can_roll_up(self) -> bool:
        """Whether quarter hours can tell it."""
        return self.model is None and set(self.group_by) <= ROLLED_UP.keys()

    @property
    def source(self) -> str:
        """Where it comes from: `rollup` or `records`."""
        return "rollup" if self.can_roll_up and not self.from_records else "records"


def usage(asked: UsageAsked) -> list[dict[str, Any]]:
    """A row for each group and bucket in which something was used, oldest bucket first; at most ROWS_MOST and one more."""
    rolled_up = asked.source == "rollup"
    at: LiteralString = "at" if rolled_up else "created_at"
    starts = _bucket(asked.bucket, at)
    columns = [GROUPS[name] for name in asked.group_by]
    sums = _ROLLUP_SUMS if rolled_up else _RECORD_SUMS
    where = [f"{at} >= %(since)s AND {at} < %(until)s"]
    if not rolled_up:
        where.append("id >= %(first_id)s AND id < %(last_id)s")
    for column, value in (
        ("organization_id", asked.organization_id),
        ("service_id", asked.service_id),
        ("token_id", asked.token_id),
        ("model_asked", asked.model),
    ):
        if value is not None:
            where.append(f"{column} = %({column})s")
    keys = ", ".join(str(number) for number in range(1, len(columns) + 2))
    sql = (
        f"SELECT {', '.join([starts, *(f'{column}::text' for column in columns)])}, {sums} "
        f"FROM {'audit_spend' if rolled_up else 'audit_requestrecord'} WHERE {' AND '.join(where)} "
        f"GROUP BY {keys} ORDER BY {keys} LIMIT {ROWS_MOST + 1}"
    )
    values: dict[str, Any] = {
        "since": asked.since,
        "until": asked.until,
        "zone": asked.zone.key,
        "first_id": uuid7_floor(asked.since - _SLACK),
        "last_id": uuid7_floor(asked.until + _SLACK),
        "organization_id": asked.organization_id,
        "service_id": asked.service_id,
        "token_id": asked.token_id,
        "model_asked": asked.model,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    return [_row(row, asked.group_by) for row in rows]


_ROLLUP_SUMS: LiteralString = "sum(requests)::bigint, NULL, NULL, NULL, NULL, sum(cost_usd)"
_RECORD_SUMS: LiteralString = """count(*), count(*) FILTER (WHERE status >= 400), COALESCE(sum(input_tokens), 0)::bigint,
    (COALESCE(sum(cache_read_tokens), 0) + COALESCE(sum(cache_write_5m_tokens), 0)
     + COALESCE(sum(cache_write_1h_tokens), 0))::bigint,
    COALESCE(sum(output_tokens), 0)::bigint, COALESCE(sum(cost_usd), 0)"""


def _bucket(bucket: str, at: LiteralString) -> str:
    """The SQL of a bucket's beginning."""
    if not bucket:
        return "%(since)s::timestamptz"
    if bucket not in BUCKETS:
        raise ValueError(f"no such bucket: {bucket}")
    return f"date_trunc('{bucket}', {at}, %(zone)s)"


def _row(row: tuple[Any, ...], group_by: tuple[str, ...]) -> dict[str, Any]:
    starts_at, *rest = row
    requests, failed, input_tokens, cached_tokens, output_tokens, cost = rest[len(group_by) :]
    return {
        "starts_at": starts_at,
        "group": dict(zip(group_by, rest[: len(group_by)], strict=True)),
        "requests": requests,
        "failed": failed,
        "input_tokens": input_tokens,
        "cached_tokens": cached_tokens,
        "output_tokens": output_tokens,
        "cost_usd": cost,
    }
