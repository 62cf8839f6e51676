"""Money spent in the past: records and the quarter hours that the flusher keeps with them, written straight into PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import connection

from apps.audit.models import RequestRecord
from apps.core.actor import Actor
from apps.core.ids import uuid7
from apps.orgs.actions import organization_create
from apps.orgs.models import Organization
from apps.services.actions import service_create, token_issue
from apps.services.models import Service, Token

ACTOR = Actor(door="api", label="ana@acme.test", address="192.0.2.7")


def an_organization(timezone: str = "UTC") -> Organization:
    """An organization that no other test has."""
    name = f"org-{uuid4().hex[:12]}"
    organization = organization_create(name=name, slug=name, actor=ACTOR)
    Organization.objects.filter(pk=organization.pk).update(timezone=timezone)
    organization.timezone = timezone
    return organization


def a_service(organization: Organization) -> Service:
    """Another service of the organization."""
    return service_create(organization=organization, name=f"service-{uuid4().hex[:12]}", actor=ACTOR)


def a_token(service: Service) -> Token:
    """Another token of the service."""
    return token_issue(service=service, name=f"token-{uuid4().hex[:12]}", actor=ACTOR)[0]


def spend(token: Token, usd: str | None, at: datetime, *, end_user: str = "", tags: Sequence[str] = ()) -> UUID:
    """One recorded call of this cost; `usd` None: nothing to pay. Returns the request's id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_ensure_partitions(%s::date, %s::date)", [at, at])
    record = RequestRecord.objects.create(
        id=uuid7(int(at.timestamp() * 1000)),
        created_at=at,
        organization_id=token.organization_id,
        service_id=token.service_id,
        token_id=token.pk,
        endpoint="chat",
        dialect="openai",
        method="POST",
        path="/v1/chat/completions",
        status=200,
        total_us=1000,
        end_user=end_user,
        tags=list(tags),
        cost_usd=None if usd is None else Decimal(usd),
    )
    if usd is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO audit_spend AS s (organization_id, service_id, token_id, at, requests, cost_usd)
                VALUES (%s, %s, %s, date_bin('15 minutes', %s, 'epoch'), 1, %s)
                ON CONFLICT (token_id, at)
                DO UPDATE SET requests = s.requests + 1, cost_usd = s.cost_usd + excluded.cost_usd
                """,
                [token.organization_id, token.service_id, token.pk, at, Decimal(usd)],
            )
    return record.pk
