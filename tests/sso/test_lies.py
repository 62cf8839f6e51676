"""An identity provider that is down, slow or lying: a page that says what to do, never a 500, never a session."""

import base64
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from tests.sso.conftest import SignIn, configure
from tests.sso.provider import GOOD, OTHER, IdentityProvider
from tests.sso.test_sign_in import events, signed_in_as

if TYPE_CHECKING:
    from apps.orgs.models import Organization

pytestmark = pytest.mark.django_db
HOUR = 3600
DEEP = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 200_000).rstrip(b"=").decode()


def assert_refused(answer: Any, browser: Client, status: int, code: str, *, event: bool = True) -> str:
    """A page with the code and a way on; no session, no user, no connection; an event that says why."""
    from apps.orgs.models import User
    from apps.orgs.sso.models import Identity

    page = answer.content.decode()
    assert answer.status_code == status, page
    assert f"<code>{code}</code>" in page
    assert 'href="/sso/start/' in page
    assert answer["Cache-Control"].find("no-store") >= 0
    assert signed_in_as(browser) is None
    assert not User.objects.exists()
    assert not Identity.objects.exists()
    assert [said.after["code"] for said in events("sso.refused")] == ([code] if event else [])
    return page


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({"aud": "another-application"}, 502, "token_audience"),
        ({"aud": ["another-application"]}, 502, "token_audience"),
        ({"aud": None}, 502, "token_audience"),
        ({"aud": ["tollgate", "another-application"]}, 502, "token_audience"),  # and no azp
        ({"aud": ["tollgate", "another"], "azp": "another"}, 502, "token_audience"),
        ({"azp": "another-application"}, 502, "token_audience"),
        ({"iss": "https://accounts.example"}, 502, "token_issuer"),
        ({"iss": None}, 502, "token_issuer"),
        ({"nonce": "of-another-sign-in"}, 502, "token_nonce"),
        ({"nonce": None}, 502, "token_nonce"),
        ({"exp": int(time.time()) - HOUR, "iat": int(time.time()) - 2 * HOUR}, 502, "token_expired"),
        ({"exp": None}, 502, "token_claims"),
        ({"iat": int(time.time()) + HOUR}, 502, "token_expired"),
        ({"nbf": int(time.time()) + HOUR}, 502, "token_expired"),
        ({"sub": None}, 502, "token_claims"),
        ({"sub": ""}, 502, "token_claims"),
        ({"sub": "x" * 256}, 502, "token_claims"),
        ({"sub": 1001}, 502, "token_unreadable"),
        ({"sub": "a\0b"}, 502, "token_claims"),
        ({"sub": "\ud800"}, 502, "token_claims"),
        ({"nonce": "\ud800"}, 502, "token_nonce"),
        ({"nonce": {"a": 1}}, 502, "token_nonce"),
        ({"iss": ["a"]}, 502, "token_issuer"),
        ({"iss": "\0"}, 502, "token_issuer"),
        ({"aud": {"tollgate": 1}}, 502, "token_audience"),
        ({"exp": float("inf")}, 502, "token_unreadable"),
        ({"exp": "tomorrow"}, 502, "token_unreadable"),
        ({"exp": {}}, 502, "token_unreadable"),
        ({"email": None}, 403, "email_missing"),
        ({"email": "no e-mail"}, 403, "email_missing"),
        ({"email": "\0@acme.test"}, 403, "email_missing"),
        ({"email": '"\x01"@acme.test'}, 403, "email_missing"),
        ({"email": "\ud800@acme.test"}, 403, "email_missing"),
        ({"email": "\u0130@acme.test"}, 403, "email_missing"),
        ({"email": "a" * 250 + "@acme.test"}, 403, "email_missing"),
        ({"email": ["ana@acme.test"]}, 403, "email_missing"),
        ({"email_verified": False}, 403, "email_unverified"),
        ({"email_verified": None}, 403, "email_unverified"),
        ({"email_verified": "false"}, 403, "email_unverified"),
        ({"email_verified": 1}, 403, "email_unverified"),
        ({"email": "eve@evil.example"}, 403, "domain_refused"),
        ({"email": "eve@sub.acme.test"}, 403, "domain_refused"),
        ({"email": "eve@notacme.test"}, 403, "domain_refused"),
        ({"email": "acme.test@evil.example"}, 403, "domain_refused"),
    ],
)
def test_a_token_that_says_the_wrong_thing_signs_nobody_in(
    sign_in: SignIn,
    idp: IdentityProvider,
    browser: Client,
    acme: "Organization",
    claims: dict[str, Any],
    status: int,
    code: str,
):
    idp.claims = claims

    assert_refused(sign_in(), browser, status, code)

    idp.claims = {}
    sign_in()
    assert signed_in_as(browser) == "ana@acme.test"  # the same, told the truth


@pytest.mark.parametrize(
    ("algorithm", "headers", "key", "code"),
    [
        ("RS256", {"kid": "good"}, OTHER, "token_signature"),  # another's key under the name of a published one
        ("RS256", {"kid": "other"}, OTHER, "token_signature"),  # a key that is not published
        ("RS256", {"kid": "other", "jwk": OTHER.public()}, OTHER, "token_signature"),  # brought along
        ("RS256", {"kid": "other", "jku": "https://evil.example/keys"}, OTHER, "token_signature"),
        ("RS512", {"kid": "good"}, GOOD, "token_signature"),  # the key is for RS256
        ("none", {"kid": "good"}, GOOD, "token_algorithm"),
        ("HS256", {"kid": "good"}, GOOD, "token_algorithm"),
    ],
)
def test_a_token_that_is_not_signed_by_a_published_key_signs_nobody_in(
    sign_in: SignIn,
    idp: IdentityProvider,
    browser: Client,
    acme: "Organization",
    algorithm: str,
    headers: dict[str, Any],
    key: Any,
    code: str,
):
    idp.algorithm, idp.headers, idp.key = algorithm, headers, key

    assert_refused(sign_in(), browser, 502, code)


def test_a_key_that_is_new_is_fetched(sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"):
    sign_in()
    idp.key, idp.published, idp.headers = OTHER, [GOOD, OTHER], {"kid": "other"}
    again = Client()

    sign_in(client=again)

    assert signed_in_as(again) == "ana@acme.test"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"id_token": None}, 502, "token_unreadable"),
        ({"id_token": "not.a.token"}, 502, "token_unreadable"),
        ({"id_token": ""}, 502, "token_unreadable"),
        ({"id_token": {"sub": "1001"}}, 502, "token_unreadable"),
        ({"id_token": "\u00e9.\u00e9.\u00e9"}, 502, "token_unreadable"),
        ({"id_token": f"{DEEP}.{DEEP}.x"}, 502, "token_unreadable"),
    ],
)
def test_an_answer_without_a_token_signs_nobody_in(
    sign_in: SignIn,
    idp: IdentityProvider,
    browser: Client,
    acme: "Organization",
    answer: dict[str, Any],
    status: int,
    code: str,
):
    idp.token_answer = answer

    assert_refused(sign_in(), browser, status, code)


def test_userinfo_about_somebody_else_signs_nobody_in(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": None}
    idp.userinfo = {"sub": "2002", "email": "boss@acme.test", "email_verified": True}

    assert_refused(sign_in(), browser, 502, "userinfo_subject")


def test_an_e_mail_is_not_verified_by_what_is_said_of_another(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": "boss@acme.test", "email_verified": None, "name": None}
    idp.userinfo = {"email": "ana@acme.test", "email_verified": True}

    assert_refused(sign_in(), browser, 403, "email_unverified")


def test_a_token_that_calls_an_e_mail_verified_means_none_that_it_does_not_name(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": None, "email_verified": True, "name": None}
    idp.userinfo = {"email": "boss@acme.test", "email_verified": False}

    assert_refused(sign_in(), browser, 403, "email_unverified")


def test_a_letter_that_only_looks_like_another_makes_another_address(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": "ni\N{KELVIN SIGN}o@acme.test"}

    assert_refused(sign_in(), browser, 403, "email_missing")


def test_a_provider_that_never_says_whether_e_mails_are_verified_can_be_trusted_with_them(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization", settings: Any
):
    settings.OIDC_TRUST_EMAILS = True
    idp.claims = {"email_verified": False}
    assert sign_in().status_code == 403
    idp.claims = {"email_verified": None}

    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"


# --- Down ---


def test_a_provider_that_is_down_from_the_start_gives_a_page(
    idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.stop()

    page = assert_refused(browser.get("/sso/start/"), browser, 503, "provider_unreachable", event=False)

    assert "Acme ID does not answer." in page


@pytest.mark.parametrize(
    ("path", "broken", "status", "code"),
    [
        ("/token", (500, b""), 503, "provider_unreachable"),
        ("/token", (200, b"<html>"), 502, "provider_answer"),
        ("/token", (200, b"[]"), 502, "provider_answer"),
        ("/token", (200, b"x" * (2 << 20)), 502, "provider_answer"),
        ("/token", (302, b""), 502, "provider_refused"),
        ("/token", (401, b'{"error": "invalid_client"}'), 502, "provider_refused"),
        ("/keys", (500, b""), 502, "provider_answer"),
        ("/keys", (200, b'{"keys": 1}'), 502, "provider_discovery"),
        ("/token", (400, b'{"error": "\\u0000\\u001b"}'), 502, "provider_refused"),
        ("/keys", (200, b'{"keys": [{"kty": "RSA", "kid": "good", "n": 1, "e": null}]}'), 502, "token_signature"),
        ("/keys", (200, b'{"keys": []}'), 502, "token_signature"),
        ("/keys", (200, b'{"keys": [1, {"kty": "RSA", "kid": "good"}]}'), 502, "token_signature"),
        (
            "/keys",
            (200, b'{"keys": [{"kty": "RSA", "kid": "good", "n": "AQAB", "e": "AQAB"}]}'),
            502,
            "token_signature",
        ),
    ],
)
def test_a_provider_that_breaks_half_way_gives_a_page(
    sign_in: SignIn,
    idp: IdentityProvider,
    browser: Client,
    acme: "Organization",
    path: str,
    broken: tuple[int, bytes],
    status: int,
    code: str,
):
    idp.breaks[path] = broken

    assert_refused(sign_in(), browser, status, code)


def test_a_provider_that_goes_down_half_way_gives_a_page(idp: IdentityProvider, browser: Client, acme: "Organization"):
    back = idp.approves(browser.get("/sso/start/")["Location"])
    idp.stop()

    assert_refused(browser.get("/sso/callback/", back), browser, 503, "provider_unreachable")


def test_a_provider_that_never_answers_is_waited_for_no_longer_than_the_limit(
    browser: Client, acme: "Organization", settings: Any, monkeypatch: pytest.MonkeyPatch
):
    import socket

    from apps.orgs.sso import fetching

    monkeypatch.setattr(fetching, "TIME_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(settings, f"http://127.0.0.1:{silent.getsockname()[1]}")

        assert_refused(browser.get("/sso/start/"), browser, 503, "provider_unreachable", event=False)


def test_what_is_known_of_a_provider_is_remembered_while_its_description_is_away(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization", monkeypatch: pytest.MonkeyPatch
):
    from apps.orgs.sso import provider

    browser.get("/sso/start/")
    monkeypatch.setattr(provider, "FRESH", -1)
    idp.breaks["/.well-known/openid-configuration"] = (503, b"")

    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"
    assert [path for path, *_ in idp.asked].count("/.well-known/openid-configuration") >= 2


def test_what_is_known_of_a_provider_is_not_asked_for_at_every_sign_in(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization"
):
    sign_in()
    sign_in(client=Client())

    paths = [path for path, *_ in idp.asked]
    assert (paths.count("/.well-known/openid-configuration"), paths.count("/keys")) == (1, 1)


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://accounts.example"},
        {"issuer": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:secret@idp.example/"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"token_endpoint": "https://[::1/"},
        {"token_endpoint": "https://idp.example:99999/"},
        {"jwks_uri": "//idp.example/keys"},
        {"jwks_uri": ["x"]},
    ],
)
def test_a_description_that_cannot_be_right_is_not_followed(
    idp: IdentityProvider, browser: Client, acme: "Organization", described: dict[str, Any]
):
    idp.discovery = described

    assert_refused(browser.get("/sso/start/"), browser, 502, "provider_discovery", event=False)


def test_a_provider_in_the_private_network_is_not_called_unless_allowed(
    idp: IdentityProvider, browser: Client, acme: "Organization", settings: Any
):
    settings.EGRESS_ALLOW = ()

    assert_refused(browser.get("/sso/start/"), browser, 503, "provider_unreachable", event=False)
    assert idp.asked == []


# --- The browser's part ---


def test_a_way_back_works_once(idp: IdentityProvider, browser: Client, acme: "Organization"):
    back = idp.approves(browser.get("/sso/start/")["Location"])
    browser.get("/sso/callback/", back)
    browser.logout()

    answer = browser.get("/sso/callback/", back)

    assert answer.status_code == 400
    assert b"sign_in_unknown" in answer.content
    assert signed_in_as(browser) is None


def test_a_way_back_that_was_refused_does_not_work_later(idp: IdentityProvider, browser: Client, acme: "Organization"):
    back = idp.approves(browser.get("/sso/start/")["Location"])
    idp.breaks["/token"] = (500, b"")
    assert browser.get("/sso/callback/", back).status_code == 503
    del idp.breaks["/token"]

    assert browser.get("/sso/callback/", back).status_code == 400
    assert signed_in_as(browser) is None


def test_another_browser_cannot_use_the_way_back(idp: IdentityProvider, browser: Client, acme: "Organization"):
    back = idp.approves(browser.get("/sso/start/")["Location"])
    victim = Client()
    victim.get("/sso/start/")

    assert_refused(victim.get("/sso/callback/", back), victim, 400, "sign_in_unknown", event=False)


@pytest.mark.parametrize("query", [{}, {"code": "x"}, {"state": "x"}, {"code": "x", "state": "x"}, {"error": "x"}])
def test_a_made_up_way_back_gives_a_page_and_ends_no_session(
    sign_in: SignIn, browser: Client, acme: "Organization", query: dict[str, str]
):
    sign_in()

    assert browser.get("/sso/callback/", query).status_code == 400
    assert signed_in_as(browser) == "ana@acme.test"
    assert events("sso.refused") == []


@pytest.mark.parametrize(
    ("said", "status", "code"), [("access_denied", 403, "cancelled"), ("<b>\0", 502, "provider_refused")]
)
def test_a_person_who_turns_back_at_the_provider_gets_a_page(
    idp: IdentityProvider, browser: Client, acme: "Organization", said: str, status: int, code: str
):
    state = idp.approves(browser.get("/sso/start/")["Location"])["state"]

    page = assert_refused(browser.get("/sso/callback/", {"error": said, "state": state}), browser, status, code)

    assert "<b>" not in page
    assert browser.get("/sso/callback/", {"error": said, "state": state}).status_code == 400


def test_an_answer_of_another_provider_is_refused(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    assert_refused(sign_in(iss="https://accounts.example"), browser, 502, "token_issuer")
    assert [path for path, *_ in idp.asked if path == "/token"] == []  # the code went nowhere


def test_a_provider_that_names_itself_in_answers_must(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.discovery = {"authorization_response_iss_parameter_supported": True}

    assert_refused(sign_in(), browser, 502, "token_issuer")
    sign_in(iss=idp.issuer)
    assert signed_in_as(browser) == "ana@acme.test"


def test_beginning_too_often_is_429_with_a_time_to_wait(idp: IdentityProvider, browser: Client, acme: "Organization"):
    answers = [browser.get("/sso/start/") for _ in range(201)]

    assert [answer.status_code for answer in answers] == [302] * 200 + [429]
    assert int(answers[-1]["Retry-After"]) >= 1


def test_passwords_are_none_of_its_business(idp: IdentityProvider, browser: Client, acme: "Organization"):
    from apps.orgs.actions import user_create
    from tests.sso.conftest import ACTOR, PASSWORD

    user_create(email="ana@acme.test", password=PASSWORD, actor=ACTOR)

    assert browser.login(username="ana@acme.test", password=PASSWORD)
    assert not Client().login(username="ana@acme.test", password="wrong")
    assert idp.asked == []


@pytest.mark.django_db(transaction=True)
def test_first_sign_ins_at_the_same_moment_make_one_user(idp: IdentityProvider, settings: Any):
    from django.db import connections

    from apps.orgs.actions import organization_create
    from apps.orgs.models import User
    from tests.sso.conftest import ACTOR

    organization_create(name="Acme", slug="acme", actor=ACTOR)
    browsers = [Client() for _ in range(6)]
    backs = [idp.approves(client.get("/sso/start/")["Location"]) for client in browsers]
    gate, statuses = threading.Barrier(len(browsers)), []

    def arrive(client: Client, back: dict[str, str]) -> None:
        gate.wait()
        statuses.append(client.get("/sso/callback/", back).status_code)
        connections.close_all()

    threads = [threading.Thread(target=arrive, args=pair) for pair in zip(browsers, backs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [302] * 6
    assert User.objects.count() == 1
    assert len(events("sso.connected")) == 1
