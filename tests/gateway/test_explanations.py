"""explain says what the gateway does: the same status and code, for the same reason, of the same call."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from apps.policies.actions.policies import inline_set
from apps.policies.explanation import Asked, Explanation
from apps.policies.models import Budget
from apps.policies.selectors.explain import explain_call, explain_record
from apps.providers.prices.actions import price_set
from apps.services.models import Token
from tests.support.gateway import eventually
from tests.support.tenant import ACTOR, Tenant

CHAT = "/v1/chat/completions"


def call(acme: Tenant, **fields: Any) -> tuple[int, str, str, bytes]:
    """Status, error code, request id and what was sent."""
    body = json.dumps({"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    answer = acme.http().post(CHAT, content=body, headers={"content-type": "application/json"})
    error = answer.json().get("error") if answer.status_code >= 400 else None
    return answer.status_code, error["code"] if error else "", answer.headers["x-request-id"], body


def explained(acme: Tenant, body: bytes, **options: Any) -> Explanation:
    token = Token.objects.select_related("service", "organization").get(pk=acme.token_row.pk)
    sent = json.loads(body)
    return explain_call(
        token,
        Asked(
            endpoint="chat_completions",
            at=now(),
            model=sent["model"],
            address="127.0.0.1",
            end_user=sent.get("user", ""),
            input_bytes=len(body),
            output_tokens=sent.get("max_tokens"),
            **options,
        ),
    )


def rules(**fields: Any) -> Callable[[Tenant], None]:
    def prepare(acme: Tenant) -> None:
        inline_set(layer="service", service=acme.service, fields=fields, actor=ACTOR)

    return prepare


def budget(limit: str) -> Callable[[Tenant], None]:
    def prepare(acme: Tenant) -> None:
        Budget.objects.create(
            organization=acme.organization, scope="organization", window="month", limit_usd=Decimal(limit)
        )
        acme.models["gpt-test"].priced_as = "openai/gpt-4o-mini"
        acme.models["gpt-test"].save()

    return prepare


def priced_by_another_name(acme: Tenant) -> None:
    """What clients call `renamed` is another model at its provider, with a price or without."""
    price_set(
        organization=acme.organization,
        provider="openai_compatible",
        model="renamed",
        prices={"input": Decimal(1), "output": Decimal(1)},
        effective_from=now() - timedelta(days=1),
        actor=ACTOR,
    )
    budget("1")(acme)


@pytest.mark.parametrize(
    ("prepare", "sent", "expected"),
    [
        (rules(requests_per_minute=100, max_output_tokens=50), {"max_tokens": 60}, (200, "")),
        (rules(denied_models=["GPT-*"]), {}, (403, "model_not_allowed")),
        (rules(allowed_models=["o?"]), {}, (403, "model_not_allowed")),
        (rules(denied_models=["gpt-*"]), {"model": "gpt-unknown"}, (404, "model_not_found")),
        (rules(denied_endpoints=["chat_completions"]), {"model": "gpt-unknown"}, (403, "endpoint_not_allowed")),
        (rules(allowed_networks=["10.0.0.0/8"]), {}, (403, "network_not_allowed")),
        (rules(denied_providers=["openai_compatible"]), {}, (403, "provider_not_allowed")),
        (rules(max_input_tokens=1), {}, (400, None)),
        (rules(max_output_tokens=0), {}, (403, "not_allowed")),
        (rules(unpriced="deny"), {}, (403, "model_unpriced")),
        (rules(requests_per_minute=0), {}, (429, "rate_limit_exceeded")),
        (rules(end_user_requests_per_minute=0), {"user": "u1"}, (429, "rate_limit_exceeded")),
        (rules(end_user_requests_per_minute=0), {}, (200, "")),
        (budget("0.000001"), {"max_tokens": 5}, (402, "budget_exceeded")),
        (budget("1"), {"max_tokens": 5}, (200, "")),
        (budget("0.00001"), {"max_tokens": 5}, (402, "budget_exceeded")),
        (priced_by_another_name, {"model": "renamed"}, (403, "model_unpriced")),
    ],
)
def test_a_dry_run_ends_as_the_call_does(
    acme: Tenant, prepare: Callable[[Tenant], None], sent: dict[str, Any], expected: tuple[int, str | None]
) -> None:
    prepare(acme)

    # The gateway hears of a change within a second; what it says then is what was said beforehand.
    def settled() -> tuple[int, str, str, bytes] | None:
        ended = call(acme, **sent)
        return ended if ended[0] == expected[0] and expected[1] in (None, ended[1]) else None

    status, code, shown_id, body = eventually(settled, what=f"an answer of {expected}") or pytest.fail("no answer")
    found = explained(acme, body)

    refusal = found.refusal
    assert (status, code) == (200, "") if refusal is None else (refusal.status, refusal.code) == (status, code)
    if refusal is not None and refusal.question in {"limits", "budgets"}:
        record = explain_record(acme.record(shown_id))
        assert record is not None
        assert [row.refuses for row in (*record.limits, *record.budgets)] == [True]
        assert record.verdict.startswith(f"Ended with {status}")


def test_what_is_left_is_what_the_client_is_told(acme: Tenant) -> None:
    rules(requests_per_minute=5)(acme)

    def limited() -> Any:
        answer = acme.http().post(CHAT, json={"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]})
        return answer if "x-ratelimit-remaining-requests" in answer.headers else None

    answer = eventually(limited, what="an answer under the limit")
    assert answer is not None

    found = explained(acme, b'{"model": "gpt-test"}')
    [limit] = found.limits
    assert str(limit.remaining) == answer.headers["x-ratelimit-remaining-requests"] == "4"
    record = explain_record(acme.record(answer.headers["x-request-id"]))
    assert record is not None
    assert record.limits[0].remaining == 4
    assert record.facts["attempts"] == ("fake provider: 200",)
