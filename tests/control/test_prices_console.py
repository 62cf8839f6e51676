"""The price book in the console: what a model costs, in which unit, since when; and that nothing is imported unseen."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.core.actor import Actor
from apps.orgs.models import Organization, User
from apps.providers.models import ProviderModel
from apps.providers.prices.actions import price_set
from apps.providers.prices.documents import COLUMNS
from apps.providers.prices.forms import packed
from apps.providers.prices.models import Price


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:providers_price_{name}", args=args)


@pytest.fixture
def price(db: None, actor: Actor) -> Price:
    return price_set(
        organization=None,
        provider="nimbus",
        model="cloud-1",
        prices={"input": Decimal("2.5"), "cached_input": Decimal("0.25"), "output": Decimal(10)},
        effective_from=now() - timedelta(days=30),
        source="https://nimbus.test/prices",
        actor=actor,
    )


def shown(response: Any) -> list[Price]:
    return list(response.context["cl"].result_list)


def form(**values: str) -> dict[str, str]:
    return {"provider": "nimbus", "model": "cloud-1", "above_input_tokens": "0", "unit": "per_million", **values}


def file(text: str, name: str = "prices.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode(), content_type="text/csv")


# --- Reading ---


def test_a_price_is_shown_for_a_million_and_for_a_thousand(console: Client, price: Price) -> None:
    html = console.get(f"{page('changelist')}?q=cloud-1").content.decode()
    assert "$2.50" in html
    assert "$0.0025" in html
    detail = console.get(page("change", price.pk)).content.decode()
    assert "$10.00" in detail
    assert "$0.01" in detail
    assert 'href="https://nimbus.test/prices" rel="noopener' in detail


def test_the_list_shows_what_applies_now_unless_asked_otherwise(console: Client, price: Price, actor: Actor) -> None:
    place = {"organization": None, "provider": "nimbus", "model": "cloud-1", "actor": actor}
    newer = price_set(prices={"input": Decimal(3)}, effective_from=now() - timedelta(days=1), **place)
    later = price_set(prices={"input": Decimal(4)}, effective_from=now() + timedelta(days=9), **place)

    def found(rows: str) -> set[Price]:
        return set(shown(console.get(f"{page('changelist')}?q=cloud-1&rows={rows}")))

    assert found("") == {newer}
    assert found("later") == {later}
    assert found("past") == {price}
    assert found("withdrawn") == set()
    assert found("all") == {price, newer, later}


def test_an_organizations_price_is_found_by_its_owner(
    console: Client, price: Price, acme: Organization, actor: Actor
) -> None:
    own = price_set(
        organization=acme,
        provider="nimbus",
        model="cloud-1",
        prices={"input": Decimal(1)},
        effective_from=now() - timedelta(days=1),
        actor=actor,
    )
    assert shown(console.get(f"{page('changelist')}?owner={acme.pk}")) == [own]
    assert own not in shown(console.get(f"{page('changelist')}?owner=shared&provider=nimbus"))
    assert shown(console.get(f"{page('changelist')}?owner=nobody")) == []


def test_ten_thousand_prices_cost_no_more_queries_than_ten(console: Client, price: Price) -> None:
    with CaptureQueriesContext(connection) as few:
        console.get(f"{page('changelist')}?provider=nimbus")
    Price.objects.bulk_create(
        Price(provider="nimbus", model=f"cloud-{n}", effective_from=price.effective_from, input=n)
        for n in range(10, 200)
    )
    with CaptureQueriesContext(connection) as many:
        response = console.get(f"{page('changelist')}?provider=nimbus")
    assert len(shown(response)) == 50
    assert len(many) == len(few)


def test_a_source_that_is_no_address_is_no_link(console: Client, actor: Actor) -> None:
    row = price_set(
        organization=None,
        provider="nimbus",
        model="cloud-2",
        prices={"input": Decimal(1)},
        effective_from=now(),
        source="javascript:alert(1)",
        actor=actor,
    )
    assert 'href="javascript' not in console.get(page("change", row.pk)).content.decode()


def test_a_models_page_shows_what_it_costs_or_that_nobody_knows(console: Client, price: Price, actor: Actor) -> None:
    model = ProviderModel.objects.create(name="our-cloud", provider="openai_compatible")
    url = reverse("admin:providers_providermodel_change", args=(model.pk,))
    assert "No price is known" in console.get(url).content.decode()

    model.priced_as = "nimbus/cloud-1"
    model.save()
    html = console.get(url).content.decode()
    assert "No price is known" not in html
    assert "$2.50" in html


# --- Writing ---


def test_a_price_is_set_in_the_unit_that_the_operator_has(console: Client, acme: Organization, owner: User) -> None:
    values = form(organization=str(acme.pk), unit="per_thousand", input="0.0025", output="0", per_search="0.01")
    response = console.post(page("add"), {**values, "effective_from": "2026-01-01"})

    row = Price.objects.get(organization=acme)
    assert response["Location"] == page("change", row.pk)
    assert (row.input, row.output, row.per_search) == (Decimal("2.5"), Decimal(0), Decimal(10_000))
    assert row.cached_input is None, "empty is no price, not 0"
    assert row.effective_from.isoformat() == "2026-01-01T00:00:00+00:00"
    event = AdminEvent.objects.get(action="price.set", target_id=row.pk)
    assert (event.door, event.actor_id) == ("admin", owner.pk)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("input", "-1", "plain decimal"),
        ("input", "NaN", "plain decimal"),
        ("input", "1e3", "plain decimal"),
        ("input", "1,5", "plain decimal"),
        ("input", "0.0000001", "at most 6 decimals"),
        ("input", "2000000000", "at most"),
        ("per_image", "0.0000000000001", "decimals"),
        ("effective_from", "yesterday", "is not a date"),
        ("provider", "No Such!", "small letters"),
        ("tier", "priority", "standard price first"),
    ],
)
def test_what_cannot_be_a_price_is_refused_at_its_field(console: Client, field: str, value: str, words: str) -> None:
    before = Price.objects.count()
    response = console.post(page("add"), form(**{"input": "1", field: value}))

    assert response.status_code == 200
    assert words in response.context["adminform"].form.errors[field][0]
    assert Price.objects.count() == before


def test_a_form_without_any_price_is_refused(console: Client) -> None:
    response = console.post(page("add"), form())
    assert "at least one price" in response.context["adminform"].form.non_field_errors()[0]


def test_a_new_price_begins_with_the_old_ones_values(console: Client, price: Price) -> None:
    html = console.get(f"{page('add')}?like={price.pk}").content.decode()
    assert re.search(r'name="output"[^>]*value="10"|value="10"[^>]*name="output"', html)
    assert console.get(f"{page('add')}?like=nonsense").status_code == 200


def test_a_price_is_withdrawn_and_stays_readable(console: Client, price: Price) -> None:
    assert console.get(page("withdraw", price.pk)).status_code == 200
    price.refresh_from_db()
    assert price.withdrawn_at is None
    console.post(page("withdraw", price.pk))
    price.refresh_from_db()
    assert price.withdrawn_at is not None
    assert "withdrawn" in console.get(page("change", price.pk)).content.decode()
    assert AdminEvent.objects.filter(action="price.withdrawn", target_id=price.pk).count() == 1


def test_a_price_is_never_changed_nor_deleted(console: Client, price: Price) -> None:
    console.post(page("change", price.pk), form(input="9"))
    assert console.post(page("delete", price.pk), {"post": "yes"}).status_code == 403
    price.refresh_from_db()
    assert price.input == Decimal("2.5")


# --- Import and export ---

CSV = "provider,model,effective_from,input,output\nnimbus,cloud-1,2026-11-01,3,12\nnimbus,cloud-9,2026-11-01,1,4\n"


def confirm(response: Any, **answers: str) -> dict[str, str]:
    """What the browser sends from a preview."""
    html = response.content.decode()
    hidden = {
        name: re.search(f'name="{name}"[^>]* value="([^"]*)"', html) for name in ("content", "unit", "effective_from")
    }
    return {name: found[1] for name, found in hidden.items() if found} | {"import": "yes"} | answers


def test_an_import_is_shown_before_it_is_done(console: Client, price: Price) -> None:
    preview = console.post(page("bring"), {"file": file(CSV), "unit": "per_million"})

    html = preview.content.decode()
    assert "1 added" in html
    assert "1 changed" in html
    assert "input 2.5 → 3" in html
    assert not Price.objects.filter(model="cloud-9").exists()

    again = confirm(preview, trust="on")
    del again["import"]
    assert "Import 2 prices" in console.post(page("bring"), again).content.decode()
    assert not Price.objects.filter(model="cloud-9").exists(), "looking again is not importing"

    done = console.post(page("bring"), confirm(preview), follow=True)
    assert "Imported 2 prices." in done.content.decode()
    assert Price.objects.filter(model="cloud-9", input=1).exists()
    assert AdminEvent.objects.filter(action="prices.imported", door="admin").count() == 1


def test_what_is_unusual_needs_the_operators_word(console: Client, price: Price) -> None:
    preview = console.post(page("bring"), {"file": file(CSV.replace(",3,12", ",300,12")), "unit": "per_million"})

    assert "more than ten times" in preview.content.decode()
    assert "Import 2 prices" not in preview.content.decode()
    refused = console.post(page("bring"), confirm(preview))
    assert "more than ten times" in refused.content.decode()
    assert not Price.objects.filter(model="cloud-9").exists()

    console.post(page("bring"), confirm(preview, trust="on"))
    assert Price.objects.filter(model="cloud-9").exists()


def test_a_file_in_another_unit_is_noticed(console: Client, price: Price) -> None:
    text = "provider,model,input,output\nnimbus,cloud-1,0.0000025,0.00001\n"
    response = console.post(page("bring"), {"file": file(text), "unit": "per_token"})
    assert "1 same" in response.content.decode() or "1 changed" in response.content.decode()
    wrong = console.post(page("bring"), {"file": file(text), "unit": "per_thousand"}).content.decode()
    assert "looks like per_token" in wrong
    assert "--unit" not in wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no prices|column provider is missing"),
        ("provider,model,price\na,b,1\n", "Unknown column"),
        ("provider,model,input\nnimbus,cloud-1,free\n", "1 refused"),
        ("[1]", "not an object"),
        ("{", "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(console: Client, text: str, words: str) -> None:
    response = console.post(page("bring"), {"file": file(text or " "), "unit": "per_million"})
    assert response.status_code == 200
    assert re.search(words, response.content.decode())


def test_what_came_back_otherwise_than_it_was_shown_is_refused(console: Client) -> None:
    for content in ("nonsense", packed(CSV.encode())[:-8], "AAAA"):
        values = {"content": content, "unit": "per_million", "import": "yes"}
        response = console.post(page("bring"), values)
        assert "choose it again" in response.content.decode()
    assert not Price.objects.filter(model="cloud-9").exists()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_can_be_imported_again_without_a_change(console: Client, price: Price, kind: str) -> None:
    exported = console.post(page("export"), {"format": kind})
    assert exported["Content-Disposition"] == f'attachment; filename="prices.{kind}"'
    text = exported.content.decode()
    assert all(name in text for name in COLUMNS[:2])

    preview = console.post(page("bring"), {"file": file(text, f"prices.{kind}"), "unit": "per_million"})
    html = preview.content.decode()
    assert "0 added" in html
    assert "0 changed" in html
    assert "0 refused" in html


def test_who_may_not_open_the_console_neither_imports_nor_exports(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("visitor@acme.test", "correct horse battery"))
    for url in (page("bring"), page("export"), page("changelist")):
        assert client.get(url).status_code == 302
        assert client.post(url).status_code == 302
