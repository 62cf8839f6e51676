"""Signing in with a passkey alone: only with one that has asked for a fingerprint or a PIN, whatever was asked of it."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.orgs.models import Organization, User
from tests.people.conftest import PASSWORD, sign_in
from tests.people.passkeys import SecurityKey


def challenge_of(client: Client) -> str:
    return str(client.session["mfa.webauthn.state"]["challenge"])


def begun(client: Client) -> str:
    """The challenge of a sign-in with a passkey alone."""
    assert client.get("/sign-in/passkey/", headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 200
    return challenge_of(client)


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_a_passkey_that_asked_for_a_pin_signs_in_alone(owner: User) -> None:
    key, client = SecurityKey(owner), Client()

    answer = client.post("/sign-in/passkey/", {"credential": key.signs(begun(client), asks_for_pin=True)})

    assert (answer.status_code, is_in(client)) == (302, True)
    assert client.session["_auth_user_id"] == str(owner.pk)


def test_a_key_that_asked_for_nothing_does_not(owner: User) -> None:
    key, client = SecurityKey(owner), Client()

    client.post("/sign-in/passkey/", {"credential": key.signs(begun(client), asks_for_pin=False)})

    assert not is_in(client)


def test_nor_does_it_with_a_challenge_for_somebodys_second_factor(acme: Organization, owner: User) -> None:
    """A key that was found opens no account: its finder has one, is asked for a second factor, waits, and answers with that key."""
    found = SecurityKey(owner)
    finder = User.objects.create_user("finder@acme.test", PASSWORD)
    SecurityKey(finder)
    client = sign_in(finder)
    assert client.get("/sign-in/second-factor/").status_code == 200
    session = client.session
    session["account_login"]["initiated_at"] -= 3600  # a sign-in that is half done lasts a quarter of an hour
    session.save()

    client.post("/sign-in/passkey/", {"credential": found.signs(challenge_of(client), asks_for_pin=False)})

    assert not is_in(client)


def test_it_finishes_a_sign_in_that_began_with_the_password(owner: User) -> None:
    key, client = SecurityKey(owner), sign_in(owner)
    client.get("/sign-in/second-factor/")

    client.post("/sign-in/second-factor/", {"credential": key.signs(challenge_of(client), asks_for_pin=False)})

    assert is_in(client)


def test_another_persons_key_does_not(owner: User) -> None:
    SecurityKey(owner)
    theirs, client = SecurityKey(User.objects.create_user("eve@acme.test", PASSWORD)), sign_in(owner)
    client.get("/sign-in/second-factor/")

    client.post("/sign-in/second-factor/", {"credential": theirs.signs(challenge_of(client), asks_for_pin=True)})

    assert not is_in(client)


_ODD: list[Any] = [
    None,
    1,
    "text",
    [],
    {},
    {"id": "x"},
    {"id": "x", "rawId": "y"},
    {"rawId": 1, "response": None},
    {"rawId": "", "response": "text", "type": "public-key"},
    {"rawId": "AA", "response": []},
    {"rawId": "AA", "response": {}, "type": "public-key"},
    {
        "rawId": "AA",
        "type": "public-key",
        "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "userHandle": "AA"},
    },
    {
        "rawId": "AA",
        "type": "public-key",
        "response": {"clientDataJSON": "AA", "authenticatorData": "", "signature": 7, "userHandle": None},
    },
    {"rawId": "é", "response": {"clientDataJSON": "W10"}},
]


@pytest.mark.parametrize("odd", [*map(json.dumps, _ODD), "[" * 5000, "{", ""])
def test_an_answer_of_any_kind_is_refused_and_no_more(owner: User, odd: str) -> None:
    SecurityKey(owner)
    client = Client()
    begun(client)
    assert client.post("/sign-in/passkey/", {"credential": odd}).status_code in {200, 302}

    half = sign_in(owner)
    half.get("/sign-in/second-factor/")
    assert half.post("/sign-in/second-factor/", {"credential": odd}).status_code == 200

    assert not is_in(client)
    assert not is_in(half)
    whole = sign_in_whole(owner)
    whole.get("/account/confirm/passkey/")
    assert whole.post("/account/confirm/passkey/", {"credential": odd}).status_code in {200, 302}
    whole.get("/account/security/passkeys/add/")
    assert whole.post("/account/security/passkeys/add/", {"credential": odd, "name": "x"}).status_code in {200, 302}


def sign_in_whole(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.post("/account/confirm/", {"password": PASSWORD})
    return client
