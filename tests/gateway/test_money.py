"""What a call cost stands in its record, to the last digit, whatever became of the call; and by which prices."""

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.audit.models import RequestRecord
from apps.providers.models import Price
from apps.providers.prices.actions import price_set
from tests.support import bodies
from tests.support.gateway import eventually
from tests.support.governed import BODY, LONG_AGO, ask, budget, ruled, settled, spent
from tests.support.provider import CLOSE, HANG
from tests.support.tenant import ACTOR, Tenant

IN, CACHED, OUT = Decimal("2.50"), Decimal("1.25"), Decimal("10.01")  # USD per million
MILLION = Decimal(1_000_000)
USAGE = {"prompt_tokens": 1003, "completion_tokens": 207, "total_tokens": 1210}
COST = (1003 * IN + 207 * OUT) / MILLION


def price(acme: Tenant, model: str = "gpt-test", *, own: bool = True, **options: Any) -> Price:
    prices = options.pop("prices", {"input": IN, "cached_input": CACHED, "output": OUT})
    options = {"provider": "openai_compatible", "effective_from": LONG_AGO, **options}
    organization = acme.organization if own else None
    return price_set(organization=organization, model=model, prices=prices, actor=ACTOR, **options)


def record(acme: Tenant, **fields: Any) -> RequestRecord:
    answer = ask(acme, **fields)
    return acme.record(answer.headers["x-request-id"])


def test_a_whole_answer_costs_what_it_says_it_used(acme: Tenant) -> None:
    row = price(acme)
    acme.upstream.answers(bodies.completion(usage=USAGE))
    found = record(acme)
    assert (found.cost_usd, found.price_ids, found.flags) == (COST, [row.pk], [])
    assert not found.usage_estimated


def test_cached_tokens_cost_their_own_price_and_reasoning_is_output(acme: Tenant) -> None:
    price(acme)
    details = {"prompt_tokens_details": {"cached_tokens": 1000}, "completion_tokens_details": {"reasoning_tokens": 200}}
    acme.upstream.answers(bodies.completion(usage={**USAGE, **details}))
    assert record(acme).cost_usd == (3 * IN + 1000 * CACHED + 207 * OUT) / MILLION


def test_a_stream_costs_the_same_whether_or_not_the_client_wants_to_see_its_usage(acme: Tenant) -> None:
    price(acme)
    for options in ({}, {"stream_options": {"include_usage": True}}):
        acme.upstream.streams("Hel", "lo", usage=USAGE)
        found = record(acme, stream=True, **options)
        assert (found.cost_usd, found.usage_estimated) == (COST, False)


def test_a_stream_whose_provider_tells_no_usage_costs_an_estimate_that_is_marked(acme: Tenant) -> None:
    price(acme)
    acme.upstream.streams("x" * 400, "y" * 400, usage=None)
    found = record(acme, stream=True)
    assert found.usage_estimated
    assert 200 <= found.output_tokens <= 205
    assert found.cost_usd == (found.input_tokens * IN + found.output_tokens * OUT) / MILLION


def test_a_stream_that_the_client_leaves_costs_what_has_passed(acme: Tenant) -> None:
    price(acme)
    acme.upstream.streams("x" * 400, HANG)
    with acme.http().stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as reply:
        next(reply.iter_lines())
    found = acme.record(reply.headers["x-request-id"])
    assert (found.status, found.usage_estimated, found.output_tokens) == (499, True, 100)
    assert found.cost_usd == (found.input_tokens * IN + 100 * OUT) / MILLION


def test_a_stream_that_the_provider_breaks_off_costs_what_has_passed(acme: Tenant) -> None:
    price(acme)
    acme.upstream.streams("x" * 400, CLOSE)
    found = record(acme, stream=True)
    assert (found.error_code, found.usage_estimated, found.output_tokens) == ("upstream_disconnected", True, 100)
    assert found.cost_usd == (found.input_tokens * IN + 100 * OUT) / MILLION


def test_a_call_that_the_provider_refuses_costs_nothing(acme: Tenant) -> None:
    price(acme)
    made = budget(acme, "1")
    acme.upstream.fails(500)
    acme.upstream.fails(429)
    for status in (500, 429):
        found = record(acme)
        assert (found.status, found.cost_usd, found.price_ids) == (status, None, [])
    assert settled(made).spent_usd == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_answer_that_is_nothing_but_an_error_costs_nothing_whatever_its_status(acme: Tenant, path: str) -> None:
    price(acme)
    made = budget(acme, "5")
    acme.upstream.answers({"error": {"message": "Too many " * 500, "code": 429}})
    answer = acme.http().post(path, json={**BODY, "max_tokens": 50})
    found = acme.record(answer.headers["x-request-id"])
    assert (found.cost_usd, found.input_tokens, found.output_tokens) == (None, None, None)
    assert settled(made).spent_usd == 0


def test_the_tier_that_was_served_is_the_one_that_is_paid(acme: Tenant) -> None:
    standard = price(acme)
    flex = price(acme, tier="flex", prices={"input": IN / 2, "output": OUT / 2})
    acme.upstream.answers({**bodies.completion(usage=USAGE), "service_tier": "flex"})
    found = record(acme, service_tier="auto")
    assert found.cost_usd == COST / 2
    assert set(found.price_ids) <= {flex.pk, standard.pk}
    assert flex.pk in found.price_ids
    # One that nobody has a price for is paid as the standard one, and said so.
    acme.upstream.answers({**bodies.completion(usage=USAGE), "service_tier": "scale"})
    found = record(acme)
    assert (found.cost_usd, found.flags) == (COST, ["unknown_tier"])


def test_a_price_holds_from_its_moment_on(acme: Tenant) -> None:
    now = price(acme)
    moment = datetime.now(UTC) + timedelta(seconds=1.5)
    later = price(acme, effective_from=moment, prices={"input": 2 * IN, "output": 2 * OUT})
    acme.upstream.answers(bodies.completion(usage=USAGE), always=True)
    shown = []
    while time.time() < moment.timestamp() + 0.3:
        shown.append(ask(acme).headers["x-request-id"])
        threading.Event().wait(0.05)
    found = [acme.record(each) for each in shown]
    assert {each.cost_usd for each in found} == {COST, 2 * COST}
    for each in found:
        expected = (2 * COST, [later.pk]) if each.created_at >= moment else (COST, [now.pk])
        assert (each.cost_usd, each.price_ids) == expected


def test_an_organizations_own_price_goes_before_that_of_all(acme: Tenant) -> None:
    model = f"house-{acme.organization.pk.hex}"
    acme.add_model(model)
    of_all = price(acme, model, own=False)
    acme.upstream.answers(bodies.completion(usage=USAGE), always=True)
    found = record(acme, model=model)
    assert (found.cost_usd, found.price_ids) == (COST, [of_all.pk])
    own = price(acme, model, prices={"input": IN, "output": OUT * 3})
    changed = eventually(lambda: (each := record(acme, model=model)).price_ids == [own.pk] and each, timeout=2)
    assert changed.cost_usd == (1003 * IN + 207 * OUT * 3) / MILLION


def test_a_model_is_priced_as_another_where_it_says_so(acme: Tenant) -> None:
    row = price(acme, "list-name")
    acme.add_model("our-name", upstream_name="what/ever", priced_as="list-name")
    acme.upstream.answers(bodies.completion(usage=USAGE))
    found = record(acme, model="our-name")
    assert (found.cost_usd, found.price_ids) == (COST, [row.pk])


def test_an_azure_deployment_of_any_name_is_priced_as_its_model(acme: Tenant) -> None:
    acme.add_route("gpt-4o", acme.upstream.url, provider="azure_openai", api_version="", upstream_name="our-prod")
    row = price(acme, "gpt-4o", provider="azure_openai")
    acme.upstream.answers(bodies.completion(usage=USAGE, model="gpt-4o-2024-08-06"))
    found = record(acme, model="gpt-4o")
    assert (found.cost_usd, found.price_ids) == (COST, [row.pk])


def test_what_a_budget_counts_is_the_records_cost_rounded_up_to_nano_usd(acme: Tenant) -> None:
    price(acme, prices={"input": Decimal("0.000001"), "output": Decimal("0.000001")})
    made = budget(acme, "1")
    acme.upstream.answers(bodies.completion(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}))
    found = record(acme)
    assert found.cost_usd == Decimal("0.000000000002")
    assert settled(made).spent_usd == Decimal("0.000000001")


@pytest.mark.parametrize("estimate", ["worst_case", "typical"])
def test_what_calls_usually_cost_lets_more_of_them_run_until_the_limit_is_near(acme: Tenant, estimate: str) -> None:
    price(acme, prices={"input": Decimal(0), "output": Decimal(10)})
    ruled(acme, hold_estimate=estimate)
    made = budget(acme, "0.2")  # a call costs 0.0001, and could cost 0.01
    usage = {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 15}
    acme.upstream.answers(bodies.completion(usage=usage), always=True)
    assert [ask(acme, max_tokens=1000).status_code for _ in range(25)] == [200] * 25
    assert settled(made).spent_usd == Decimal("0.0025")
    gate = threading.Event()
    acme.upstream.streams("x", gate, usage=usage, always=True)
    running, threads = [], []

    def call() -> None:
        running.append(ask(acme, max_tokens=1000, stream=True).status_code)

    for _ in range(30):
        threads.append(threading.Thread(target=call))
        threads[-1].start()
    passed = 30 if estimate == "typical" else 19  # 0.1975 is left: nineteen times the worst
    eventually(lambda: len(acme.upstream.requests) - 25 == passed and len(running) == 30 - passed)
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(running) == [200] * passed + [402] * (30 - passed)
    # Where little is left the worst counts again: what is spent stays below the limit whatever they cost.
    acme.upstream.answers(
        bodies.completion(usage={**usage, "completion_tokens": 1000, "total_tokens": 1005}), always=True
    )
    while ask(acme, max_tokens=1000).status_code == 200:
        pass
    assert Decimal("0.18") <= settled(made).spent_usd <= Decimal("0.2")
    eventually(lambda: spent(acme) == settled(made).spent_usd)
