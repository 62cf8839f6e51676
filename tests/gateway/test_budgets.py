"""Budgets hold exactly: for one caller, for many at once, over processes, and whatever dies."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apps.audit.models import RequestRecord
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.models import Budget
from apps.policies.selectors.budgets import budget_states
from apps.providers.prices.actions import price_set
from tests.support.gateway import GatewayProcess, eventually
from tests.support.tenant import ACTOR, Tenant

# Every call costs 0.0001 USD, and holds as much: what it costs does not depend on its tokens.
PRICE = Decimal(100)
EACH = Decimal("0.0001")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BODY = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}


def priced(tenant: Tenant, **prices: Decimal) -> None:
    price_set(
        organization=tenant.organization,
        provider="openai_compatible",
        model="gpt-test",
        prices=prices or {"input": Decimal(0), "output": Decimal(0), "per_request": PRICE},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )


def budget(tenant: Tenant, usd: str, **options: Any) -> Budget:
    options = {"subject": Subject("organization"), "window": "month", **options}
    return budget_create(organization=tenant.organization, limit_usd=Decimal(usd), actor=ACTOR, **options)


def spent(tenant: Tenant) -> Decimal:
    rows = RequestRecord.objects.filter(organization_id=tenant.organization.pk)
    return sum((row.cost_usd or Decimal(0) for row in rows), Decimal(0))


def ask(tenant: Tenant, **fields: Any) -> httpx.Response:
    return tenant.http().post("/v1/chat/completions", json={**BODY, **fields})


def test_a_call_that_fits_passes_and_one_that_does_not_is_told_why(acme: Tenant) -> None:
    priced(acme)
    made = budget(acme, "0.0002")
    assert [ask(acme).status_code for _ in range(2)] == [200, 200]
    refused = ask(acme)
    assert refused.status_code == 402
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert (error["scope"], error["limit"], error["spent"], error["held"]) == ("organization", "0.0002", "0.0002", "0.00")
    assert error["resets_at"].endswith("T00:00:00Z")
    assert error["budget_id"] == str(made.pk)
    assert refused.headers["x-request-id"] in error["message"]
    assert len(acme.upstream.requests) == 2
    records = acme.records(3)
    assert [record.cost_usd for record in records] == [EACH, EACH, None]
    assert records[2].error_code == "budget_exceeded"
    (state,) = budget_states([made])
    assert (state.spent_usd, state.held_usd, state.remaining_usd) == (Decimal("0.0002"), 0, 0)


def test_many_clients_on_two_processes_spend_no_more_than_the_budget(acme: Tenant) -> None:
    priced(acme)
    budget(acme, "0.01")
    with GatewayProcess() as second:
        urls = [acme.gateway.url, second.url]
        start = threading.Barrier(100)

        def call(number: int) -> int:
            with httpx.Client(headers={"authorization": f"Bearer {acme.token}"}, timeout=60) as client:
                start.wait()
                return client.post(f"{urls[number % 2]}/v1/chat/completions", json=BODY).status_code

        with ThreadPoolExecutor(100) as threads:
            statuses = Counter(threads.map(call, range(300)))
        eventually(lambda: len(acme.records(300)) == 300, timeout=10, what="all records")
    assert statuses == {200: 100, 402: 200}
    assert spent(acme) == Decimal("0.01")
