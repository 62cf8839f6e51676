"""From the console to the first answer: a token is issued in a browser, copied, and calls the gateway with an official client.

Everything is real but the provider, which is scripted: one server for both planes, as it is deployed, in a process of its own.
"""

import re
from collections.abc import Iterator

import openai
import pytest
from playwright.sync_api import Page, expect

from apps.core.actor import Actor
from apps.orgs.actions import member_add, organization_create, sign_in_link_issue, user_create
from apps.orgs.models import Role
from apps.providers.actions import credential_add, model_add
from tests.control.conftest import SECRET
from tests.support.browser import chromium, needs_chromium, watched
from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider

ACTOR = Actor.system("command")

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),  # the server is another process, with connections of its own
]


@pytest.fixture
def server(transactional_db: None) -> Iterator[GatewayProcess]:
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def page(server: GatewayProcess, upstream: FakeProvider, loopback: None) -> Iterator[Page]:
    """A browser of an organization's admin, where `cloud-9` leads to the scripted provider."""
    organization = organization_create(name="Acme", slug="acme", actor=ACTOR)
    credential = credential_add(
        organization=organization,
        provider="openai_compatible",
        label="main",
        base_url=f"{upstream.url}/v1",
        secret=SECRET,
        actor=ACTOR,
    )
    model_add(
        organization=organization, provider="openai_compatible", name="cloud-9", credential=credential, actor=ACTOR
    )
    admin = user_create(email="admin@acme.test", password=None, actor=ACTOR)
    member_add(organization=organization, user=admin, role=Role.ADMIN, actor=ACTOR)
    link = sign_in_link_issue(user=admin, actor=ACTOR)
    with chromium() as browser:
        context = browser.new_context(base_url=server.url, permissions=["clipboard-read", "clipboard-write"])
        with watched(context.new_page()) as page:
            page.goto(link)
            page.get_by_role("button", name="Sign in as admin@acme.test").click()
            expect(page).to_have_url(f"{server.url}/admin/")
            yield page


def test_a_token_copied_from_its_page_calls_the_gateway_until_it_is_revoked(
    page: Page, server: GatewayProcess, upstream: FakeProvider
) -> None:
    page.goto("/admin/services/service/add/")
    page.get_by_label("Name").fill("Support chat")
    page.get_by_role("button", name="Save").click()
    page.goto("/admin/services/service/")
    page.get_by_role("link", name="Support chat").click()
    page.get_by_role("link", name="Issue token").click()
    page.get_by_label("Name").fill("production")
    page.get_by_role("button", name="Save").click()
    page.locator("button[data-copy='#token']").click()
    expect(page.locator("button[data-copy='#token']")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=copied, max_retries=0, timeout=20) as client:
        answer = client.chat.completions.create(model="cloud-9", messages=[{"role": "user", "content": "Hello"}])
        assert answer.choices[0].message.content == "Hello"
        (asked,) = upstream.requests
        assert asked.header("authorization") == f"Bearer {SECRET}"
        assert copied not in str(asked.headers)

        def is_on_record() -> bool:
            page.goto("/admin/audit/requestrecord/")
            return page.get_by_role("cell", name="cloud-9").count() == 1

        eventually(is_on_record, what="the call among the request records")

        page.goto("/admin/services/token/")
        page.get_by_role("link", name="production").click()
        page.get_by_role("link", name="Revoke").click()
        page.get_by_role("button", name="Revoke now").click()
        expect(page.get_by_text(re.compile("is revoked"))).to_be_visible()

        def is_refused() -> bool:
            try:
                client.models.list()
            except openai.AuthenticationError:
                return True
            return False

        eventually(is_refused, timeout=2, what="the revoked token is refused")
