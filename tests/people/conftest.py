"""People of one organization, and what they prove themselves with."""

import base64
import hashlib
import hmac
import re
import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.core.actor import Actor
from tests.support.mail import MailSink

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from apps.orgs.models import Organization, User

ACTOR = Actor(door="api", label="ana@acme.test", address="192.0.2.7")
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Argon2 is slow on purpose; here nobody guesses."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_limits(settings: Any) -> None:
    """Attempts are counted in Valkey, which outlives a test: each counts under a name of its own."""
    settings.RATELIMIT_CACHE_PREFIX = f"{uuid4().hex}:"


@pytest.fixture
def acme(db: None) -> "Organization":
    from apps.orgs.actions import organization_create

    return organization_create(name="Acme", slug="acme", actor=ACTOR)


@pytest.fixture
def owner(acme: "Organization") -> "User":
    from apps.orgs.actions import owner_create

    return owner_create(organization=acme, email="owner@acme.test", password=PASSWORD, actor=ACTOR)


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    """A mail server that EMAIL_URL names."""
    from apps.core.mail import mail_server

    with MailSink() as sink:
        settings.EMAIL_SERVER = mail_server(sink.url)
        settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # as the settings have it where there is a mail server
        yield sink


def sign_in(user: "User", password: str = PASSWORD, **options: Any) -> Client:
    """A browser in which `user` has signed in with a password; half, where there is a second factor."""
    client = Client(**options)
    response = client.post("/sign-in/", {"login": user.email, "password": password})
    assert response.status_code == 302, response.content
    return client


def totp_code(secret: str, *, steps: int = 0) -> str:
    """What an authenticator app shows now, or `steps` half minutes later (RFC 6238)."""
    counter = int(time.time()) // 30 + steps
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1).digest()
    at = digest[-1] & 0x0F
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def add_app(client: Client) -> tuple[str, list[str]]:
    """Set an authenticator app up. Returns its key and the recovery codes that were shown."""
    page = client.get("/account/security/app/", follow=True)
    if page.redirect_chain:
        confirmed = client.post("/account/confirm/?next=/account/security/app/", {"password": PASSWORD}, follow=True)
        assert confirmed.status_code == 200
    secret = client.session["mfa.totp.secret"]
    done = client.post("/account/security/app/", {"code": totp_code(secret)}, follow=True)
    assert done.redirect_chain[-1][0] == "/account/security/recovery-codes/", done.content
    return secret, re.findall(r"\b\d{10}\b", done.content.decode())
