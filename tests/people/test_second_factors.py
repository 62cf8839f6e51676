"""Second factors: no session without them, each code once, and only whoever it is adds or removes them."""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client

from apps.core.actor import Actor
from apps.core.sealing import Keyring
from apps.orgs.actions import organization_update, sign_in_link_issue
from apps.orgs.keys.actions import key_issue
from apps.orgs.models import Organization, User
from apps.orgs.people.factors import second_factors_remove
from apps.orgs.secrets import secrets_reseal
from tests.control.recorded import events
from tests.people.conftest import ACTOR, PASSWORD, add_app, sign_in, totp_code


def half_signed_in(owner: User) -> Client:
    client = sign_in(owner)
    assert client.get("/admin/").status_code == 302, "a password alone is not enough"
    return client


def test_a_password_and_a_code_sign_in(owner: User, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        secret, _codes = add_app(sign_in(owner))
    client = half_signed_in(owner)

    response = client.post("/sign-in/second-factor/", {"code": totp_code(secret, steps=1)})

    assert response["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert events("user.signed_in")[-1].after == {"by": ["password", "totp"]}
    assert [event.after["factor"] for event in events("user.second_factor_added")] == ["totp", "recovery_codes"]


def test_a_wrong_code_does_not(owner: User) -> None:
    add_app(sign_in(owner))
    client = half_signed_in(owner)

    assert client.post("/sign-in/second-factor/", {"code": "000000"}).status_code == 200
    assert client.get("/admin/").status_code == 302
    assert [event.after for event in events("user.second_factor_failed")] == [{"factor": "totp"}]


def test_a_code_works_once(owner: User) -> None:
    secret, _codes = add_app(sign_in(owner))
    code = totp_code(secret, steps=1)
    assert half_signed_in(owner).post("/sign-in/second-factor/", {"code": code}).status_code == 302

    again = half_signed_in(owner)
    for spelled in (code, f"{code[:3]} {code[3:]}"):
        response = again.post("/sign-in/second-factor/", {"code": spelled})
        assert "used already" in response.content.decode()


def test_a_code_works_once_however_it_is_written(owner: User) -> None:
    """Also once the library has forgotten it, which it does while the code is still good."""
    from django.core.cache import cache

    secret, _codes = add_app(sign_in(owner))
    code = totp_code(secret, steps=1)
    assert half_signed_in(owner).post("/sign-in/second-factor/", {"code": code}).status_code == 302

    for written in (f"{code[:3]}-{code[3:]}", f"{code}.", f"({code})"):
        cache.delete(f"allauth.mfa.totp.used?user={owner.pk}&code={code}")
        response = half_signed_in(owner).post("/sign-in/second-factor/", {"code": written})
        assert response.status_code == 200, written


def test_guessing_codes_is_limited_by_person_from_wherever(owner: User) -> None:
    add_app(sign_in(owner))
    for n in range(5):
        client = half_signed_in(owner)
        for _ in range(2):
            guess = client.post("/sign-in/second-factor/", {"code": "000000"}, REMOTE_ADDR=f"192.0.2.{n}")
            assert guess.status_code == 200

    limited = half_signed_in(owner).post("/sign-in/second-factor/", {"code": "000000"}, REMOTE_ADDR="192.0.2.77")
    assert limited.status_code == 429
    assert int(limited["Retry-After"]) > 0


def test_a_recovery_code_works_once_and_is_shown_once(owner: User) -> None:
    client = sign_in(owner)
    _secret, codes = add_app(client)
    assert len(codes) == 10
    assert codes[0] not in client.get("/account/security/recovery-codes/").content.decode()

    assert half_signed_in(owner).post("/sign-in/second-factor/", {"code": codes[0]}).status_code == 302
    assert half_signed_in(owner).post("/sign-in/second-factor/", {"code": codes[0]}).status_code == 200


def test_a_sign_in_link_stands_for_the_password_only(owner: User) -> None:
    add_app(sign_in(owner))
    client = Client()

    response = client.post(sign_in_link_issue(user=owner, actor=ACTOR))

    assert response["Location"] == "/sign-in/second-factor/"
    assert client.get("/admin/").status_code == 302


def test_factors_are_changed_only_after_asking_who_it_is(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    for path in ("app/", "passkeys/add/", "recovery-codes/new/"):
        response = client.get(f"/account/security/{path}")
        assert response["Location"].startswith("/account/confirm/"), path

    client.post("/account/confirm/", {"password": "wrong"})
    assert client.get("/account/security/app/").status_code == 302
    client.post("/account/confirm/", {"password": PASSWORD})
    assert client.get("/account/security/app/").status_code == 200


def test_the_app_is_removed_with_an_event(owner: User) -> None:
    client = sign_in(owner)
    add_app(client)

    assert client.post("/account/security/app/remove/").status_code == 302

    assert not Authenticator.objects.exists()
    assert [event.after["factor"] for event in events("user.second_factor_removed")] == ["totp", "recovery_codes"]
    assert sign_in(owner).get("/admin/").status_code == 200


def test_somebody_elses_key_is_not_known_here(owner: User) -> None:
    other = User.objects.create_user("other@acme.test", PASSWORD)
    client = sign_in(owner)
    client.post("/account/confirm/", {"password": PASSWORD})
    key = Authenticator.objects.create(user=other, type="webauthn", data={"name": "theirs", "credential": {}})

    for path in ("", "remove/"):
        assert client.get(f"/account/security/passkeys/{key.pk}/{path}").status_code == 404
        assert client.post(f"/account/security/passkeys/{key.pk}/{path}", {"name": "mine"}).status_code == 404


def test_secrets_are_sealed_and_resealed_with_a_new_key(owner: User, settings: Any) -> None:
    secret, codes = add_app(sign_in(owner))
    kept = json.dumps([factor.data for factor in Authenticator.objects.all()])
    assert secret not in kept

    old, new = Keyring.generate("old"), Keyring.generate("new")
    settings.SEALING_KEYS = Keyring.parse(f"{new},{old}")
    second_factors_remove(user=owner, actor=ACTOR)
    settings.SEALING_KEYS = Keyring.parse(old)
    secret, codes = add_app(sign_in(owner))
    settings.SEALING_KEYS = Keyring.parse(f"{new},{old}")
    assert secrets_reseal(actor=ACTOR) == (2, [])
    settings.SEALING_KEYS = Keyring.parse(new)
    assert half_signed_in(owner).post("/sign-in/second-factor/", {"code": codes[0]}).status_code == 302


def test_codes_are_not_taken_while_valkey_is_away(owner: User, settings: Any) -> None:
    secret, _codes = add_app(sign_in(owner))
    client = half_signed_in(owner)
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": backend}

    response = client.post("/sign-in/second-factor/", {"code": totp_code(secret, steps=1)})

    assert response.status_code == 503
    assert "Valkey" in response.content.decode()


def test_operators_help_who_has_lost_them_all(owner: User) -> None:
    add_app(sign_in(owner))

    assert second_factors_remove(user=owner, actor=Actor.system("command")) == 1

    assert sign_in(owner).get("/admin/").status_code == 200
    assert events("user.second_factors_removed")[0].before == {"factors": ["totp"]}


# --- Required by an organization ---


def assert_refused_by_the_api(client: Client, remedy: str) -> None:
    refused = client.get("/api/services")
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert (error["code"], error["fields"]) == ("second_factor_required", {})
    assert f"open {remedy} in this browser" in error["message"]
    assert error["request_id"] == refused["X-Request-Id"]


def test_a_session_older_than_the_factor_has_still_to_give_it(owner: User, acme: Organization) -> None:
    older, newer = sign_in(owner), sign_in(owner)
    secret, _codes = add_app(newer)
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)

    for path in ("/admin/", "/organizations/", "/account/", "/account/security/", "/invitations/x/", "/sso/"):
        led = older.get(path)
        assert led["Location"].startswith("/account/confirm/code/?required=1&next="), path
    assert_refused_by_the_api(older, "/account/confirm/code/")
    assert older.post("/admin/services/service/add/", {"name": "x"}).status_code == 302
    assert newer.get("/admin/").status_code == 200, "who set it up has given it"
    page = older.get("/account/confirm/code/?required=1&next=/admin/").content.decode()
    assert "requires a second factor. Give yours to go on." in page
    older.post("/account/confirm/", {"password": PASSWORD})
    assert older.get("/admin/").status_code == 302, "the password is no second factor"

    given = older.post("/account/confirm/code/?next=/admin/", {"code": totp_code(secret, steps=1)})

    assert given["Location"] == "/admin/"
    assert older.get("/admin/").status_code == 200
    assert older.get("/api/services").status_code == 200


def test_who_gave_it_to_sign_in_is_not_asked_again(owner: User, acme: Organization) -> None:
    _secret, codes = add_app(sign_in(owner))
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)
    client = half_signed_in(owner)
    client.post("/sign-in/second-factor/", {"code": codes[0]})

    assert client.get("/admin/").status_code == 200
    assert client.get("/api/services").status_code == 200


def test_who_has_only_a_passkey_is_asked_for_that(owner: User, acme: Organization) -> None:
    client = sign_in(owner)
    Authenticator.objects.create(user=owner, type="webauthn", data={"name": "mine", "credential": {}})
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)

    assert client.get("/admin/")["Location"].startswith("/account/confirm/passkey/?required=1")
    assert_refused_by_the_api(client, "/account/confirm/passkey/")


def test_management_keys_need_no_second_factor_even_beside_a_session(owner: User, acme: Organization) -> None:
    key, plaintext = key_issue(
        organization=acme,
        name="ci",
        permissions=["services.read"],
        most=["services.read"],
        actor=Actor(door="api", label=owner.email, user_id=owner.pk),
    )
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)
    headers = {"Authorization": f"Bearer {plaintext}"}
    client = sign_in(owner)

    assert Client().get("/api/services", headers=headers).status_code == 200
    assert client.get("/api/me", headers=headers).json()["label"] == str(key)
    assert client.get("/api/me", headers={"Authorization": "Bearer x"}).status_code == 401
    assert_refused_by_the_api(client, "/account/security/")


def test_who_signed_in_at_the_identity_provider_is_asked_there(owner: User, acme: Organization) -> None:
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)
    client = Client()
    client.force_login(owner, backend="apps.orgs.sso.backend.SingleSignOn")

    assert client.get("/admin/").status_code == 200
    assert client.get("/api/services").status_code == 200


def test_who_lacks_a_required_factor_sets_one_up_first(owner: User, acme: Organization) -> None:
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)
    client = sign_in(owner)

    led = client.get("/admin/", follow=True)
    assert led.redirect_chain[-1][0] == "/account/security/?required=1"
    assert "requires a second factor" in led.content.decode()
    assert client.get("/organizations/")["Location"] == "/account/security/?required=1"
    assert_refused_by_the_api(client, "/account/security/")

    add_app(client)
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/services").status_code == 200


def test_a_factor_is_asked_for_after_a_sign_in_link_too(owner: User, acme: Organization) -> None:
    organization_update(organization=acme, require_second_factor=True, actor=ACTOR)
    client = Client()
    client.post(sign_in_link_issue(user=owner, actor=ACTOR))

    assert client.get("/admin/")["Location"] == "/account/security/?required=1"
