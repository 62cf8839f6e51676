"""The console in a real browser: what only scripts can break, such as copy buttons and the content security policy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections
from playwright.sync_api import Page, expect, sync_playwright

from apps.core.actor import Actor
from apps.orgs.actions import organization_create, owner_create, sign_in_link_issue
from apps.providers.actions import credential_add
from apps.services.actions import service_create
from apps.services.models import Token
from apps.services.tokens import token_digest
from tests.control.conftest import SECRET
from tests.support.gateway import eventually
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

CHROMIUM = Path("/usr/bin/chromium")
NAME = "tollgate-browser-tests"  # of the server's connections to PostgreSQL
ACTOR = Actor.system("command")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def page(live_server: "LiveServer", monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A signed-in browser that complains about every script error and every refused or failed request."""
    # Playwright keeps an event loop running in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "application_name", NAME)
    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    owner = owner_create(organization=organization, email="owner@acme.test", password=None, actor=ACTOR)
    link = sign_in_link_issue(user=owner, actor=ACTOR)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
        page.goto(f"{live_server.url}{link}")
        page.get_by_role("button", name="Sign in as owner@acme.test").click()
        expect(page).to_have_url(f"{live_server.url}/admin/")
        yield page
        browser.close()
        connections.close_all()  # those of Playwright's loop, which end with it unclosed otherwise
    # The server's threads end after the browser has gone; the test database can be dropped only then.
    eventually(_server_is_gone, what="the server's connections to the database are closed")
    assert complaints == []


def _server_is_gone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid())",
            [NAME],
        )
        return cursor.fetchone() == (False,)


def test_a_token_is_issued_copied_and_revoked(page: Page, live_server: "LiveServer") -> None:
    from apps.orgs.models import Organization

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
    ):
        page.goto(f"{live_server.url}/admin/{path}")
        overflow: Any = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path
