"""An organization, an identity provider on a real socket, and a browser that goes there and back."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from apps.core.actor import Actor
from apps.core.env import networks
from tests.sso.provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from apps.orgs.models import Organization

ACTOR = Actor(door="command", label="ops", address="192.0.2.7")
PASSWORD = "correct horse battery staple"

type SignIn = Callable[..., HttpResponse]


@pytest.fixture
def acme(db: None) -> "Organization":
    from apps.orgs.actions import organization_create

    return organization_create(name="Acme", slug="acme", actor=ACTOR)


@pytest.fixture
def idp(settings: Any) -> Iterator[IdentityProvider]:
    """The provider, and settings under which everybody at acme.test may join."""
    with IdentityProvider() as provider:
        configure(settings, provider.issuer)
        yield provider


def configure(settings: Any, issuer: str) -> None:
    settings.EGRESS_ALLOW = networks("127.0.0.0/8,::1")
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = issuer, CLIENT_ID, CLIENT_SECRET
    settings.OIDC_PROVIDER_NAME = "Acme ID"
    settings.OIDC_AUTO_JOIN, settings.OIDC_ALLOWED_DOMAINS = True, ["acme.test"]
    settings.PUBLIC_URL = "http://testserver"


@pytest.fixture
def browser() -> Client:
    return Client()


@pytest.fixture
def sign_in(idp: IdentityProvider, browser: Client) -> SignIn:
    """There and back. `then` changes what the browser brings back."""

    def there_and_back(*, client: Client = browser, to: str = "", **then: str) -> HttpResponse:
        left = client.get("/sso/start/", {"next": to} if to else {})
        assert left.status_code == 302, left.content
        return client.get("/sso/callback/", {**idp.approves(left["Location"]), **then})

    return there_and_back


@pytest.fixture(autouse=True)
def _fresh_cache(settings: Any) -> None:
    """Valkey outlives a test: each remembers under names of its own."""
    settings.RATELIMIT_CACHE_PREFIX = f"{uuid4().hex}:"
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid4().hex}}


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Argon2 is slow on purpose; here nobody guesses."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
