"""A tenant whose calls have a price and a budget, and what they have cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import httpx
from django.core.management import call_command
from django.db.models import Sum

from apps.audit.models import RequestRecord
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.policies import inline_set
from apps.policies.models import Budget
from apps.policies.selectors.budgets import BudgetState, budget_states
from apps.providers.prices.actions import price_set
from tests.support.gateway import GatewayProcess, eventually
from tests.support.tenant import ACTOR, Tenant

# Every call costs 0.0001 USD, and holds as much: what it costs does not depend on its tokens.
PRICE = Decimal(100)
EACH = Decimal("0.0001")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BODY = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


def priced(tenant: Tenant, model: str = "gpt-test", **prices: Decimal) -> None:
    """The model's prices, USD per million; without any, EACH a call."""
    price_set(
        organization=tenant.organization,
        provider="openai_compatible",
        model=model,
        prices=prices or {"input": Decimal(0), "output": Decimal(0), "per_request": PRICE},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )


def budget(tenant: Tenant, usd: str, **options: Any) -> Budget:
    """A budget of the organization and this month, unless `options` say otherwise."""
    options = {"subject": Subject("organization"), "window": "month", **options}
    return budget_create(organization=tenant.organization, limit_usd=Decimal(usd), actor=ACTOR, **options)


def ruled(tenant: Tenant, layer: str = "token", **fields: Any) -> None:
    """Rules of the tenant's token, service or organization."""
    place: dict[str, Any] = {"token": tenant.token_row, "service": tenant.service, "organization": tenant.organization}
    inline_set(layer=layer, fields=fields, actor=ACTOR, **{layer: place[layer]})


def spent(tenant: Tenant) -> Decimal:
    """What all its records come to, in USD."""
    rows = RequestRecord.objects.filter(organization_id=tenant.organization.pk)
    return rows.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


def check_amounts(tenant: Tenant) -> None:
    """What its records say they cost is what comes out when it is computed again. Raises SystemExit."""
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    out = StringIO()
    call_command("recompute", "--org", tenant.organization.slug, "--since", since, "--check", stdout=out, stderr=out)


def settled(made: Budget, *, timeout: float = 10) -> BudgetState:
    """How a budget stands once nothing is held any more. Raises AssertionError after `timeout` seconds."""

    def look() -> BudgetState | None:
        (state,) = budget_states([made])
        return state if state.held_usd == 0 and state.source == "counters" else None

    found = eventually(look, timeout=timeout, what="an end of all holds")
    assert found is not None
    return found


def ask(tenant: Tenant, *, gateway: GatewayProcess | None = None, **fields: Any) -> httpx.Response:
    """One call."""
    with httpx.Client(base_url=(gateway or tenant.gateway).url, timeout=20) as client:
        headers = {"authorization": f"Bearer {tenant.token}"}
        return client.post("/v1/chat/completions", json={**BODY, **fields}, headers=headers)
