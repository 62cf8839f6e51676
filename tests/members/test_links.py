"""What a page of the console offers somebody, they may open: no link leads to a refusal. Nor does one show what only code reads."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client

from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.sso.models import Identity
from apps.policies.actions.policies import policy_attach
from tests.members.conftest import COMMAND, Rows

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|/\d+/")
_EACH = 3  # pages looked at of each kind, which differ by their row alone
_OURS = ("/admin/", "/account/", "/organizations/")
_ANOTHER_WAY = ("/sign-out/", "/logout/", "/export/")  # leaves, or sends a file


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and (href := dict(attrs).get("href")):
            self.found.append(href)


def walk(client: Client) -> dict[str, tuple[int, str, str]]:
    """Every page that links lead to, from the console's first: status, text, and the page that led there."""
    seen: dict[str, tuple[int, str, str]] = {}
    kinds: Counter[str] = Counter()
    waiting = [("/admin/", "nowhere")]
    while waiting:
        path, source = waiting.pop(0)
        kind = _ID.sub("…", path)
        if path in seen or kinds[kind] >= _EACH:
            continue
        kinds[kind] += 1
        response = client.get(path, follow=True)
        text = response.content.decode()
        seen[path] = (response.status_code, text, source)
        links = _Links()
        links.feed(text)
        for href in links.found:
            parts = urlsplit(urljoin(path, href))
            # Of what follows the question mark, lists have every order and filter; forms have what they begin with.
            target = parts.path + (f"?{parts.query}" if parts.path.endswith("/add/") and parts.query else "")
            if not parts.netloc and target.startswith(_OURS) and not any(way in target for way in _ANOTHER_WAY):
                waiting.append((target, path))
    return seen


@pytest.fixture
def full(acme: Organization, acmes: Rows) -> Organization:
    """With a policy at work, and somebody who comes by single sign-on."""
    policy_attach(policy=acmes["policies_policy"], layer="service", service=acmes["services_service"], actor=COMMAND)
    return acme


@pytest.fixture
def client_of(signed_in: Any, full: Organization) -> Any:
    def make(role: str) -> Client:
        if role != "staff":
            client: Client = signed_in(role)
        else:
            client = Client()
            client.force_login(User.objects.create_superuser("operator@installation.test"))
        membership = Membership.objects.filter(organization=full).first()
        if membership is not None:
            Identity.objects.create(
                user=membership.user, issuer="https://id.test", subject="somebody", email=membership.user.email
            )
        return client

    return make


@pytest.mark.parametrize("role", [*Role, "staff"])
def test_no_link_leads_to_a_refusal_and_no_page_shows_a_pair_for_its_badge(client_of: Any, role: str) -> None:
    seen = walk(client_of(role))

    assert len(seen) > 10
    assert {path: (status, source) for path, (status, _text, source) in seen.items() if status != 200} == {}
    assert [path for path, (_status, text, _source) in seen.items() if "(&#x27;" in text or "('" in _words(text)] == []


def _words(text: str) -> str:
    """What is read of a page."""
    return re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>|<pre.*?</pre>", "", text, flags=re.DOTALL)
