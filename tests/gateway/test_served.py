"""What answers tell of who served them, and what a policy hides of it."""

from decimal import Decimal

from tests.support.governed import ask, priced, ruled
from tests.support.tenant import Tenant

TELLING = ("x-tollgate-provider", "x-tollgate-model", "x-tollgate-attempts", "x-tollgate-cost-usd")


def test_an_answer_tells_who_served_it_and_what_it_cost_to_the_last_digit(acme: Tenant) -> None:
    priced(acme)
    answer = ask(acme)
    told = [answer.headers[name] for name in TELLING]
    record = acme.record(answer.headers["x-request-id"])
    assert record.cost_usd is not None
    assert record.cost_usd > 0
    assert told[:3] == ["openai_compatible", "gpt-test", "1"]
    assert Decimal(told[3]) == record.cost_usd


def test_an_answer_without_a_price_tells_no_cost(acme: Tenant) -> None:
    answer = ask(acme)
    assert answer.status_code == 200
    assert "x-tollgate-cost-usd" not in answer.headers


def test_a_policy_may_hide_who_served_and_what_it_cost(acme: Tenant) -> None:
    priced(acme)
    acme.upstream.answers({"choices": []}, headers={"x-request-id": "req-up"})
    ruled(acme, hide_served=True)
    answer = ask(acme)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("x-tollgate")]
    record = acme.record(answer.headers["x-request-id"])
    assert (record.provider, record.upstream_request_id) == ("openai_compatible", "req-up")
