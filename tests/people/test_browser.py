"""Signing in in a real browser: what only scripts can do, such as passkeys, under the pages' content security policy."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from apps.orgs.actions import organization_create, owner_create
from apps.orgs.models import User
from apps.orgs.setup.actions import setup_code
from tests.people.conftest import ACTOR, PASSWORD, totp_code
from tests.support.browser import chromium, needs_chromium, overflow, watched

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

EMAIL = "owner@acme.test"

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def owner(transactional_db: None) -> User:
    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    return owner_create(organization=organization, email=EMAIL, password=PASSWORD, actor=ACTOR)


@pytest.fixture
def page(live_server: "LiveServer") -> Iterator[Page]:
    """A browser that complains about every script error and every failed request."""
    with chromium() as browser:
        # Passkeys belong to a host's name: an address has none.
        context = browser.new_context(base_url=live_server.url.replace("127.0.0.1", "localhost"))
        with watched(context.new_page()) as page:
            yield page


def sign_in(page: Page) -> None:
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def type_into(page: Page, values: dict[str, str]) -> None:
    """A whole form, from the field that has the focus when the page comes to the key that sends it."""
    for number, (label, value) in enumerate(values.items()):
        if number:
            page.keyboard.press("Tab")
        expect(page.get_by_label(label, exact=True)).to_be_focused()
        page.keyboard.type(value)
    page.keyboard.press("Enter")


def sign_out(page: Page) -> None:
    page.goto("/account/sign-out/")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/sign-in/$"))


def virtual_key(page: Page, **options: Any) -> None:
    """A security key that is plugged in and touched."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    kind |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, **options}})


def confirm(page: Page) -> None:
    expect(page).to_have_url(re.compile(r"/account/confirm/"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def test_an_app_is_set_up_and_signs_in_by_keyboard_alone(page: Page, owner: User) -> None:
    sign_in(page)
    page.goto("/account/security/")
    page.get_by_role("link", name="Set up an app").press("Enter")
    confirm(page)
    secret = page.locator(".tg-key").inner_text()
    page.get_by_label("Authenticator code").focus()
    page.keyboard.type(totp_code(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert len(page.locator("#codes").inner_text().split()) == 10

    sign_out(page)
    type_into(page, {"E-mail": EMAIL, "Password": PASSWORD})
    expect(page).to_have_url(re.compile(r"/sign-in/second-factor/$"))
    type_into(page, {"Code": totp_code(secret, steps=1)})
    expect(page).to_have_url(re.compile(r"/admin/$"))


def test_what_was_refused_has_the_focus(page: Page, owner: User) -> None:
    page.goto("/sign-in/")
    type_into(page, {"E-mail": EMAIL, "Password": "another one"})
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.get_by_label("E-mail")).to_be_focused()


def test_the_profile_is_changed_by_keyboard_alone(page: Page, owner: User) -> None:
    sign_in(page)
    page.goto("/account/")
    page.get_by_label("Name").focus()
    page.keyboard.type("Ana")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    for tab in ("E-mail", "Password", "Second factors", "Sessions"):
        link = page.get_by_role("navigation").get_by_role("link", name=tab, exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(link).to_have_attribute("aria-current", "page")


def test_a_passkey_is_added_and_signs_in_alone(page: Page, owner: User) -> None:
    sign_in(page)
    virtual_key(page)
    page.goto("/account/security/passkeys/add/")
    confirm(page)
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Ask the device").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile(r"/admin/$"))


def test_a_security_key_is_a_second_factor(page: Page, owner: User) -> None:
    sign_in(page)
    virtual_key(page, transport="usb")
    page.goto("/account/security/passkeys/add/")
    confirm(page)
    page.get_by_role("button", name="Ask the device").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    sign_out(page)
    sign_in(page)
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page).to_have_url(re.compile(r"/admin/$"))


def test_an_empty_installation_is_set_up_by_keyboard_alone(page: Page, transactional_db: None) -> None:
    page.goto("/setup/")
    type_into(
        page,
        {
            "Setup code": setup_code(),
            "Organization": "Acme",
            "Your name": "Ana",
            "Your e-mail": EMAIL,
            "Password": PASSWORD,
            "Password again": PASSWORD,
        },
    )
    expect(page).to_have_url(re.compile(r"/admin/$"))


PATHS = ("/sign-in/", "/sign-in/forgotten/", "/sign-in/new/", "/sign-in/switched-off/", "/sign-in/verify/")
OWN = (
    "",
    "email/",
    "password/",
    "security/",
    "security/app/",
    "security/passkeys/",
    "security/passkeys/add/",
    "sessions/",
)


@pytest.mark.parametrize("width", [390, 1360])
def test_no_page_is_wider_than_the_window_and_every_field_has_a_label(page: Page, owner: User, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for path in PATHS:
        _look_at(page, path)
    sign_in(page)
    page.goto("/account/security/app/")
    confirm(page)
    for path in OWN:
        _look_at(page, f"/account/{path}")


def _look_at(page: Page, path: str) -> None:
    page.goto(path)
    assert overflow(page) <= 0, path
    unlabelled: Any = page.evaluate(
        "[...document.querySelectorAll('main input:not([type=hidden])')].filter(f => !f.labels.length).map(f => f.name)"
    )
    assert unlabelled == [], path
    assert page.locator("main h1").count() == 1, path
