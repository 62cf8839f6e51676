"""Records and the price rows they name, as they stream from the database: any number in constant memory."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.db import connection, transaction
from psycopg.rows import dict_row

from apps.core.ids import uuid7_floor
from apps.orgs.models import Organization
from apps.providers.prices.recompute import RECORDS_SQL, ROWS_SQL

_BATCH = 5000
# Between a record's id and its time: both are the request's arrival, read from the clock one after the other.
_SLACK = timedelta(minutes=1)


def record_stream(
    since: datetime, until: datetime, organization: Organization | None = None
) -> Iterator[dict[str, Any]]:
    """The records of RECORDS_SQL from `since` up to and without `until`, in no order, through a cursor of the server's."""
    connection.ensure_connection()
    with (
        transaction.atomic(),
        closing(connection.connection.cursor(f"records_{uuid4().hex}", row_factory=dict_row)) as cursor,
    ):
        cursor.itersize = _BATCH
        cursor.execute(
            RECORDS_SQL,
            {
                "first": uuid7_floor(since - _SLACK),
                "last": uuid7_floor(until + _SLACK),
                "since": since,
                "until": until,
                "organization": None if organization is None else organization.pk,
            },
        )
        for record in cursor:
            # Django's connections leave JSON to its models.
            for name in ("other_usage", "charged"):
                if (text := record[name]) is not None:
                    record[name] = orjson.loads(text)
            yield record


def fetch_rows(ids: list[str]) -> list[dict[str, Any]]:
    """The price rows of these ids, withdrawn ones included."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS_SQL, {"ids": [UUID(key) for key in ids]})
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
