"""Budgets hold exactly: for one caller, for many at once, over processes, and whatever dies."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from apps.audit.models import RequestRecord
from apps.policies.actions.budgets import Subject
from apps.policies.counters.control import holds
from apps.policies.selectors.budgets import budget_states
from tests.support.crowd import Answer, Ask, crowd, statuses
from tests.support.gateway import GatewayProcess
from tests.support.governed import BODY, EACH, ask, budget, priced, settled, spent
from tests.support.provider import HANG
from tests.support.tenant import Tenant


@pytest.fixture(scope="module")
def second(gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    """Another gateway beside the common one, on the same store."""
    with GatewayProcess() as process:
        yield process


def race(tenant: Tenant, second: GatewayProcess, count: int, *, leaves: bool = False, **fields: Any) -> list[Answer]:
    """So many calls at once on two gateways, all recorded."""
    body = {**BODY, **fields}
    before = RequestRecord.objects.filter(organization_id=tenant.organization.pk).count()
    answers = crowd([tenant.gateway.url, second.url], [Ask(body, tenant.token, leaves=leaves)] * count)
    tenant.records(before + count, timeout=20)
    return answers


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
    assert (error["scope"], error["limit"], error["spent"], error["held"]) == (
        "organization",
        "0.0002",
        "0.0002",
        "0.00",
    )
    assert error["resets_at"].endswith("T00:00:00Z")
    assert error["budget_id"] == str(made.pk)
    assert refused.headers["x-request-id"] in error["message"]
    assert len(acme.upstream.requests) == 2
    records = acme.records(3)
    assert [record.cost_usd for record in records] == [EACH, EACH, None]
    assert records[2].error_code == "budget_exceeded"
    (state,) = budget_states([made])
    assert (state.spent_usd, state.held_usd, state.remaining_usd) == (Decimal("0.0002"), 0, 0)


def test_of_500_callers_at_once_on_two_processes_as_many_pass_as_the_budget_pays_for(
    acme: Tenant, second: GatewayProcess
) -> None:
    priced(acme)
    made = budget(acme, "0.01")
    answers = race(acme, second, 500)
    assert statuses(answers) == {200: 100, 402: 400}
    assert all(answer.whole for answer in answers)
    assert spent(acme) == Decimal("0.01") == settled(made).spent_usd
    assert len(acme.upstream.requests) == 100


def test_streams_race_for_a_budget_as_whole_answers_do(acme: Tenant, second: GatewayProcess) -> None:
    priced(acme)
    made = budget(acme, "0.01")
    answers = race(acme, second, 300, stream=True)
    assert statuses(answers) == {200: 100, 402: 200}
    assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers if answer.status == 200)
    assert spent(acme) == Decimal("0.01") == settled(made).spent_usd


def test_calls_that_hold_more_than_they_cost_never_spend_more_than_the_budget(
    acme: Tenant, second: GatewayProcess
) -> None:
    priced(acme, input=Decimal(1), output=Decimal(1))
    made = budget(acme, "0.0011")  # 100 calls of 11 tokens; a call holds some ten times as much
    answered = asked = 0
    for _ in range(3):
        found = statuses(race(acme, second, 100, max_tokens=20))
        assert set(found) <= {200, 402}
        answered, asked = answered + found[200], asked + 100
    assert 3 < answered <= 100
    assert spent(acme) == answered * Decimal("0.000011") == settled(made).spent_usd
    # What they held beyond their cost came back: more pass, one after the other, as long as a hold still fits.
    while ask(acme, max_tokens=20).status_code == 200:
        answered, asked = answered + 1, asked + 1
    acme.records(asked + 1)
    assert 80 < answered <= 100
    assert spent(acme) == answered * Decimal("0.000011") == settled(made).spent_usd


def test_callers_that_leave_in_the_middle_of_a_stream_pay_and_hold_nothing_on(
    acme: Tenant, second: GatewayProcess
) -> None:
    priced(acme)
    made = budget(acme, "0.005")
    acme.upstream.streams("Hel", "lo", HANG, always=True)
    answers = race(acme, second, 200, leaves=True, stream=True)
    assert statuses(answers) == {200: 50, 402: 150}
    assert settled(made).spent_usd == spent(acme) == Decimal("0.005")
    assert holds(acme.organization) == []


def test_every_budget_must_admit_and_a_refusal_by_one_takes_nothing_from_the_others(
    acme: Tenant, second: GatewayProcess
) -> None:
    priced(acme)
    wide = budget(acme, "1")
    service = budget(acme, "1", subject=Subject("service", service=acme.service))
    token = budget(acme, "1", subject=Subject("token", token=acme.token_row))
    anna = budget(acme, "0.003", subject=Subject("end_user", end_user="anna"))
    each = budget(acme, "0.006", subject=Subject("end_user", end_user="*"), window="day")
    tag = budget(acme, "0.005", subject=Subject("tag", tag="team=red"))
    red = {"x-tollgate-tags": "team=red"}
    asks = [Ask({**BODY, "user": "anna"}, acme.token, red)] * 80 + [Ask({**BODY, "user": "bert"}, acme.token)] * 80
    answers = crowd([acme.gateway.url, second.url], asks)
    acme.records(160)
    assert statuses(answers[:80]) == {200: 30, 402: 50}
    assert statuses(answers[80:]) == {200: 60, 402: 20}
    assert {answer.json["error"]["scope"] for answer in answers if answer.status == 402} == {"end_user"}
    assert [settled(made).spent_usd for made in (wide, service, token)] == [90 * EACH] * 3
    assert [settled(made).spent_usd for made in (anna, tag)] == [30 * EACH] * 2
    assert {state.subject: state.spent_usd for state in budget_states([each])} == {"anna": 30 * EACH, "bert": 60 * EACH}
    more = crowd([acme.gateway.url], [Ask({**BODY, "user": "carl"}, acme.token, red)] * 30)
    assert statuses(more) == {200: 20, 402: 10}  # the tag's budget has 0.002 left, carl's 0.006
    assert {answer.json["error"]["scope"] for answer in more if answer.status == 402} == {"tag"}
    acme.records(190)
    assert settled(wide).spent_usd == spent(acme) == 110 * EACH
    assert settled(tag).spent_usd == Decimal("0.005")
    (state,) = [state for state in budget_states([each]) if state.subject == "carl"]
    assert state.spent_usd == 20 * EACH
