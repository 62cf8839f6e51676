"""The console's first page: the last day at a glance, or the first steps while nothing has been asked yet."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils.timezone import now

from apps.audit.models import RequestRecord
from apps.core.ids import uuid7_floor

WINDOW = timedelta(hours=24)
MOST = 100_000  # requests looked at, so that the page stays quick however busy the day is; it says when there were more

_FIGURES = """
WITH recent AS MATERIALIZED (
    SELECT created_at, status, model_asked, service_id, first_byte_us,
        COALESCE(input_tokens, 0) + COALESCE(cache_read_tokens, 0) + COALESCE(cache_write_5m_tokens, 0)
        + COALESCE(cache_write_1h_tokens, 0) + COALESCE(output_tokens, 0) AS tokens
    FROM audit_requestrecord WHERE id >= %(since)s ORDER BY id DESC LIMIT %(most)s
), totals AS (
    SELECT count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS failed, sum(tokens)::bigint AS tokens,
        min(created_at) AS oldest,
        percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_byte_us)
            FILTER (WHERE status < 400 AND first_byte_us IS NOT NULL) AS first_byte
    FROM recent
), models AS (
    SELECT model_asked AS name, count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS failed,
        sum(tokens)::bigint AS tokens
    FROM recent WHERE model_asked <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6
), services AS (
    SELECT service_id AS id, count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS failed,
        sum(tokens)::bigint AS tokens
    FROM recent WHERE service_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6
), hours AS (
    SELECT width_bucket(extract(epoch FROM created_at), extract(epoch FROM %(from)s::timestamptz),
            extract(epoch FROM %(until)s::timestamptz), 24) AS hour,
        count(*) AS requests, count(*) FILTER (WHERE status >= 400) AS failed
    FROM recent GROUP BY 1
)
SELECT (SELECT to_jsonb(t) FROM totals t), (SELECT jsonb_agg(m) FROM models m), (SELECT jsonb_agg(s) FROM services s),
    (SELECT jsonb_agg(h) FROM hours h)
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the chart; heights are per cent of the busiest hour."""

    label: str
    requests: int
    failed: int
    height: float
    failed_height: float


def dashboard(_request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What `admin/index.html` shows, added to admin's own context. Called by the console's theme."""
    if not RequestRecord.objects.exists():
        return {**context, "steps": _steps(), "base_url": f"{settings.PUBLIC_URL}/v1"}
    return {**context, "figures": figures(now()), "refusals": refusals()}


def figures(until: datetime) -> dict[str, Any]:
    """The day that ends at `until`: totals, times to first byte in microseconds, models, services, and a bar per hour."""
    since = until - WINDOW
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, {"since": uuid7_floor(since), "most": MOST, "from": since, "until": until})
        totals, models, services, hours = (
            json.loads(found) if isinstance(found, str) else found for found in cursor.fetchone()
        )
    p50, p95 = totals["first_byte"] or (None, None)
    named = _with_names(services or [])
    return {
        **totals,
        "failed_percent": 100 * totals["failed"] / totals["requests"] if totals["requests"] else 0,
        "tokens": totals["tokens"] or 0,
        "p50_us": p50,
        "p95_us": p95,
        "models": models or [],
        "services": named,
        "bars": _bars(hours or [], since),
        "cut_off": datetime.fromisoformat(totals["oldest"]) if totals["requests"] == MOST else None,
        "most": MOST,
    }


def refusals() -> list[RequestRecord]:
    """The latest requests that did not succeed."""
    return list(RequestRecord.objects.filter(status__gte=400).select_related("service")[:8])


def _with_names(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    service_model = apps.get_model("services", "Service")
    found = {str(row.pk): row for row in service_model.objects.filter(pk__in=[entry["id"] for entry in services])}
    return [{**entry, "name": str(found.get(entry["id"], entry["id"]))} for entry in services]


def _bars(hours: list[dict[str, Any]], since: datetime) -> list[Bar]:
    # The newest request may lie a moment beyond the window's end, in bucket 25, and an old clock's before it, in bucket 0.
    by_hour: dict[int, tuple[int, int]] = {}
    for entry in hours:
        hour = min(max(entry["hour"], 1), 24)
        before = by_hour.get(hour, (0, 0))
        by_hour[hour] = (before[0] + entry["requests"], before[1] + entry["failed"])
    busiest = max((requests for requests, _failed in by_hour.values()), default=0) or 1
    return [
        Bar(
            label=f"{since + timedelta(hours=hour - 1):%H:%M}",
            requests=requests,
            failed=failed,
            height=100 * requests / busiest,
            failed_height=100 * failed / requests if requests else 0,
        )
        for hour in range(1, 25)
        for requests, failed in [by_hour.get(hour, (0, 0))]
    ]


def _steps() -> dict[str, Any]:
    """Which of the first steps are done, and the words that their commands need."""
    credentials = apps.get_model("providers", "Credential").objects
    service = apps.get_model("services", "Service").objects.order_by("id").select_related("organization").first()
    organization = apps.get_model("orgs", "Organization").objects.order_by("id").first()
    slug = (
        service.organization.slug if service is not None else organization.slug if organization is not None else "acme"
    )
    return {
        "credential": credentials.filter(enabled=True).exists(),
        "sandbox_only": not credentials.filter(enabled=True).exclude(provider="sandbox").exists(),
        "service": service is not None,
        "token": apps.get_model("services", "Token").objects.filter(revoked_at=None).exists(),
        "slug": slug,
        "service_name": service.name if service is not None else "my-app",
    }
