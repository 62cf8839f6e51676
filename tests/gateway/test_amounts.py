"""The store keeps every amount to its last digit: none, and those that numbers in Lua are no longer written out for."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from apps.policies.counters import keys, scripts
from apps.policies.counters.plan import BudgetRule, Request, request
from apps.policies.counters.scripts import Script
from tests.support import bodies
from tests.support.governed import ask, budget, priced, settled
from tests.support.store import PrivateStore
from tests.support.tenant import Tenant

RUN = "a-run"
CALL = "c" * 32
AMOUNTS = (0, 1, 99_999_999_999_999, 100_000_000_000_001, 999_999_999_999_999)


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateStore]:
    """A store of these tests' own."""
    with PrivateStore(durable=False) as store:
        yield store


@pytest.fixture
def budgets(valkey: PrivateStore) -> Request:
    """A budget of a day and one of rolling days, both built."""
    valkey.flush()
    asked = request("0" * 32, "a" * 32, (), [_rule(1, "day", None), _rule(2, "rolling", 7)], at=20_000 * 86_400.0)
    for each in asked.budgets:
        valkey.client.hset(each.key, mapping={"e": RUN, "w": each.window, "s": 0, "h": 0})
    return asked


def _rule(number: int, window: str, days: int | None) -> BudgetRule:
    return BudgetRule(
        id=UUID(int=number),
        scope="organization",
        subject="-",
        subject_id=None,
        holder="",
        end_user="",
        tag="",
        window=window,
        rolling_days=days,
        timezone="UTC",
        limit_nano=9 * 10**15,
        blocks=True,
    )


def _run(valkey: PrivateStore, script: Script, names: list[str], *args: Any) -> Any:
    client: Any = valkey.client
    return client.eval(script.source, len(names), *names, *map(str, args))


def _admit(valkey: PrivateStore, asked: Request, amount: int) -> None:
    said = _run(valkey, scripts.ADMIT, [*asked.admit_keys], *asked.admit_args, CALL, 10**7, amount, amount, 0, RUN)
    assert said == [1, 0, amount, 0, amount]


def _stand(valkey: PrivateStore, asked: Request) -> list[Any]:
    client: Any = valkey.client
    return [client.hmget(each.key, "s", "h") for each in asked.budgets]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_what_a_call_cost_replaces_what_it_held_to_the_last_digit(
    valkey: PrivateStore, budgets: Request, amount: int
) -> None:
    _admit(valkey, budgets, amount)
    _run(valkey, scripts.SETTLE, [*budgets.settle_keys], *budgets.settle_args, CALL, amount, 0, 0, RUN, 0)
    assert _stand(valkey, budgets) == [[str(amount), "0"]] * 2


@pytest.mark.parametrize("amount", AMOUNTS)
def test_what_a_dead_call_held_comes_back_and_its_cost_is_charged_to_the_last_digit(
    valkey: PrivateStore, budgets: Request, amount: int
) -> None:
    _admit(valkey, budgets, amount)
    where = [keys.LEASE, keys.HOLD, keys.EXPIRED]
    assert _run(valkey, scripts.EXPIRE, where, RUN, 0, CALL, amount) == [CALL]
    assert _stand(valkey, budgets) == [[str(amount), "0"]] * 2


@pytest.mark.parametrize("amount", AMOUNTS)
def test_what_a_released_call_cost_is_charged_to_the_last_digit(
    valkey: PrivateStore, budgets: Request, amount: int
) -> None:
    _admit(valkey, budgets, amount)
    assert _run(valkey, scripts.EXPIRE, [keys.LEASE, keys.HOLD, keys.EXPIRED], RUN, 0, CALL, -1) == [CALL]
    assert _stand(valkey, budgets) == [["0", "0"]] * 2
    assert _run(valkey, scripts.SPEND_EXPIRED, [keys.EXPIRED], CALL, amount, RUN) == 1
    assert _stand(valkey, budgets) == [[str(amount), "0"]] * 2


def test_a_call_that_could_cost_more_than_anybody_can_mean_is_refused_even_where_budgets_only_alert(
    acme: Tenant,
) -> None:
    priced(acme, input=Decimal(1), output=Decimal(1))
    made = budget(acme, "1", action="alert")
    refused = ask(acme, max_tokens=1_000_000_000, n=1001)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "invalid_value"
    assert "1,000,000 USD" in refused.json()["error"]["message"]
    assert ask(acme, max_tokens=1_000_000_000, n=900).status_code == 200
    acme.records(2)
    assert settled(made).spent_usd == Decimal("0.000011")


@pytest.mark.parametrize("count", [1 << 32, (1 << 36) + 1, 1 << 47, 1 << 63])
def test_what_a_provider_counts_beyond_belief_breaks_no_budget(acme: Tenant, count: int) -> None:
    priced(acme, input=Decimal(600), output=Decimal(600))
    made = [budget(acme, "9000000"), budget(acme, "9000000", window="rolling", rolling_days=3)]
    usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": 2 * count}
    acme.upstream.answers(bodies.completion(usage=usage))
    assert ask(acme).status_code == 200
    (record,) = acme.records(1)
    assert record.usage_estimated == (count > 1 << 32)
    assert [settled(each).spent_usd for each in made] == [record.cost_usd] * 2
