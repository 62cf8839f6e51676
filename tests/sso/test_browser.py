"""Single sign-on in a real browser, to a provider on another origin and back."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from oidc_provider_mock import User as Theirs
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import Page, expect

from apps.orgs.actions import member_add, organization_create, user_create
from apps.orgs.models import Membership, Organization
from apps.orgs.sso.models import Identity
from tests.sso.conftest import ACTOR, PASSWORD, configure
from tests.support.browser import chromium, needs_chromium, watched

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer


pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]

PEOPLE = (
    Theirs(sub="ana", claims={"email": "ana@acme.test", "email_verified": True, "name": "Ana"}),
    Theirs(sub="eve", claims={"email": "eve@elsewhere.test", "email_verified": True}),
)


@pytest.fixture
def page(live_server: "LiveServer", settings: Any) -> Iterator[Page]:
    """A browser without a session that complains about every script error and every failed request."""
    organization_create(name="Acme", slug="acme", actor=ACTOR)
    with run_server_in_thread(user_claims=PEOPLE) as provider, chromium() as browser:
        configure(settings, f"http://localhost:{provider.server_port}")
        settings.PUBLIC_URL = live_server.url
        # The provider's own pages ask for what is not there; a refusal of ours is 403.
        with watched(browser.new_page(), but="Failed to load resource") as page:
            yield page


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
