"""Signing in in a real browser: what only scripts can do, such as passkeys, under the pages' content security policy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from apps.orgs.actions import organization_create, owner_create
from apps.orgs.models import User
from apps.orgs.setup.actions import setup_code
from tests.people.conftest import ACTOR, PASSWORD, totp_code
from tests.support.gateway import eventually

if TYPE_CHECKING:
    from pytest_django.live_server_helper import LiveServer

CHROMIUM = Path("/usr/bin/chromium")
NAME = "tollgate-people-browser"  # of the server's connections to PostgreSQL
EMAIL = "owner@acme.test"

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),  # the server is another thread, with a connection of its own
]


@pytest.fixture
def browser(live_server: "LiveServer", monkeypatch: pytest.MonkeyPatch) -> Iterator[BrowserContext]:
    """A browser that complains about every script error and every refused or failed request."""
    # Playwright keeps an event loop running in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "application_name", NAME)
    complaints: list[str] = []

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        context = chromium.new_context(base_url=live_server.url.replace("127.0.0.1", "localhost"))
        context.on("page", listen)
        yield context
        chromium.close()
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


@pytest.fixture
def owner(transactional_db: None) -> User:
    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    return owner_create(organization=organization, email=EMAIL, password=PASSWORD, actor=ACTOR)


@pytest.fixture
def page(browser: BrowserContext) -> Page:
    return browser.new_page()


def sign_in(page: Page) -> None:
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


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
    page.get_by_label("Authenticator code").fill(totp_code(secret))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert len(page.locator("#codes").inner_text().split()) == 10

    sign_out(page)
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/sign-in/second-factor/$"))
    page.get_by_label("Code").fill(totp_code(secret, steps=1))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/$"))


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


def test_an_empty_installation_is_set_up(page: Page, transactional_db: None) -> None:
    page.goto("/setup/")
    page.get_by_label("Setup code").fill(setup_code())
    page.get_by_label("Organization").fill("Acme")
    page.get_by_label("Your name").fill("Ana")
    page.get_by_label("Your e-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
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
    overflow: Any = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, path
    unlabelled: Any = page.evaluate(
        "[...document.querySelectorAll('main input:not([type=hidden])')].filter(f => !f.labels.length).map(f => f.name)"
    )
    assert unlabelled == [], path
    assert page.locator("main h1").count() == 1, path
