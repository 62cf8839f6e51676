"""Amounts of the past come out again to the last digit, whatever happened to the book since; corrections are added to them."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError

from apps.core.actor import Actor
from apps.core.ids import uuid7_floor
from apps.providers.prices.money import usd
from apps.providers.usage import Usage, to_columns
from tests.control.conftest import Run, service
from tests.prices.test_actions import set_price

__all__ = ["service"]

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
Record = Callable[..., Any]


@pytest.fixture
def token(service: Any, actor: Actor) -> Any:
    from apps.services.actions import token_issue

    return token_issue(service=service, name="ci", actor=actor)[0]


@pytest.fixture
def record(token: Any) -> Record:
    """Write a record as the gateway and the flusher do, priced by the book of its time; returns it."""
    from apps.audit.models import RequestRecord
    from apps.providers.prices.selectors import price_book

    made = iter(range(1, 1000))

    def write(
        usage: Usage, *, at: datetime = NOON, model: str = "house-model", provider: str = "openai", **facts: Any
    ) -> Any:
        sheet = price_book(token.service.organization).sheet(provider, model, at.timestamp())
        cost = None if sheet is None else sheet.cost(usage)
        priced = cost is not None and cost.pico is not None
        written = dict(
            id=UUID(int=uuid7_floor(at).int + next(made)),
            created_at=at,
            organization=token.service.organization,
            service=token.service,
            token=token,
            endpoint="chat_completions",
            dialect="openai",
            method="POST",
            path="/v1/chat/completions",
            model_asked=model,
            provider=provider,
            status=200,
            total_us=1,
            cost_usd=Decimal(usd(cost.pico)) if cost and cost.pico is not None else None,
            price_ids=list(cost.price_ids) if cost else [],
            **to_columns(usage),
            flags=[] if priced else ["unpriced"],
        )
        return RequestRecord.objects.create(**(written | facts))

    return write


MANY = [
    Usage(input=1000, output=200),
    Usage(input=1, output=0),
    Usage(input=3, cache_read=5, cache_write_5m=7, cache_write_1h=11, output=13, reasoning=2),
    Usage(input=300_000, output=17, tier="priority"),
    Usage(input=100, output=5, tier="never-heard-of"),
    Usage(input=100, audio_input=5, audio_cache_read=3, image_input=2, image_cache_read=1, output=1, searches=2),
]


def summary(run: Run, *words: str) -> dict[str, Any]:
    ran = run("recompute", "--since=2026-11-01", "--until=2026-11-20", "--json", *words)
    found: dict[str, Any] = json.loads(ran.out.splitlines()[-1])
    return found


class TestChecking:
    def test_every_amount_comes_out_again_after_the_book_has_changed(
        self, run: Run, record: Record, actor: Actor, acme: Any
    ) -> None:
        from apps.providers.models import Price
        from apps.providers.prices.actions import price_withdraw

        recorded = [
            record(usage, model=model) for usage in MANY for model in ("gpt-6-sol", "gpt-6-astra", "gpt-4o-mini")
        ]
        total = sum(row.cost_usd for row in recorded)
        assert all(row.cost_usd is not None for row in recorded)
        set_price(actor, model="gpt-6-sol", prices={"input": Decimal(1)}, effective_from=NOON - timedelta(days=1))
        set_price(actor, organization=acme, model="gpt-6-astra", prices={"input": Decimal(1)})
        for price in Price.objects.filter(model="gpt-4o-mini"):
            price_withdraw(price=price, actor=actor)
        assert summary(run, "--check") == {
            "records": 18,
            "unpriced": 0,
            "recorded_usd": f"{total:.12f}",
            "recomputed_usd": f"{total:.12f}",
            "mismatches": 0,
        }
        assert run("recompute", "--since=2026-11-01", "--check").code == 0

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"cost_usd": Decimal("0.000000000001")}, "another amount"),
            ({"cost_usd": None}, "another amount"),
            ({"price_ids": []}, "names no price"),
            ({"price_ids": [UUID(int=7)]}, "a price that it names is missing"),
            ({"input_tokens": 1001}, "another amount"),
        ],
    )
    def test_a_record_that_does_not_come_out_is_named_and_check_fails(
        self, run: Run, record: Record, facts: dict[str, Any], reason: str
    ) -> None:
        good = record(Usage(input=1000, output=200), model="gpt-4o-mini")
        from apps.audit.models import RequestRecord

        RequestRecord.objects.filter(pk=good.pk).update(**facts)
        ran = run("recompute", "--since=2026-11-01", "--check")
        assert ran.code == 1
        assert good.shown_id in ran.out
        assert reason in ran.out
        assert run("recompute", "--since=2026-11-01").code == 0
        assert run("recompute", "--since=2026-11-11", "--check").code == 0

    def test_unpriced_calls_are_counted_and_refused_ones_are_not(self, run: Run, record: Record) -> None:
        record(Usage(input=5), model="nobody-knows")
        refused = {"flags": [], "cost_usd": None, "price_ids": [], "status": 429}
        record(Usage(), model="gpt-4o-mini", **refused)
        found = summary(run)
        assert (found["records"], found["unpriced"], found["mismatches"]) == (1, 1, 0)

    def test_records_beside_the_time_and_of_others_are_left_out(self, run: Run, record: Record, zeta: Any) -> None:
        record(Usage(input=5), model="gpt-4o-mini")
        assert summary(run, "--org=acme")["records"] == 1
        assert summary(run, "--org=zeta")["records"] == 0
        ran = run("recompute", "--since=2026-11-10T12:00:00.000001Z", "--json")
        assert json.loads(ran.out)["records"] == 0
        ran = run("recompute", "--since=2026-11-01", "--until=2026-11-10T12:00:00Z", "--json")
        assert json.loads(ran.out)["records"] == 0

    @pytest.mark.parametrize(
        "words",
        [
            ("--since=2026-11-10", "--until=2026-11-10"),
            ("--since=never",),
            ("--since=2026-11-01", "--reason=why"),
            ("--since=2026-11-01", "--adjust", "--check", "--reason=why"),
            ("--since=2026-11-01T10:00", "--adjust", "--reason=why"),
            (),
        ],
    )
    def test_wrong_usage_is_told(self, run: Run, words: tuple[str, ...]) -> None:
        assert run("recompute", *words).code == 2


class TestAdjusting:
    def reprice(self, actor: Actor, since: date = date(2026, 11, 1), until: date = date(2026, 11, 20)) -> Any:
        from apps.policies.actions.repricing import records_reprice

        return records_reprice(since=since, until=until, reason="Wrong list price", actor=actor)

    def test_a_corrected_price_adds_adjustments_and_rewrites_nothing(
        self, run: Run, record: Record, actor: Actor, token: Any
    ) -> None:
        from apps.audit.models import Adjustment, RequestRecord

        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        for at in (NOON, NOON + timedelta(hours=1), NOON + timedelta(days=1)):
            record(Usage(input=1000), at=at)
        before = list(RequestRecord.objects.order_by("id").values_list("id", "cost_usd", "price_ids"))
        set_price(actor, effective_from=NOON - timedelta(days=1), prices={"input": Decimal(3)})
        ran = run(
            "recompute", "--since=2026-11-01", "--until=2026-11-20", "--adjust", "--reason=Wrong list price", "--json"
        )
        assert ran.code == 0, ran.err
        assert json.loads(ran.out) == {
            "records": 3,
            "unpriced": 0,
            "adjustments": 2,
            "difference_usd": "0.003000000000",
        }
        found = Adjustment.objects.order_by("at")
        assert [(row.at, row.amount_usd, row.token_id, row.service_id) for row in found] == [
            (NOON, Decimal("0.002"), token.pk, token.service_id),
            (NOON + timedelta(days=1), Decimal("0.001"), token.pk, token.service_id),
        ]
        assert {row.reason for row in found} == {"Repriced: Wrong list price"}
        assert list(RequestRecord.objects.order_by("id").values_list("id", "cost_usd", "price_ids")) == before
        assert run("recompute", "--since=2026-11-01", "--check").code == 0

    def test_a_second_run_adds_nothing_and_a_second_correction_only_the_rest(
        self, record: Record, actor: Actor
    ) -> None:
        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        record(Usage(input=1_000_000))
        set_price(actor, effective_from=NOON - timedelta(days=4), prices={"input": Decimal(3)})
        assert self.reprice(actor).difference == 1
        assert self.reprice(actor).adjustments == 0
        set_price(actor, effective_from=NOON - timedelta(days=3), prices={"input": Decimal(2)})
        assert self.reprice(actor).difference == -1
        assert self.reprice(actor).adjustments == 0

    def test_end_users_and_tags_are_corrected_apart(self, record: Record, actor: Actor) -> None:
        from apps.audit.models import Adjustment

        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        record(Usage(input=1_000_000), end_user="ana", tags=["team=blue"])
        record(Usage(input=1_000_000), end_user="bo")
        set_price(actor, effective_from=NOON - timedelta(days=4), prices={"input": Decimal(3)})
        self.reprice(actor)
        found = Adjustment.objects.order_by("end_user").values_list("end_user", "tags", "amount_usd")
        assert list(found) == [("ana", ["team=blue"], Decimal(1)), ("bo", [], Decimal(1))]
        assert self.reprice(actor).adjustments == 0

    def test_days_are_those_of_the_organizations_time_zone(self, record: Record, actor: Actor, acme: Any) -> None:
        acme.timezone = "Pacific/Auckland"  # 13 hours ahead in November
        acme.save()
        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        record(Usage(input=1_000_000), at=NOON - timedelta(hours=2))  # 23:00 on the 10th over there
        record(Usage(input=1_000_000), at=NOON)  # 01:00 on the 11th
        set_price(actor, effective_from=NOON - timedelta(days=4), prices={"input": Decimal(3)})
        done = self.reprice(actor, date(2026, 11, 11), date(2026, 11, 12))
        assert (done.records, done.difference) == (1, 1)

    def test_a_call_that_was_unpriced_is_charged_once_it_has_a_price(self, record: Record, actor: Actor) -> None:
        record(Usage(input=1_000_000))
        record(Usage(input=1_000_000), model="still-unknown")
        assert self.reprice(actor).unpriced == 2
        set_price(actor, effective_from=NOON - timedelta(days=4), prices={"input": Decimal(3)})
        from apps.providers.actions import model_add

        model_add(organization=None, provider="openai", name="house-model", actor=actor)
        done = self.reprice(actor)
        assert (done.records, done.unpriced, done.difference) == (2, 1, 3)

    def test_a_call_corrected_by_hand_is_left_alone(self, record: Record, actor: Actor, acme: Any) -> None:
        from apps.policies.actions.adjustments import adjustment_record

        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        row = record(Usage(input=1_000_000))
        adjustment_record(organization=acme, amount_usd=Decimal(-2), reason="Goodwill", actor=actor, request=row.pk)
        set_price(actor, effective_from=NOON - timedelta(days=4), prices={"input": Decimal(3)})
        assert self.reprice(actor).records == 0

    def test_a_call_stays_with_the_model_that_it_was_charged_as(self, record: Record, actor: Actor) -> None:
        from apps.providers.actions import model_add

        set_price(actor, effective_from=NOON - timedelta(days=5), prices={"input": Decimal(2)})
        record(Usage(input=1_000_000))
        model_add(organization=None, provider="openai", name="house-model", upstream_name="gpt-4o", actor=actor)
        assert self.reprice(actor).adjustments == 0

    def test_the_use_of_a_hosted_credential_stays_at_the_installations_prices(
        self, record: Record, actor: Actor, acme: Any
    ) -> None:
        set_price(actor, prices={"input": Decimal(1), "output": Decimal(2)}, effective_from=NOON - timedelta(days=1))
        hosted = [{"credential": "house", "status": 200, "hosted": True}]
        record(Usage(input=1_000_000), attempts=hosted)
        record(Usage(input=1_000_000), attempts=[{"credential": "own", "status": 200}])
        gift = {"input": Decimal(0), "output": Decimal(0)}
        set_price(actor, organization=acme, prices=gift, effective_from=NOON - timedelta(days=1))

        assert self.reprice(actor).difference == -1  # of the organization's own account alone

    def test_bad_arguments_change_nothing(self, actor: Actor) -> None:
        from apps.policies.actions.repricing import records_reprice

        for facts in (
            {"reason": " "},
            {"reason": "x" * 281},
            {"since": date(2026, 11, 20)},
        ):
            given = {"since": date(2026, 11, 1), "until": date(2026, 11, 20), "reason": "Wrong"} | facts
            with pytest.raises(ValidationError):
                records_reprice(actor=actor, **given)
