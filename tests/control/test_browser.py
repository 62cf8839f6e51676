"""The console in a real browser: what only scripts can break, such as copy buttons and the content security policy."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from apps.core.actor import Actor
from apps.orgs.actions import organization_create, owner_create, sign_in_link_issue
from apps.orgs.models import Organization
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.policies import policy_attach, policy_create
from apps.providers.actions import credential_add
from apps.providers.prices.models import Price
from apps.services.actions import service_create, token_issue
from apps.services.models import Token
from apps.services.tokens import token_digest
from tests.control.conftest import SECRET
from tests.support.browser import chromium, needs_chromium, overflow, watched
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

ACTOR = Actor.system("command")

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def page(live_server: "LiveServer") -> Iterator[Page]:
    """A signed-in browser that complains about every script error and every failed request."""
    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    owner = owner_create(organization=organization, email="owner@acme.test", password=None, actor=ACTOR)
    link = sign_in_link_issue(user=owner, actor=ACTOR)
    with chromium() as browser:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        with watched(context.new_page()) as page:
            page.goto(f"{live_server.url}{link}")
            page.get_by_role("button", name="Sign in as owner@acme.test").click()
            expect(page).to_have_url(f"{live_server.url}/admin/")
            yield page


def test_a_token_is_issued_copied_and_revoked(page: Page, live_server: "LiveServer") -> None:
    service = service_create(organization=Organization.objects.get(slug="acme"), name="Support chat", actor=ACTOR)
    page.goto(f"{live_server.url}/admin/services/service/{service.pk}/change/")
    page.get_by_role("link", name="Issue token").click()
    page.get_by_label("Name").fill("production")
    page.get_by_role("button", name="Save").click()

    shown = page.locator("#token").inner_text()
    page.locator("button[data-copy='#token']").click()
    expect(page.locator("button[data-copy='#token']")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    token = Token.objects.get(digest=token_digest(shown))

    page.reload()  # must neither send the form again nor show the token again
    expect(page.get_by_text(token.masked).first).to_be_visible()
    assert shown not in page.content()
    assert Token.objects.count() == 1

    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke now").click()
    expect(page.get_by_text("is revoked.")).to_be_visible()
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_a_credential_is_added_and_tested(
    page: Page, live_server: "LiveServer", upstream: FakeProvider, loopback: None
) -> None:
    upstream.answers({"data": [{"id": "llama-4"}]})
    page.goto(f"{live_server.url}/admin/providers/credential/add/")
    page.get_by_label("Provider").select_option("openai_compatible")
    page.get_by_label("Label").fill("main")
    page.get_by_label("Base URL").fill(f"{upstream.url}/v1")
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Call now").click()

    expect(page.get_by_text("It works.")).to_be_visible()
    expect(page.get_by_text("llama-4")).to_be_visible()
    assert SECRET not in page.content()


def test_the_records_filters_open_and_apply(page: Page, live_server: "LiveServer") -> None:
    page.goto(f"{live_server.url}/admin/audit/adminevent/")
    page.get_by_text("Filters").first.click()
    page.get_by_label("Through which door").select_option("command")
    page.get_by_role("button", name="Apply Filters").click()
    expect(page).to_have_url(re.compile(r"[?&]door=command"))
    expect(page.get_by_text("user.created").first).to_be_visible()


def test_a_policy_is_written_attached_and_seen_at_work_by_keyboard_alone(page: Page, live_server: "LiveServer") -> None:
    organization = Organization.objects.get(slug="acme")
    service = service_create(organization=organization, name="Support chat", actor=ACTOR)
    page.goto(f"{live_server.url}/admin/policies/policy/places/service/{service.pk}/limits/")
    page.get_by_role("link", name="Edit the rules of service Support chat").press("Enter")
    first = page.get_by_label("Allowed models")
    first.focus()
    page.keyboard.type("gpt-4o*")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Denied models")).to_be_focused()
    page.get_by_label("Requests per minute", exact=True).focus()
    page.keyboard.type("0")
    page.get_by_role("button", name="Save").press("Enter")

    expect(page).to_have_url(re.compile(r"/limits/$"))
    meter = page.get_by_role("meter", name="requests per minute")
    expect(meter).to_have_attribute("aria-valuetext", "0 of 0 used")
    page.get_by_label("Model", exact=True).fill("o3")
    page.get_by_role("button", name="Ask").press("Enter")
    expect(page.get_by_text("refused by service: its own rules")).to_be_visible()


def test_a_file_of_prices_is_shown_then_imported(page: Page, live_server: "LiveServer", tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("provider,model,input,output\nnimbus,cloud-9,1,4\n", encoding="utf-8")
    page.goto(f"{live_server.url}/admin/providers/price/")
    page.get_by_role("link", name="Import").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text("1 added")).to_be_visible()
    page.get_by_role("button", name="Import 1 price").click()
    expect(page.get_by_text("Imported 1 price.")).to_be_visible()
    assert Price.objects.filter(model="cloud-9").exists()


@pytest.mark.parametrize("width", [390, 1360])
def test_no_page_is_wider_than_the_window(
    page: Page, live_server: "LiveServer", width: int, upstream: FakeProvider, loopback: None
) -> None:
    credential = credential_add(
        organization=None,
        provider="openai",
        label="main",
        base_url=f"{upstream.url}/v1",
        secret=SECRET,
        actor=ACTOR,
    )
    organization = Organization.objects.get(slug="acme")
    service = service_create(organization=organization, name="Support chat", actor=ACTOR)
    token, _plaintext = token_issue(service=service, name="production", actor=ACTOR)
    fields = {"allowed_models": ["a-rather-long-name-of-a-model-" * 4, "gpt-4o*"], "requests_per_minute": 60}
    policy = policy_create(organization=organization, name="interns", fields=fields, actor=ACTOR)
    policy_attach(policy=policy, layer="token", token=token, actor=ACTOR)
    subject = Subject("end_user", end_user="a-rather-long-name-of-an-end-user-" * 4)
    budget = budget_create(
        organization=organization, subject=subject, window="month", limit_usd=Decimal(5), actor=ACTOR
    )
    page.set_viewport_size({"width": width, "height": 844})
    for path in (
        "",
        "services/service/add/",
        "services/token/add/",
        "providers/credential/",
        f"providers/credential/{credential.pk}/change/",
        f"providers/credential/{credential.pk}/test/",
        "providers/providermodel/",
        "audit/requestrecord/",
        "audit/adminevent/",
        "audit/adjustment/add/",
        "policies/policy/",
        "policies/policy/add/",
        f"policies/policy/{policy.pk}/change/",
        f"policies/policy/{policy.pk}/attach/",
        f"policies/policy/places/token/{token.pk}/limits/?model=gpt-4o",
        f"policies/policy/places/token/{token.pk}/rules/",
        "policies/budget/",
        "policies/budget/add/",
        f"policies/budget/{budget.pk}/change/",
        "policies/webhook/add/",
        "providers/price/",
        "providers/price/add/",
        "providers/price/import/",
        "providers/price/export/",
    ):
        page.goto(f"{live_server.url}/admin/{path}")
        assert overflow(page) <= 0, path
