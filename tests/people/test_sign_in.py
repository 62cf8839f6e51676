"""Signing in with a password: who gets in, who does not, and that nobody learns from the answer who has an account."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.core.actor import Actor
from apps.orgs.actions import owner_create, sign_in_link_issue, user_create, user_update
from apps.orgs.models import Organization, User
from apps.orgs.people.checks import somebody_can_sign_in
from tests.control.recorded import events
from tests.people.conftest import ACTOR, PASSWORD, sign_in


def attempt(email: str, password: str, client: Client | None = None, **options: Any) -> Any:
    return (client or Client()).post("/sign-in/", {"login": email, "password": password}, **options)


def without_token(html: bytes, email: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", html.decode()).replace(email, "…")


def test_the_right_password_opens_the_console(owner: User) -> None:
    client = Client()
    response = attempt("Owner@Acme.test", PASSWORD, client)

    assert response["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    (event,) = events("user.signed_in")
    assert (event.actor_label, event.address, event.after) == (owner.email, "127.0.0.1", {"by": ["password"]})


def test_a_wrong_password_leaves_an_event_and_no_session(owner: User) -> None:
    client = Client()
    response = attempt(owner.email, "wrong", client)

    assert response.status_code == 200
    assert "do not belong together" in response.content.decode()
    assert client.get("/admin/").status_code == 302
    (event,) = events("user.sign_in_failed")
    assert (event.target_id, event.actor_label, event.after) == (owner.pk, owner.email, {"account": True})
    assert "wrong" not in str(event.__dict__)


def test_the_answer_is_the_same_for_an_account_and_for_none(owner: User) -> None:
    known = attempt(owner.email, "wrong")
    unknown = attempt("nobody@acme.test", "wrong")

    assert known.status_code == unknown.status_code
    assert without_token(known.content, owner.email) == without_token(unknown.content, "nobody@acme.test")
    assert known.headers.keys() == unknown.headers.keys()


def test_a_password_is_hashed_as_often_for_an_account_as_for_none(
    owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth import hashers

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    owner.set_password(PASSWORD)
    owner.save()
    hashed: list[str] = []
    encode, verify = hashers.Argon2PasswordHasher.encode, hashers.Argon2PasswordHasher.verify
    monkeypatch.setattr(
        hashers.Argon2PasswordHasher, "encode", lambda self, *rest: hashed.append("encode") or encode(self, *rest)
    )
    monkeypatch.setattr(
        hashers.Argon2PasswordHasher, "verify", lambda self, *rest: hashed.append("verify") or verify(self, *rest)
    )
    counts = []
    for email in (owner.email, "nobody@acme.test"):
        hashed.clear()
        attempt(email, "wrong")
        counts.append(len(hashed))

    assert counts == [1, 1]


def test_who_is_switched_off_does_not_get_in(owner: User, acme: Organization) -> None:
    owner_create(organization=acme, email="second@acme.test", password=None, actor=ACTOR)
    client = sign_in(owner)
    user_update(user=owner, is_active=False, actor=ACTOR)

    assert client.get("/admin/").status_code == 302
    again = Client()
    assert attempt(owner.email, PASSWORD, again)["Location"] == "/sign-in/switched-off/"
    assert again.get("/admin/").status_code == 302
    assert again.get("/sign-in/switched-off/").status_code == 200


def test_the_console_leads_to_the_sign_in_page_and_back(owner: User) -> None:
    client = Client()
    led = client.get("/admin/services/service/", follow=True)
    assert led.request["PATH_INFO"] == "/sign-in/"
    assert 'name="next" value="/admin/services/service/"' in led.content.decode()

    response = client.post(
        "/sign-in/", {"login": owner.email, "password": PASSWORD, "next": "/admin/services/service/"}
    )
    assert response["Location"] == "/admin/services/service/"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "http://testserver.evil.example/",
        "http://testserver@evil.example/",
    ],
)
def test_nobody_is_led_elsewhere(owner: User, elsewhere: str) -> None:
    client = Client()
    response = client.post("/sign-in/", {"login": owner.email, "password": PASSWORD, "next": elsewhere})
    assert response["Location"] == "/admin/"

    assert client.post("/account/sign-out/", {"next": elsewhere})["Location"] == "/sign-in/"


def test_the_session_is_a_new_one_after_signing_in(owner: User) -> None:
    client = Client()
    client.get("/sign-in/forgotten/")
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key

    attempt(owner.email, PASSWORD, client)

    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


@pytest.mark.parametrize(
    "path", ["/sign-in/", "/sign-in/forgotten/", "/account/sign-out/", "/account/", "/account/password/", "/setup/"]
)
def test_a_form_from_elsewhere_is_refused(owner: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)

    assert client.post(path, {"login": owner.email, "password": PASSWORD}).status_code == 403


def test_guessing_a_password_is_limited_by_address_and_by_account(owner: User) -> None:
    for _ in range(10):
        assert attempt(owner.email, "wrong").status_code == 200
    limited = attempt(owner.email, "wrong")
    assert limited.status_code == 429
    assert 1 <= int(limited["Retry-After"]) <= 60

    elsewhere = [attempt(owner.email, "wrong", REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(20)]
    assert 429 in elsewhere
    assert attempt("other@acme.test", "wrong", REMOTE_ADDR="192.0.2.99").status_code == 200


def test_all_addresses_of_one_network_of_ipv6_count_as_one(db: None) -> None:
    """Whoever has one of them has all 2⁶⁴."""
    codes = [
        attempt(f"{n}@acme.test", "wrong", REMOTE_ADDR=f"2001:db8:1:2:{n:x}::{n:x}").status_code for n in range(1, 12)
    ]
    assert codes == [200] * 10 + [429]
    assert attempt("other@acme.test", "wrong", REMOTE_ADDR="2001:db8:1:3::1").status_code == 200


def test_people_can_sign_in_while_valkey_is_away(owner: User, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": backend}

    assert attempt(owner.email, PASSWORD).status_code == 302
    assert "Valkey cannot be reached" in caplog.text


def test_signing_out_ends_the_session_by_post_only(owner: User) -> None:
    client = sign_in(owner)
    assert client.get("/account/sign-out/").status_code == 200
    assert client.get("/admin/").status_code == 200

    client.post("/admin/logout/")

    assert client.get("/admin/").status_code == 302
    assert [event.target_id for event in events("user.signed_out")] == [owner.pk]


def test_who_belongs_nowhere_is_told_so_and_not_led_in_circles(db: None) -> None:
    visitor = User.objects.create_user("visitor@acme.test", PASSWORD)
    response = sign_in(visitor).get("/admin/", follow=True)

    assert response.status_code == 403
    assert "visitor@acme.test" in response.content.decode()


def test_accounts_are_made_by_invitation(db: None) -> None:
    form = {"email": "new@acme.test", "password1": PASSWORD, "password2": PASSWORD}
    for response in (Client().get("/sign-in/new/"), Client().post("/sign-in/new/", form)):
        assert "by invitation" in response.content.decode()
    assert not User.objects.exists()


def test_a_sign_in_link_is_in_no_page_that_a_browser_keeps(owner: User) -> None:
    path = sign_in_link_issue(user=owner, actor=ACTOR)
    for response in (Client().get("/sign-in/"), Client().get(path), sign_in(owner).get("/account/")):
        assert "no-store" in response["Cache-Control"]


# --- Without passwords ---


def test_where_passwords_are_turned_off_none_signs_in(owner: User, settings: Any) -> None:
    settings.EMAIL_AUTH_DISABLED = True

    assert 'type="password"' not in Client().get("/sign-in/").content.decode()
    assert attempt(owner.email, PASSWORD).status_code == 404
    assert Client().get("/sign-in/forgotten/").status_code == 404
    client = Client()
    assert not client.login(email=owner.email, password=PASSWORD)
    client.post(sign_in_link_issue(user=owner, actor=ACTOR))
    assert client.get("/admin/").status_code == 200


def test_turning_passwords_off_without_single_sign_on_is_refused(settings: Any) -> None:
    settings.OIDC_ISSUER = ""
    assert somebody_can_sign_in() == []
    settings.EMAIL_AUTH_DISABLED = True
    assert [error.id for error in somebody_can_sign_in()] == ["people.E001"]
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = "https://id.example", "tollgate"
    assert somebody_can_sign_in() == []


# --- Addresses ---


def test_addresses_are_kept_in_step_with_users(acme: Organization) -> None:
    from allauth.account.models import EmailAddress

    user = user_create(email="A@acme.test", password=None, actor=ACTOR)
    assert [(row.email, row.primary, row.verified) for row in EmailAddress.objects.all()] == [
        ("a@acme.test", True, True)
    ]

    user_update(user=user, email="b@acme.test", actor=Actor.system("command"))
    assert [(row.email, row.verified) for row in EmailAddress.objects.all()] == [("b@acme.test", True)]
    assert attempt("a@acme.test", PASSWORD).status_code == 200
