"""Named reads find what they are asked for, in the partitions that can hold it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from apps.audit.models import RequestRecord
from apps.audit.selectors import record_get, records_arrived, records_recent
from apps.core.ids import uuid7

pytestmark = pytest.mark.django_db


def made(minutes_ago: float = 0, **fields: Any) -> RequestRecord:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    facts = {"status": 200, "total_us": 1, "model_asked": "m", "created_at": at}
    return RequestRecord.objects.create(id=uuid7(int(at.timestamp() * 1000)), **(facts | fields))


def test_the_latest_come_first_and_pages_follow_the_last_seen() -> None:
    records = [made(minutes_ago) for minutes_ago in (3, 2, 1)]

    page = list(records_recent(limit=2))
    assert page == records[:0:-1]
    assert list(records_recent(limit=2, before_id=page[-1].id)) == records[:1]


@pytest.mark.parametrize(
    ("filters", "fields"),
    [
        ({"failed": True}, {"status": 429}),
        ({"status_class": 5}, {"status": 502}),
        ({"error_code": "upstream_failed"}, {"status": 502, "error_code": "upstream_failed"}),
        ({"model": "other"}, {"model_asked": "other"}),
        ({"end_user": "u"}, {"end_user": "u"}),
        ({"organization_id": UUID(int=1)}, {"organization_id": UUID(int=1)}),
        ({"service_ids": [UUID(int=2), UUID(int=3)]}, {"service_id": UUID(int=3)}),
        ({"token_id": UUID(int=4)}, {"token_id": UUID(int=4)}),
    ],
)
def test_each_filter_finds_its_own(filters: Any, fields: dict[str, Any]) -> None:
    made()
    wanted = made(**fields)
    made()

    assert list(records_recent(**filters)) == [wanted]


def test_success_is_a_filter_too() -> None:
    made(status=500)
    fine = made()

    assert list(records_recent(failed=False)) == [fine]


def test_a_range_of_time_includes_its_start_and_excludes_its_end() -> None:
    records = [made(minutes_ago) for minutes_ago in (3, 2, 1)]

    assert list(records_recent(since=records[1].created_at)) == [records[2], records[1]]
    assert list(records_recent(until=records[1].created_at)) == [records[0]]


def test_a_range_of_time_touches_no_other_months_partition() -> None:
    recent = records_recent(
        since=datetime.now(UTC) - timedelta(minutes=1), until=datetime.now(UTC) + timedelta(minutes=1)
    )

    partitions = {
        word for word in recent.explain().replace('"', " ").split() if word.startswith("audit_requestrecord_20")
    }

    assert len({name[: len("audit_requestrecord_2026_11")] for name in partitions}) <= 2  # two at the turn of a month


def test_what_arrived_late_is_news_however_old_its_request() -> None:
    made()
    late = made(minutes_ago=30)

    assert late in records_arrived(recorded_since=late.recorded_at)


def test_a_record_is_found_by_the_id_its_client_saw_and_by_its_owner_alone() -> None:
    record = made(organization_id=UUID(int=1))

    assert record_get(record.shown_id) == record_get(str(record.id)) == record
    assert record_get(record.shown_id, organization_id=UUID(int=1)) == record
    assert record_get(record.shown_id, organization_id=UUID(int=2)) is None
    assert record_get("req_nonsense") is None
