"""What was spent according to PostgreSQL, exact to the last digit: the truth that counters are rebuilt from. No Django.

SQL with named parameters, for psycopg and for Django's cursors alike; `parameters` makes the values. Organizations, services and
tokens are added up from quarter hours (audit_spend), end users and tags from the records themselves. Adjustments count everywhere.
Windows begin and end at midnights, and every zone's midnight falls on a quarter of an hour (UTC).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.core.ids import uuid7_floor
from apps.policies.windows import Span, midnight

# Between a record's id and its time: both are the request's arrival, read from the clock one after the other.
_SLACK = timedelta(minutes=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)

# Which rows are a subject's, by scope: in audit_spend or audit_requestrecord, and in audit_adjustment.
_SPEND: dict[str, LiteralString] = {
    "organization": "organization_id = %(organization)s",
    "service": "service_id = %(subject)s::uuid AND organization_id = %(organization)s",
    "token": "token_id = %(subject)s::uuid AND organization_id = %(organization)s",
}
# The second half of each lets PostgreSQL use an index that holds only rows which have an end user, or tags.
_RECORDS: dict[str, LiteralString] = {
    "end_user": "end_user = %(subject)s::text AND end_user <> '' AND organization_id = %(organization)s",
    "tag": "tags @> ARRAY[%(subject)s::text] AND tags <> '{}' AND organization_id = %(organization)s",
}
_IN_WINDOW: LiteralString = "at >= %(starts)s AND at < %(ends)s"
# The ids leave out the partitions of other months, the time decides.
_RECORD_IN_WINDOW: LiteralString = (
    "id >= %(first_id)s AND id < %(last_id)s AND created_at >= %(starts)s AND created_at < %(ends)s "
    "AND cost_usd IS NOT NULL"
)


def parameters(
    organization: UUID, subject: UUID | str | None, window: Span, zone: ZoneInfo | None = None
) -> dict[str, Any]:
    """The values for the statements below.

    `subject`: the id of a service or token, an end user or a `key=value` tag; None for an organization. `zone`, which only
    `spent_days_sql` needs: whose midnights part the days.
    """
    starts = datetime.fromtimestamp(window.starts, UTC) if window.starts > 0 else _FIRST
    ends = _LAST if window.ends == float("inf") else datetime.fromtimestamp(window.ends, UTC)
    values: dict[str, Any] = {
        "organization": organization,
        "subject": subject,
        "starts": starts,
        "ends": ends,
        "first_id": uuid7_floor(max(starts - _SLACK, _FIRST)),
        "last_id": uuid7_floor(ends + _SLACK if ends < _LAST else ends),
    }
    if zone is not None:
        first, last = (at.astimezone(zone).date() for at in (starts, ends - timedelta(microseconds=1)))
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        values["first_day"] = (first - _FIRST.date()).days
        values["midnights"] = [midnight(day, zone) for day in days]
    return values


def spent_sql(scope: str) -> LiteralString:
    """One row, one column: USD spent in the window, 0 if nothing was. `scope` is a budget's, but for `policy`."""
    return f"SELECT COALESCE(sum(usd), 0) FROM ({_entries(scope)}) AS entries"


def spent_days_sql(scope: str) -> LiteralString:
    """Rows (day, USD), of days on which something was spent. A day is the number of its date since 1970, as Span.day.

    Needs `parameters(…, zone)`, and a window that is not `total`.
    """
    # The midnights come from Python, so that days are those of the windows whatever PostgreSQL knows of time zones.
    return (
        "SELECT %(first_day)s::int - 1 + width_bucket(at, %(midnights)s::timestamptz[]) AS day, sum(usd) "
        f"FROM ({_entries(scope)}) AS entries GROUP BY 1 ORDER BY 1"
    )


# Rows (end user, USD): who spent most in the window, at most `most` of them. For the budgets of every end user.
TOP_END_USERS_SQL: LiteralString = f"""
SELECT end_user, sum(usd) AS usd FROM (
    SELECT end_user, cost_usd AS usd FROM audit_requestrecord
    WHERE organization_id = %(organization)s AND end_user <> '' AND {_RECORD_IN_WINDOW}
    UNION ALL
    SELECT end_user, amount_usd FROM audit_adjustment
    WHERE organization_id = %(organization)s AND end_user <> '' AND {_IN_WINDOW}
) AS entries GROUP BY end_user ORDER BY 2 DESC, 1 LIMIT %(most)s
"""

# Rows (end user): whose requests were recorded at `since` or later. They are the ones whose budget may have run low since.
ACTIVE_END_USERS_SQL: LiteralString = """
SELECT DISTINCT end_user FROM audit_requestrecord
WHERE organization_id = %(organization)s AND end_user <> '' AND recorded_at >= %(since)s AND cost_usd IS NOT NULL
"""

# Rows (id): those of `ids`, an array of request ids, that are in the ledger already.
CONTAINS_SQL: LiteralString = "SELECT id FROM audit_requestrecord WHERE id = ANY(%(ids)s::uuid[])"


def contains_parameters(ids: Sequence[UUID]) -> dict[str, Any]:
    """The value for CONTAINS_SQL."""
    return {"ids": list(ids)}


def _entries(scope: str) -> LiteralString:
    """What counts for a subject in the window, as rows (at, usd). Raises ValueError for an unknown scope."""
    if scope in _SPEND:
        own = _SPEND[scope]
        spent: LiteralString = f"SELECT at, cost_usd AS usd FROM audit_spend WHERE {own} AND {_IN_WINDOW}"
    elif scope in _RECORDS:
        own = _RECORDS[scope]
        spent = f"SELECT created_at AS at, cost_usd AS usd FROM audit_requestrecord WHERE {own} AND {_RECORD_IN_WINDOW}"
    else:
        raise ValueError(f"{scope!r} has no spending of its own")
    return f"{spent} UNION ALL SELECT at, amount_usd FROM audit_adjustment WHERE {own} AND {_IN_WINDOW}"
