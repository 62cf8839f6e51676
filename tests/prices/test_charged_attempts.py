"""What attempts cost that another one followed is part of a call's amount, and comes out again as the rest does."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.actor import Actor
from apps.providers.prices.money import usd
from apps.providers.usage import Usage
from apps.providers.usage.attempts import charged, usage_facts
from tests.control.conftest import Run, service
from tests.prices.test_actions import set_price
from tests.prices.test_recompute import NOON, Record, record, summary, token

__all__ = ["record", "service", "token"]

pytestmark = pytest.mark.django_db

LAST = Usage(input=1000, output=200)
BEFORE = Usage(input=70, cache_read=5, output=3, searches=2)


def attempt(organization: Any, usage: Usage, *, model: str) -> dict[str, Any]:
    """As the gateway writes it."""
    from apps.providers.prices.selectors import price_book

    sheet = price_book(organization).sheet("openai", model, NOON.timestamp())
    assert sheet is not None
    cost = sheet.cost(usage)
    assert cost.pico is not None
    return {
        "model": model,
        "status": 200,
        "error_code": "content_filter",
        "usage": usage_facts(usage),
        "cost_usd": usd(cost.pico),
        "price_ids": [str(key) for key in cost.price_ids],
    }


@pytest.fixture
def charged_twice(record: Record, acme: Any) -> Any:
    """A record of a call whose first attempt, at another model, was charged as well."""
    from apps.audit.models import RequestRecord

    first = attempt(acme, BEFORE, model="gpt-6-sol")
    made = record(LAST, model="gpt-4o-mini")
    rows = RequestRecord.objects.filter(pk=made.pk)
    rows.update(attempts=[first, {"model": "gpt-4o-mini"}], cost_usd=made.cost_usd + Decimal(first["cost_usd"]))
    return rows.get()


def test_the_amount_of_all_attempts_comes_out_again(run: Run, charged_twice: Any) -> None:
    found = summary(run, "--check")
    assert found["mismatches"] == 0
    assert found["recomputed_usd"] == f"{charged_twice.cost_usd:.12f}"


def test_a_call_of_which_only_an_attempt_before_the_last_cost_anything_comes_out_again(
    run: Run, record: Record, acme: Any
) -> None:
    first = attempt(acme, BEFORE, model="gpt-6-sol")
    record(
        Usage(),
        model="gpt-4o-mini",
        attempts=[first, {"model": "gpt-4o-mini"}],
        cost_usd=Decimal(first["cost_usd"]),
        price_ids=[],
        flags=[],
    )
    assert summary(run, "--check")["mismatches"] == 0


@pytest.mark.parametrize("part", ["usage", "price_ids", "cost_usd"])
def test_an_attempt_that_was_tampered_with_is_found(run: Run, charged_twice: Any, part: str) -> None:
    wrong = {"usage": {"input_tokens": 71}, "price_ids": ["01920000-0000-7000-8000-000000000001"], "cost_usd": None}
    if part == "cost_usd":
        del charged_twice.attempts[0]["cost_usd"]
    else:
        charged_twice.attempts[0][part] = wrong[part]
    charged_twice.save()
    assert summary(run)["mismatches"] == 1


def test_a_corrected_price_of_an_attempt_before_the_last_is_adjusted(
    record: Record, charged_twice: Any, actor: Actor
) -> None:
    from datetime import date

    from apps.policies.actions.repricing import records_reprice

    when = {"since": date(2026, 11, 1), "until": date(2026, 11, 20), "reason": "Wrong list price", "actor": actor}
    assert records_reprice(**when).adjustments == 0
    prices = {"input": Decimal(1000), "cached_input": Decimal(0), "output": Decimal(0), "per_search": Decimal(0)}
    set_price(actor, model="gpt-6-sol", prices=prices, effective_from=NOON - timedelta(days=1))
    done = records_reprice(**when)
    assert done.adjustments == 1
    assert done.difference == Decimal("0.07") - Decimal(charged_twice.attempts[0]["cost_usd"])
    assert records_reprice(**when).adjustments == 0


COUNTS = st.none() | st.integers(0, 10**6)


@given(
    st.builds(Usage, input=COUNTS, output=COUNTS, cache_read=COUNTS, images=COUNTS, tier=st.sampled_from(["", "flex"]))
)
def test_an_attempts_usage_is_read_as_it_was_written(usage: Usage) -> None:
    (found,) = charged([{"usage": usage_facts(usage), "cost_usd": "1", "price_ids": ["a", "b"]}])
    assert found.usage == usage
    assert found.prices == "a,b"
