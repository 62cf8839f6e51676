"""The console's first page: the last day at a glance, or the first steps while nothing has been asked yet."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.models import RequestRecord
from apps.core.console import may
from apps.core.ids import uuid7_floor

WINDOW = timedelta(hours=24)
MOST = 50_000  # requests looked at, so that the page stays quick however busy the day is; it says when there were more

# One pass over the requests gives groups by hour, model and service; the rest are sums over those.
_FIGURES = """
WITH recent AS MATERIALIZED (
    SELECT date_bin('1 hour', created_at, %(from)s) AS hour, status >= 400 AS failed, model_asked, service_id,
        CASE WHEN status < 400 THEN first_byte_us END AS first_byte_us, created_at, cost_usd,
        flags @> '{unpriced}' AS unpriced,
        COALESCE(input_tokens, 0) + COALESCE(cache_read_tokens, 0) + COALESCE(cache_write_5m_tokens, 0)
        + COALESCE(cache_write_1h_tokens, 0) + COALESCE(output_tokens, 0) AS tokens
    FROM audit_requestrecord WHERE id >= %(since)s ORDER BY id DESC LIMIT %(most)s
), groups AS (
    SELECT hour, model_asked, service_id, count(*) AS requests, count(*) FILTER (WHERE failed) AS failed,
        sum(tokens)::bigint AS tokens, sum(cost_usd) AS cost, count(*) FILTER (WHERE unpriced) AS unpriced,
        min(created_at) AS oldest
    FROM recent GROUP BY hour, model_asked, service_id
), totals AS (
    SELECT COALESCE(sum(requests), 0)::bigint AS requests, COALESCE(sum(failed), 0)::bigint AS failed,
        COALESCE(sum(tokens), 0)::bigint AS tokens, COALESCE(sum(unpriced), 0)::bigint AS unpriced, min(oldest) AS oldest
    FROM groups
), first_byte AS (
    SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_byte_us) AS quantiles FROM recent
), models AS (
    SELECT model_asked AS name, sum(requests)::bigint AS requests, sum(failed)::bigint AS failed,
        sum(tokens)::bigint AS tokens, sum(cost)::text AS cost
    FROM groups WHERE model_asked <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6
), services AS (
    SELECT service_id AS id, sum(requests)::bigint AS requests, sum(failed)::bigint AS failed,
        sum(tokens)::bigint AS tokens, sum(cost)::text AS cost
    FROM groups WHERE service_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6
), hours AS (
    SELECT extract(epoch FROM hour - %(from)s)::int / 3600 AS hour, sum(requests)::bigint AS requests,
        sum(failed)::bigint AS failed
    FROM groups GROUP BY 1
)
SELECT (SELECT to_jsonb(t) FROM totals t), (SELECT to_jsonb(quantiles) FROM first_byte),
    (SELECT jsonb_agg(m) FROM models m), (SELECT jsonb_agg(s) FROM services s), (SELECT jsonb_agg(h) FROM hours h)
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the chart; heights are per cent of the busiest hour."""

    label: str
    requests: int
    failed: int
    height: float
    failed_height: float


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What `admin/index.html` shows of what who asks may see, added to admin's own context. Called by the console's theme."""
    if not may(request, "usage.read"):
        return {
            **context,
            "nothing": _("You belong to no organization here: ask an owner or admin of yours to invite you."),
            "belongs_nowhere": True,
        }
    if not RequestRecord.objects.exists():
        if not may(request, "credentials.write"):
            return {**context, "nothing": _("Nothing has been asked of the gateway yet.")}
        return {**context, "steps": _steps(), "base_url": f"{settings.PUBLIC_URL}/v1"}
    sees_records = may(request, "records.read")
    shown = {"figures": figures(now()), "sees_records": sees_records}
    return {**context, **shown, "refusals": refusals() if sees_records else []}


def figures(until: datetime) -> dict[str, Any]:
    """The day that ends at `until`: totals, times to first byte in microseconds, models, services, and a bar per hour."""
    since = until - WINDOW
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")  # otherwise what is looked at goes through temporary files
        cursor.execute(_FIGURES, {"since": uuid7_floor(since), "most": MOST, "from": since})
        row = cursor.fetchone()
    totals, first_byte, models, services, hours = (json.loads(found or "null") for found in row or ())
    p50, p95 = first_byte or (None, None)
    return {
        **totals,
        "failed_percent": 100 * totals["failed"] / totals["requests"] if totals["requests"] else 0,
        "p50_us": p50,
        "p95_us": p95,
        "models": _with_costs(models or []),
        "services": _with_names(_with_costs(services or [])),
        "bars": _bars(hours or [], since),
        "cut_off": datetime.fromisoformat(totals["oldest"]) if totals["requests"] == MOST else None,
    }


def refusals() -> list[RequestRecord]:
    """The latest requests that did not succeed."""
    return list(RequestRecord.objects.filter(status__gte=400).select_related("service")[:8])


def _with_costs(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Money comes as text: a JSON number would be read as a float."""
    return [{**group, "cost": None if group["cost"] is None else Decimal(group["cost"])} for group in groups]


def _with_names(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    service_model = apps.get_model("services", "Service")
    found = {str(row.pk): row for row in service_model.objects.filter(pk__in=[entry["id"] for entry in services])}
    return [{**entry, "name": str(found.get(entry["id"], entry["id"]))} for entry in services]


def _bars(hours: list[dict[str, Any]], since: datetime) -> list[Bar]:
    # A request may be a moment younger than the window's end, or older than its start by its gateway's clock.
    by_hour: dict[int, tuple[int, int]] = {}
    for entry in hours:
        hour = min(max(entry["hour"], 0), 23)
        before = by_hour.get(hour, (0, 0))
        by_hour[hour] = (before[0] + entry["requests"], before[1] + entry["failed"])
    busiest = max((requests for requests, _failed in by_hour.values()), default=0) or 1
    return [
        Bar(
            label=f"{since + timedelta(hours=hour):%H:%M}",
            requests=requests,
            failed=failed,
            height=100 * requests / busiest,
            failed_height=100 * failed / requests if requests else 0,
        )
        for hour in range(24)
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
