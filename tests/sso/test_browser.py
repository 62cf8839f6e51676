"""Single sign-on in a real browser, to a provider on another origin and back."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections
from oidc_provider_mock import User as Theirs
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import Page, expect, sync_playwright

from apps.orgs.actions import member_add, organization_create, user_create
from apps.orgs.models import Membership, Organization
from apps.orgs.sso.models import Identity
from tests.sso.conftest import ACTOR, PASSWORD, configure
from tests.support.gateway import eventually

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

CHROMIUM = Path("/usr/bin/chromium")
NAME = "tollgate-sso-browser-tests"  # of the server's connections to PostgreSQL

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]

PEOPLE = (
    Theirs(sub="ana", claims={"email": "ana@acme.test", "email_verified": True, "name": "Ana"}),
    Theirs(sub="eve", claims={"email": "eve@elsewhere.test", "email_verified": True}),
)


@pytest.fixture
def page(live_server: "LiveServer", settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A browser without a session that complains about every script error and every failed request."""
    # Playwright keeps an event loop running in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "application_name", NAME)
    organization_create(name="Acme", slug="acme", actor=ACTOR)
    complaints: list[str] = []
    with run_server_in_thread(user_claims=PEOPLE) as provider, sync_playwright() as playwright:
        configure(settings, f"http://localhost:{provider.server_port}")
        settings.PUBLIC_URL = live_server.url
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
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


def test_a_newcomer_goes_there_and_comes_back_signed_in(page: Page, live_server: "LiveServer") -> None:
    user_create(email="first@acme.test", password=None, actor=ACTOR)  # who has set it up
    page.goto(f"{live_server.url}/admin/password_change/")  # where one is sent on to the sign-in page
    page.get_by_role("link", name="Continue with Acme ID").click()
    page.get_by_role("button", name="Authorize as ana").click()

    expect(page).not_to_have_url(re.compile("/sso/|/sign-in/"))
    assert page.url.startswith(f"{live_server.url}/account/")
    assert Membership.objects.get().user.name == "Ana"


def test_who_may_not_come_reads_why_and_what_to_do(page: Page, live_server: "LiveServer") -> None:
    page.goto(f"{live_server.url}/sso/start/")
    page.get_by_role("button", name="Authorize as eve").click()

    expect(page.get_by_role("heading")).to_contain_text(
        "People with the e-mail eve@elsewhere.test may not sign in here."
    )
    expect(page.get_by_text("domain_refused")).to_be_visible()
    page.get_by_role("link", name="Try another account").click()
    expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()


def test_an_account_that_was_here_before_is_connected_after_its_owner_agrees(
    page: Page, live_server: "LiveServer"
) -> None:
    user = user_create(email="ana@acme.test", password=PASSWORD, actor=ACTOR)
    member_add(organization=Organization.objects.get(), user=user, role="member", actor=ACTOR)
    page.goto(f"{live_server.url}/sso/start/")
    page.get_by_role("button", name="Authorize as ana").click()
    expect(page.get_by_role("heading")).to_contain_text("There is an account for ana@acme.test already")
    assert not Identity.objects.exists()

    page.get_by_role("link", name="Sign in and connect").click()
    page.get_by_label("E-mail").fill("ana@acme.test")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Connect").click()

    expect(page).to_have_url(f"{live_server.url}/admin/")
    assert Identity.objects.get().user == user
