"""Every answer of the suite is looked through for secrets (tests/support/leaks.py): that finds what it is there to find."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from apps.orgs.actions import sign_in_link_issue
from apps.orgs.models import SignInLink, User
from apps.orgs.people.adapter import SecondFactorAdapter
from apps.providers.models import Credential
from apps.services.models import Token
from tests.api.conftest import ACTOR, UPSTREAM_SECRET, Api
from tests.support.leaks import MIDDLEWARE, looked_through, watch

type Answered = Callable[[Any], list[str]]


@pytest.fixture
def answered(db: None) -> Iterator[Answered]:
    """What is found in an answer of this text, which fails no test here."""

    def answer(text: Any) -> list[str]:
        if not isinstance(text, HttpResponse | StreamingHttpResponse):
            text = HttpResponse(text)
        response = looked_through(lambda _request: text)(RequestFactory().get("/somewhere"))
        if response.streaming:
            list(response.streaming_content)
        found, watch.found[:] = list(watch.found), []
        return found

    return answer


@pytest.fixture
def made(api: Api, service: Any) -> dict[str, Any]:
    """A token, as the API issues it."""
    return api.post("tokens", {"service": str(service.pk), "name": "production"})


def test_every_answer_of_this_process_is_looked_through():
    assert django_settings.MIDDLEWARE[0] == MIDDLEWARE


def test_digests_are_found_however_they_are_written(made: dict[str, Any], answered: Answered):
    digest = bytes(Token.objects.get().digest)
    written = [
        digest.hex(),
        digest.hex().upper(),
        f"sha256-{digest.hex()}",
        base64.b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
        repr(digest),
        json.dumps({"digest": str(digest)}),
    ]
    for text in written:
        assert answered(f"<p>{text}</p>") == ["GET /somewhere answers with Token.digest"], text
    assert answered(StreamingHttpResponse([b"a", digest.hex().encode()])) == [
        "GET /somewhere answers with Token.digest"
    ]
    assert answered(HttpResponse("", headers={"X-It": digest.hex()})) == [
        "GET /somewhere (headers) answers with Token.digest"
    ]
    assert answered(json.dumps({name: value for name, value in made.items() if name != "token"})) == []


def test_what_is_shown_once_is_found_the_second_time(made: dict[str, Any], owner: User, answered: Answered):
    assert answered(f"it is {made['token']}.") == [
        "GET /somewhere answers with what Token.digest is a digest of, which it did not make"
    ]
    link = sign_in_link_issue(user=owner, actor=ACTOR)
    assert SignInLink.objects.exists()
    assert answered(link) == [
        "GET /somewhere answers with what SignInLink.digest is a digest of, which it did not make"
    ]


def test_an_answer_given_again_may_hold_it_again(api: Api, service: Any):
    body = {"service": str(service.pk), "name": "production"}
    first, again = (api.post("tokens", body, Idempotency_Key="k") for _ in range(2))
    assert first == again
    assert watch.found == []


def test_a_signing_secret_is_shown_by_the_request_that_made_it_alone(api: Api, answered: Answered, loopback: None):
    made = api.post("webhooks", {"url": "http://127.0.0.1:9/hook"})
    assert watch.found == []
    api.patch(f"webhooks/{made['id']}", {"enabled": False})
    assert answered(made["signing_secret"]) == ["GET /somewhere answers with Webhook's secret in the clear"]


def test_what_is_sealed_is_found_sealed_and_in_the_clear(api: Api, owner: User, answered: Answered):
    api.post("credentials", {"provider": "openai", "label": "main", "secret": UPSTREAM_SECRET})
    sealed = bytes(Credential.objects.get().sealed_secret)
    assert answered(sealed.hex()) == ["GET /somewhere answers with Credential.sealed_secret"]
    assert answered(UPSTREAM_SECRET) == ["GET /somewhere answers with Credential's secret in the clear"]
    seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    Authenticator.objects.create(user=owner, type="totp", data={"secret": SecondFactorAdapter().encrypt(seed)})
    assert answered(seed) == ["GET /somewhere answers with Authenticator.secret in the clear"]


def test_password_hashes_and_sessions_are_found(owner: User, answered: Answered):
    Client().force_login(owner)
    assert answered(owner.password) == ["GET /somewhere answers with User.password"]
    [found] = answered(Session.objects.get().session_key)
    assert found.endswith("ession.session_key")


def test_an_answer_with_a_secret_fails_the_test_that_asked(made: dict[str, Any]):
    looked_through(lambda _request: HttpResponse(made["token"]))(RequestFactory().get("/somewhere"))

    with pytest.raises(AssertionError, match="GET /somewhere answers with"):
        watch.check()
