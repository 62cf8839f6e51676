"""Inviting, joining and the limits of roles, in a real browser."""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.orgs.actions import member_add, organization_create, sign_in_link_issue, user_create
from apps.orgs.models import Membership, Organization, User
from tests.invitations.conftest import COMMAND, PASSWORD
from tests.support.browser import chromium, needs_chromium

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer


pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]

type SignIn = Callable[[str], Page]

# What each role finds in the menu, and what it does not.
MENU = {
    "member": (["Services", "Tokens", "Policies", "Budgets", "Models", "Memberships"], ["Credentials", "Admin events"]),
    "auditor": (["Services", "Credentials", "Request records", "Admin events", "Memberships"], ["Users"]),
    "billing": (["Budgets", "Prices"], ["Services", "Tokens", "Credentials", "Memberships", "Request records"]),
    "admin": (["Services", "Credentials", "Budgets", "Invitations", "Request records"], ["Users"]),
}


@pytest.fixture
def acme(transactional_db: None) -> Organization:
    return organization_create(name="Acme", slug="acme", actor=COMMAND)


@pytest.fixture
def browser(live_server: "LiveServer") -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def sign_in(browser: Browser, acme: Organization, live_server: "LiveServer") -> SignIn:
    """A browser window of one of Acme's people, in this role."""

    def start(role: str) -> Page:
        user = user_create(email=f"{role}@acme.test", password=None, actor=COMMAND)
        member_add(organization=acme, user=user, role=role, actor=COMMAND)
        page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
        page.goto(live_server.url + sign_in_link_issue(user=user, actor=COMMAND))
        page.get_by_role("button", name="Sign in as").click()
        expect(page).to_have_url(f"{live_server.url}/admin/")
        return page

    return start


def test_each_role_finds_what_it_may(sign_in: SignIn, live_server: "LiveServer", acme: Organization) -> None:
    for role, (shown, hidden) in MENU.items():
        page = sign_in(role)
        menu = page.locator("#nav-sidebar")
        for name in shown:
            expect(menu.get_by_role("link", name=name, exact=False).first).to_be_attached()
        for name in hidden:
            expect(menu.get_by_role("link", name=name, exact=False)).to_have_count(0)
        page.context.close()


def test_an_admin_invites_and_the_invited_joins_by_keyboard_alone(
    sign_in: SignIn, browser: Browser, acme: Organization, live_server: "LiveServer"
) -> None:
    admin = sign_in("admin")
    admin.goto(f"{live_server.url}/admin/orgs/membership/")
    admin.get_by_role("link", name=re.compile(r"Invite$")).click()
    expect(admin.get_by_label("Organization")).to_have_count(0)
    admin.get_by_label("E-mail").fill("nora@else.test")
    admin.get_by_label("Role").select_option("auditor")
    admin.get_by_label("How it is delivered").select_option("link")
    admin.get_by_role("button", name="Save").click()
    link = admin.locator("#link").inner_text()
    admin.reload()  # must neither invite again nor show the link again
    assert link not in admin.content()

    nora = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    nora.goto(live_server.url + "/" + link.split("/", 3)[3])
    expect(nora.get_by_text("nora@else.test")).to_be_visible()
    assert nora.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways on a phone"
    expect(nora.get_by_label("Your name")).to_be_focused()
    nora.keyboard.type("Nora New")
    for field in ("#id_password", "#id_again"):
        nora.keyboard.press("Tab")
        expect(nora.locator(field)).to_be_focused()
        nora.keyboard.type(PASSWORD)
    nora.keyboard.press("Enter")
    expect(nora).to_have_url(f"{live_server.url}/admin/")
    user = User.objects.get(email="nora@else.test")
    assert Membership.objects.get(user=user).role == "auditor"

    nora.goto(live_server.url + "/" + link.split("/", 3)[3])
    expect(nora.get_by_text("accepted already")).to_be_visible()
    nora.goto(f"{live_server.url}/admin/services/service/add/")
    expect(nora.get_by_role("button", name="Save")).to_have_count(0)
