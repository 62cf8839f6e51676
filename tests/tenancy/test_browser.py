"""The page of one's organizations in a real browser: switching and starting, on a desktop and a phone, in light and dark."""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from apps.core.actor import Actor
from apps.orgs.actions import member_add, organization_create, sign_in_link_issue, user_create
from apps.orgs.models import Role
from tests.support.browser import chromium, needs_chromium, overflow, watched

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

ACTOR = Actor.system("command")

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def page(live_server: "LiveServer", settings: Any) -> Iterator[Page]:
    """A browser of somebody who belongs to two organizations."""
    settings.TENANCY = "multi"
    user = user_create(email="ana@acme.test", password=None, actor=ACTOR, name="Ana")
    for name, role in (("Acme", Role.ADMIN), ("Zeta, the other one with a long name", Role.AUDITOR)):
        organization = organization_create(name=name, slug=name[:4].lower(), actor=ACTOR)
        member_add(organization=organization, user=user, role=role, actor=ACTOR)
    link = sign_in_link_issue(user=user, actor=ACTOR)
    # Chromium reports a refused form (422) as an error.
    with chromium() as browser, watched(browser.new_page(), but="422") as page:
        page.goto(f"{live_server.url}{link}")
        page.get_by_role("button", name="Sign in as ana@acme.test").click()
        expect(page).to_have_url(f"{live_server.url}/admin/")
        page.goto(f"{live_server.url}/organizations/")
        yield page


def test_one_switches_and_starts_an_organization_by_keyboard(page: Page, live_server: "LiveServer") -> None:
    _picture(page, "desktop")
    page.get_by_role("button", name="Switch to Zeta").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/admin/")

    page.goto(f"{live_server.url}/organizations/")
    expect(page.locator("li", has_text="Zeta").get_by_text("Current")).to_be_visible()
    expect(page.get_by_role("button", name="Switch to Acme")).to_be_visible()

    page.get_by_role("textbox", name=re.compile("^Name")).fill("Acme again")
    page.get_by_label("Short name").fill("acme")
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_text("already exists")).to_be_visible()
    _picture(page, "refused")
    page.get_by_label("Short name").fill("")
    page.get_by_role("button", name="Start it").click()
    expect(page).to_have_url(f"{live_server.url}/admin/")
    page.goto(f"{live_server.url}/organizations/")
    expect(page.locator("li", has_text="Acme again").get_by_text("Current")).to_be_visible()


def test_nothing_is_cut_off_on_a_phone_in_the_dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    _picture(page, "phone")

    assert overflow(page) <= 0
    expect(page.get_by_role("button", name="Switch to Zeta")).to_be_in_viewport()


def _picture(page: Page, name: str) -> None:
    """Kept where somebody wants to look at it: PICTURES=folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/organizations-{name}.png", full_page=True)
