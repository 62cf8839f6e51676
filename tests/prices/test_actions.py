"""Writing the price book: rules, seeds, events, races, and what the database itself refuses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import Error, transaction
from django.utils.timezone import now

from apps.core.actor import Actor
from apps.providers.prices.seed import seed_rows
from apps.providers.usage import Usage

pytestmark = pytest.mark.django_db

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
MILLION = Usage(input=1_000_000)


def set_price(actor: Actor, **facts: Any) -> Any:
    from apps.providers.prices.actions import price_set

    given = {
        "organization": None,
        "provider": "openai",
        "model": "house-model",
        "prices": {"input": Decimal(2), "output": Decimal(8)},
        "effective_from": JUNE,
    }
    return price_set(actor=actor, **(given | facts))


def usd_per_million(organization: Any = None, model: str = "house-model", at: datetime | None = None) -> int | None:
    """What a million input tokens cost, in USD; None: unpriced."""
    from apps.providers.prices.selectors import price_book

    sheet = price_book(organization).sheet("openai", model, (at or now()).timestamp())
    if sheet is None:
        return None
    cost = sheet.cost(MILLION).pico
    assert cost is not None
    assert cost % 10**12 == 0
    return cost // 10**12


class TestSetting:
    def test_a_price_applies_from_its_time_on_and_not_before(self, actor: Actor) -> None:
        set_price(actor)
        set_price(actor, effective_from=JULY, prices={"input": Decimal(3)})
        assert usd_per_million(at=JUNE - timedelta(seconds=1)) is None
        assert usd_per_million(at=JUNE) == 2
        assert usd_per_million(at=JULY - timedelta(microseconds=1)) == 2
        assert usd_per_million(at=JULY) == 3

    def test_an_organizations_own_price_is_its_own_alone(self, actor: Actor, acme: Any, zeta: Any) -> None:
        set_price(actor)
        set_price(actor, organization=acme, prices={"input": Decimal(1)})
        assert (usd_per_million(acme), usd_per_million(zeta), usd_per_million()) == (1, 2, 2)

    def test_setting_and_withdrawing_leave_events(self, actor: Actor, acme: Any) -> None:
        from apps.audit.models import AdminEvent
        from apps.providers.prices.actions import price_withdraw

        price = set_price(actor, organization=acme)
        assert price_withdraw(price=price, actor=actor)
        assert not price_withdraw(price=price, actor=actor)
        events = AdminEvent.objects.filter(target_id=price.pk).order_by("id")
        assert [(event.action, event.organization_id) for event in events] == [
            ("price.set", acme.pk),
            ("price.withdrawn", acme.pk),
        ]
        assert events[0].after is not None
        assert events[0].after["input"] == "2"
        assert usd_per_million(acme) is None

    def test_a_second_price_from_the_same_time_needs_replace(self, actor: Actor) -> None:
        from apps.providers.models import Price

        set_price(actor)
        with pytest.raises(ValidationError, match="withdraw it first"):
            set_price(actor, prices={"input": Decimal(3)})
        set_price(actor, prices={"input": Decimal(3)}, replace=True)
        assert usd_per_million() == 3
        assert Price.objects.filter(model="house-model").count() == 2

    def test_a_tier_needs_a_standard_price_first(self, actor: Actor) -> None:
        with pytest.raises(ValidationError, match="standard price first"):
            set_price(actor, tier="batch")
        set_price(actor)
        set_price(actor, tier="batch")
        with pytest.raises(ValidationError, match="standard price first"):
            set_price(actor, above_input_tokens=1000, effective_from=JUNE - timedelta(days=1))

    @pytest.mark.parametrize(
        ("facts", "field"),
        [
            ({"prices": {"input": Decimal(-1)}}, "input"),
            ({"prices": {"input": Decimal("NaN")}}, "input"),
            ({"prices": {"output": Decimal("Infinity")}}, "output"),
            ({"prices": {"input": Decimal("0.0000001")}}, "input"),
            ({"prices": {"input": Decimal("1000000000.01")}}, "input"),
            ({"prices": {"input": Decimal("1E+30")}}, "input"),
            ({"prices": {"input": Decimal("1E-30")}}, "input"),
            ({"prices": {}}, "__all__"),
            ({"tier": "express"}, "tier"),
            ({"model": "two words"}, "model"),
            ({"provider": "Open AI"}, "provider"),
            ({"source": "x" * 301}, "source"),
        ],
    )
    def test_bad_input_is_refused_by_field_and_nothing_is_saved(
        self, actor: Actor, facts: dict[str, Any], field: str
    ) -> None:
        from apps.audit.models import AdminEvent
        from apps.providers.models import Price

        before = (Price.objects.count(), AdminEvent.objects.count())
        set_at_once = {"tier": "", **facts}
        with pytest.raises(ValidationError) as refused:
            if set_at_once["tier"]:  # so that the tier is what is refused
                set_price(actor)
            set_price(actor, **set_at_once)
        assert field in refused.value.message_dict
        if not set_at_once["tier"]:
            assert (Price.objects.count(), AdminEvent.objects.count()) == before

    def test_a_model_can_be_priced_as_another_one_of_the_book(self, actor: Actor, acme: Any) -> None:
        from apps.providers.actions import model_add, model_update

        for name, as_what in (("fast", "gpt-4o-mini"), ("fast-2", "openai/gpt-4o-mini")):
            model = model_add(organization=acme, provider="azure_openai", name=name, priced_as=as_what, actor=actor)
            assert model.priced_as == as_what
        with pytest.raises(ValidationError) as refused:
            model_update(model=model, priced_as="openai/gpt-4o-mimi", actor=actor)
        assert "priced_as" in refused.value.message_dict
        model_update(model=model, priced_as="", actor=actor)


class TestTheTable:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE providers_price SET input = 1 WHERE model = 'house-model'",
            "UPDATE providers_price SET model = 'other' WHERE model = 'house-model'",
            "UPDATE providers_price SET withdrawn_at = now(), input = 1 WHERE model = 'house-model'",
            "DELETE FROM providers_price WHERE model = 'house-model'",
        ],
    )
    def test_rows_are_append_only_whoever_asks(self, actor: Actor, statement: str) -> None:
        from django.db import connection

        set_price(actor)
        with pytest.raises(Error, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
        assert usd_per_million() == 2

    def test_a_withdrawn_row_cannot_come_back(self, actor: Actor) -> None:
        from apps.providers.models import Price
        from apps.providers.prices.actions import price_withdraw

        price = set_price(actor)
        price_withdraw(price=price, actor=actor)
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            Price.objects.filter(pk=price.pk).update(withdrawn_at=None)

    @pytest.mark.parametrize("value", ["'NaN'", "-0.000001", "1000000001"])
    def test_no_statement_stores_what_is_no_price(self, actor: Actor, value: str) -> None:
        from django.db import connection

        with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO providers_price (id, provider, model, tier, above_input_tokens, effective_from, input, source, note,"
                f" shipped, created_at) VALUES (gen_random_uuid(), 'openai', 'x', '', 0, now(), {value}, '', '', false, now())"
            )

    def test_every_change_is_noted_for_the_gateways(self, actor: Actor) -> None:
        from apps.core.models import Change
        from apps.providers.prices.actions import price_withdraw

        noted = Change.objects.filter(kind="providers_price")
        before = noted.count()
        price = set_price(actor)
        assert noted.count() == before + 1
        price_withdraw(price=price, actor=actor)
        assert noted.count() == before + 2


class TestSyncing:
    def test_a_new_installation_has_every_shipped_price_and_syncing_again_adds_none(self, actor: Actor) -> None:
        from apps.audit.models import AdminEvent
        from apps.providers.models import Price
        from apps.providers.prices.actions import Synced, prices_sync

        assert Price.objects.filter(organization=None, shipped=True).count() == len(seed_rows())
        assert prices_sync(actor=actor) == Synced(0, 0)
        assert not AdminEvent.objects.filter(action="prices.synced").exists()

    def test_a_changed_price_is_added_from_the_files_date_and_the_old_one_stays(self, actor: Actor) -> None:
        from apps.audit.models import AdminEvent
        from apps.providers.prices.actions import Synced, prices_sync
        from apps.providers.prices.seed import as_of

        seed = next(row for row in seed_rows() if (row.provider, row.model, row.tier) == ("openai", "gpt-4o-mini", ""))
        _ship_before(seed, input=Decimal(1))
        assert usd_per_million(model=seed.model, at=JUNE) == 1
        assert prices_sync(actor=actor) == Synced(1, 0)
        assert prices_sync(actor=actor) == Synced(0, 0)
        assert AdminEvent.objects.get(action="prices.synced").after == {"added": 1, "kept": 0}
        assert usd_per_million(model=seed.model, at=JUNE) == 1
        from apps.providers.prices.selectors import price_book

        sheet = price_book().sheet("openai", seed.model, as_of().timestamp())
        assert sheet is not None
        assert sheet.cost(MILLION).pico == 150_000_000_000

    def test_an_operators_own_price_and_an_organizations_are_never_touched(self, actor: Actor, acme: Any) -> None:
        from apps.providers.prices.actions import Synced, prices_sync

        seed = next(row for row in seed_rows() if (row.provider, row.model, row.tier) == ("openai", "gpt-4o-mini", ""))
        _ship_before(seed, input=Decimal(1))
        set_price(actor, model=seed.model, prices={"input": Decimal(7)})
        set_price(actor, organization=acme, model=seed.model, prices={"input": Decimal(5)})
        assert prices_sync(actor=actor) == Synced(0, 1)
        assert (usd_per_million(model=seed.model), usd_per_million(acme, seed.model)) == (7, 5)

    def test_a_withdrawn_shipped_price_does_not_come_back(self, actor: Actor) -> None:
        from apps.providers.models import Price
        from apps.providers.prices.actions import Synced, price_withdraw, prices_sync

        for price in Price.objects.filter(model="sandbox-chat"):
            price_withdraw(price=price, actor=actor)
        assert prices_sync(actor=actor) == Synced(0, 0)
        from apps.providers.prices.selectors import price_book

        assert price_book().sheet("sandbox", "sandbox-chat", now().timestamp()) is None


def _ship_before(seed: Any, **prices: Decimal) -> None:
    """As if an earlier release had shipped the model with other prices."""
    from django.db import connection

    from apps.providers.models import Price
    from apps.providers.prices.actions import FIRST_DAY

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE providers_price DISABLE TRIGGER providers_price_append_only")
        cursor.execute(
            "DELETE FROM providers_price WHERE provider = %s AND model = %s AND tier = ''", [seed.provider, seed.model]
        )
        cursor.execute("ALTER TABLE providers_price ENABLE TRIGGER providers_price_append_only")
    Price.objects.create(
        provider=seed.provider,
        model=seed.model,
        effective_from=FIRST_DAY,
        shipped=True,
        source=seed.source,
        **(dict(seed.prices) | prices),
    )
