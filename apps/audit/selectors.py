"""Named reads of request records.

Every one is bounded by id or by count, since the table may hold hundreds of millions.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.db.models import QuerySet

from apps.audit.models import RequestRecord
from apps.core.ids import parse_request_id, uuid7_floor


class Filters(TypedDict, total=False):
    """Which records. What is left out, or None, does not matter."""

    organization_id: UUID | None
    service_ids: Sequence[UUID] | None
    token_id: UUID | None
    since: datetime | None  # arrived then or later, to the millisecond
    until: datetime | None  # arrived before
    failed: bool | None  # status 400 and above, or below
    status_class: int | None  # 2 for 2xx
    error_code: str | None
    model: str | None  # as the client asked for it
    end_user: str | None


def records_recent(
    *, limit: int = 50, before_id: UUID | None = None, **filters: Unpack[Filters]
) -> QuerySet[RequestRecord]:
    """The latest `limit` requests, last arrival first. Page by passing the last id seen as `before_id`."""
    rows = _matching(**filters)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    return rows.order_by("-id")[:limit]


def records_arrived(*, recorded_since: datetime, **filters: Unpack[Filters]) -> QuerySet[RequestRecord]:
    """What PostgreSQL has received since then, in that order: what is new, however long ago its request began."""
    return _matching(**filters).filter(recorded_at__gte=recorded_since).order_by("recorded_at", "id")


def records_matching(**filters: Unpack[Filters]) -> QuerySet[RequestRecord]:
    """All of them, in no order: whoever asks bounds them."""
    return _matching(**filters)


def record_get(shown_id: str, *, organization_id: UUID | None = None) -> RequestRecord | None:
    """The record of a request by the id its client saw (`req_…`) or its UUID; None if there is none, or not theirs."""
    key = parse_request_id(shown_id)
    if key is None:
        return None
    rows = RequestRecord.objects.filter(pk=key)
    return (rows if organization_id is None else rows.filter(organization_id=organization_id)).first()


def _matching(**filters: Unpack[Filters]) -> QuerySet[RequestRecord]:
    conditions: dict[str, object] = {}
    if (organization_id := filters.get("organization_id")) is not None:
        conditions["organization_id"] = organization_id
    if (service_ids := filters.get("service_ids")) is not None:
        conditions["service_id__in"] = service_ids
    if (token_id := filters.get("token_id")) is not None:
        conditions["token_id"] = token_id
    # Times become ids, so that months outside the range are not touched.
    if (since := filters.get("since")) is not None:
        conditions["id__gte"] = uuid7_floor(since)
    if (until := filters.get("until")) is not None:
        conditions["id__lt"] = uuid7_floor(until)
    rows = RequestRecord.objects.filter(**conditions)
    if (failed := filters.get("failed")) is not None:
        rows = rows.filter(status__gte=400) if failed else rows.filter(status__lt=400)
    if (status_class := filters.get("status_class")) is not None:
        rows = rows.filter(status__gte=100 * status_class, status__lt=100 * (status_class + 1))
    if error_code := filters.get("error_code"):
        rows = rows.filter(status__gte=400, error_code=error_code)  # the status leads to the index of failures
    if model := filters.get("model"):
        rows = rows.filter(model_asked=model)
    if end_user := filters.get("end_user"):
        rows = rows.filter(end_user=end_user)
    return rows
