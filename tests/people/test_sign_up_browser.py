"""Joining by oneself in a real browser, with a new account and with one that is there: desktop and phone, light and dark."""

import os
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from apps.orgs.actions import member_add, organization_create, user_create
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.signup.actions import sign_up_domains_set
from tests.people.conftest import PASSWORD
from tests.people.test_account import arrived, link_in
from tests.people.test_browser import page
from tests.people.test_sign_up import COMMAND
from tests.support.browser import needs_chromium, overflow

if TYPE_CHECKING:
    from tests.support.mail import MailSink

__all__ = ["page"]

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def ana(transactional_db: None, mail: "MailSink") -> User:
    """Somebody with an account at the domain of an organization that lets people join."""
    acme = organization_create(name="Acme", slug="acme", actor=COMMAND)
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    return user_create(email="ana@acme.test", password=PASSWORD, actor=COMMAND)


def look(page: Page, name: str, *, again: bool = True) -> None:
    """Nothing is cut off on any screen; pictures are kept where somebody wants to look at them: PICTURES=folder."""
    for kind, width, scheme in (("desktop", 1360, "light"), ("desktop", 1360, "dark"), ("phone", 360, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        if again:  # the theme follows the system when a page is opened
            page.reload()
        assert overflow(page) <= 0, (name, kind)
        unlabelled: list[str] = page.evaluate(
            "[...document.querySelectorAll('main input:not([type=hidden])')].filter(f => !f.labels.length).map(f => f.id)"
        )
        assert unlabelled == [], name
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/sign-up-{name}-{kind}-{scheme}.png", full_page=True)


def test_somebody_new_makes_an_account_by_keyboard_alone(page: Page, ana: User, mail: "MailSink") -> None:
    page.goto("/sign-in/")
    look(page, "sign-in")
    page.get_by_role("link", name="Make an account").press("Enter")
    expect(page.get_by_label("Your e-mail")).to_be_focused()
    page.keyboard.type("nora@else.test")
    page.keyboard.press("Enter")
    expect(page.get_by_text("may not sign up here")).to_be_visible()
    look(page, "refused", again=False)
    page.get_by_label("Your e-mail").fill("nora@acme.test")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sign-in/new/sent/$"))
    look(page, "sent")

    page.goto(link_in(arrived(mail, 1)[0][2]))
    expect(page.get_by_label("Your name")).to_be_focused()
    look(page, "finish")
    page.keyboard.type("Nora")
    for _again in range(2):
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/admin/$"))
    assert Membership.objects.get().user.email == "nora@acme.test"


def test_somebody_with_an_account_joins_with_one_button(page: Page, ana: User) -> None:
    page.goto("/sign-in/?next=/organizations/")
    page.get_by_label("E-mail").fill(ana.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Join Acme")).to_be_visible()
    look(page, "offer")
    page.get_by_role("button", name="Join Acme").press("Enter")
    expect(page).to_have_url(re.compile("/admin/$"))
    expect(page.get_by_text("You belong to Acme now.")).to_be_visible()
    assert Membership.objects.get().organization == Organization.objects.get()


def test_an_owner_opens_the_organization_in_the_console(page: Page, ana: User) -> None:
    acme = Organization.objects.get()
    sign_up_domains_set(organization=acme, domains=[], actor=COMMAND)
    member_add(organization=acme, user=ana, role=Role.OWNER, actor=COMMAND)
    page.goto(f"/sign-in/?next=/admin/orgs/organization/{acme.pk}/change/")
    page.get_by_label("E-mail").fill(ana.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Sign-up domains").fill("acme.test\ngmail.com")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Anybody gets an address at gmail.com")).to_be_visible()
    look(page, "console-refused", again=False)
    page.get_by_label("Sign-up domains").fill("acme.test")
    page.get_by_label("Role of who joins").select_option("billing")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile("/admin/orgs/organization/$"))
    page.goto(f"/admin/orgs/organization/{acme.pk}/change/")
    expect(page.get_by_label("Sign-up domains")).to_have_value("acme.test")
    look(page, "console")
    assert Organization.objects.get().sign_up_role == "billing"
