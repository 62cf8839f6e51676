"""The whole flow with an OpenID provider that others wrote, over HTTP and over sockets."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.test import Client
from oidc_provider_mock import User, run_server_in_thread

from tests.sso.conftest import configure
from tests.sso.test_sign_in import signed_in_as

if TYPE_CHECKING:
    from apps.orgs.models import Organization

pytestmark = pytest.mark.django_db

PEOPLE = (
    User(sub="ana", claims={"email": "ana@acme.test", "email_verified": True, "name": "Ana", "groups": ["ops"]}),
    User(sub="eve", claims={"email": "eve@acme.test", "email_verified": False}),
)


@pytest.fixture
def mock(settings: Any) -> Iterator[str]:
    with run_server_in_thread(user_claims=PEOPLE, require_nonce=True) as server:
        issuer = f"http://localhost:{server.server_port}"
        configure(settings, issuer)
        yield issuer


def there_and_back(browser: Client, subject: str, **form: str) -> Any:
    left = browser.get("/sso/start/")
    back = httpx.post(left["Location"], data={"sub": subject, **form}, follow_redirects=False)
    assert back.status_code == 302, back.text
    return browser.get("/sso/callback/", dict(parse_qsl(urlsplit(back.headers["location"]).query)))


def test_a_person_signs_in_and_groups_give_the_role(mock: str, acme: "Organization", settings: Any):
    from apps.orgs.models import Membership

    settings.OIDC_GROUP_ROLES = {"ops": "admin"}
    browser = Client()

    answer = there_and_back(browser, "ana")

    assert answer["Location"] == "/admin/"
    assert signed_in_as(browser) == "ana@acme.test"
    assert Membership.objects.get().role == "admin"


def test_an_e_mail_that_is_not_verified_there_signs_nobody_in(mock: str, acme: "Organization"):
    browser = Client()

    answer = there_and_back(browser, "eve")

    assert answer.status_code == 403
    assert b"email_unverified" in answer.content
    assert signed_in_as(browser) is None


def test_who_declines_there_is_not_signed_in(mock: str, acme: "Organization"):
    browser = Client()

    answer = there_and_back(browser, "ana", action="deny")

    assert answer.status_code == 403
    assert b"cancelled" in answer.content


def test_a_code_works_once_there_too(mock: str, acme: "Organization"):
    browser, second = Client(), Client()
    left = browser.get("/sso/start/")
    back = dict(parse_qsl(urlsplit(httpx.post(left["Location"], data={"sub": "ana"}).headers["location"]).query))
    browser.get("/sso/callback/", back)
    state = dict(parse_qsl(urlsplit(second.get("/sso/start/")["Location"]).query))["state"]

    answer = second.get("/sso/callback/", {**back, "state": state})

    assert answer.status_code == 502
    assert b"provider_refused" in answer.content
    assert signed_in_as(second) is None
