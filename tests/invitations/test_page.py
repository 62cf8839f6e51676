"""The page behind an invitation's link, for whoever may open it."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.orgs.invitations.actions import invitation_create
from apps.orgs.invitations.models import Invitation
from apps.orgs.models import Membership, Organization, Role, User
from tests.invitations.conftest import COMMAND, PASSWORD, Person

NEW = {"name": "Nora New", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def link(acme: Organization) -> str:
    return invitation_create(organization=acme, email="new@else.test", role=Role.MEMBER, actor=COMMAND)[1]


def test_a_new_person_sets_a_password_joins_and_is_signed_in(acme: Organization, link: str) -> None:
    client = Client()
    shown = client.get(link)
    html = shown.content.decode()
    assert shown.status_code == 200
    assert "no-store" in shown["Cache-Control"]
    assert all(word in html for word in ("new@else.test", "Acme", "member"))
    assert not User.objects.exists()

    joined = client.post(link, NEW)

    assert joined.status_code == 302
    user = User.objects.get(email="new@else.test")
    assert (user.name, user.check_password(PASSWORD)) == ("Nora New", True)
    assert client.session["_auth_user_id"] == str(user.pk)
    assert Membership.objects.get(user=user).organization == acme


def test_what_is_refused_is_said_at_its_field(link: str) -> None:
    assert "differ" in Client().post(link, {**NEW, "again": "another one entirely"}).content.decode()
    assert "too short" in Client().post(link, {**NEW, "password": "short", "again": "short"}).content.decode()
    assert not User.objects.exists()
    assert Invitation.objects.get().is_open


def test_who_has_an_account_is_sent_to_sign_in_and_back(zeta: Organization, link: str, person: Person) -> None:
    person(zeta, "member", "new@else.test")
    html = Client().get(link).content.decode()
    assert re.search(r'href="[^"]*\?next=%2Finvitations%2F', html)
    assert "password" not in html.lower()
    assert Client().post(link, NEW).status_code == 410  # an account is not made over another's head


def test_who_is_signed_in_joins_with_one_button(
    acme: Organization, zeta: Organization, link: str, person: Person
) -> None:
    user = person(zeta, "member", "new@else.test")
    client = Client()
    client.force_login(user)
    assert "Join Acme" in client.get(link).content.decode()
    assert client.post(link).status_code == 302
    assert Membership.objects.filter(user=user, organization=acme).exists()
    assert client.session["organization"] == str(acme.pk)


def test_somebody_else_is_told_so_and_joins_nothing(zeta: Organization, link: str, person: Person) -> None:
    client = Client()
    client.force_login(person(zeta, "member"))
    shown = client.get(link)
    assert "This invitation is for new@else.test; you are signed in as member@zeta.test." in shown.content.decode()
    refused = client.post(link)
    assert refused.status_code == 403
    assert Invitation.objects.get().is_open

    assert client.post(link, {"sign_out": "yes"})["Location"] == link
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_over_or_never_was_says_what_to_do(link: str, method: str) -> None:
    Client().post(link, NEW)
    for url in (link, "/invitations/made.up/"):
        response = getattr(Client(), method)(url)
        assert response.status_code == 410
        assert "Ask whoever invited you for another." in response.content.decode()


def test_where_there_is_no_room_the_page_says_so_and_the_invitation_stays_open(
    acme: Organization, zeta: Organization, link: str, person: Person, settings: Any
) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"  # two members
    user = person(zeta, "member", "new@else.test")
    for role in ("owner", "admin"):
        person(acme, role)
    client = Client()
    client.force_login(user)

    answer = client.post(link)

    assert answer.status_code == 409
    assert "Acme may have 2 members" in answer.content.decode()
    assert Invitation.objects.get().is_open


def test_guessing_is_limited(db: None) -> None:
    codes = [Client().post("/invitations/guess/").status_code for _ in range(21)]
    assert codes == [410] * 20 + [429]


def test_a_form_of_another_site_is_refused(link: str) -> None:
    assert Client(enforce_csrf_checks=True).post(link, NEW).status_code == 403
    assert not User.objects.exists()


def test_without_passwords_there_is_only_the_way_through_single_sign_on(link: str, settings: Any) -> None:
    settings.EMAIL_AUTH_DISABLED = True
    html = Client().get(link).content.decode()
    assert "?next=%2Finvitations%2F" in html
    assert "password" not in html.lower()
    Client().post(link, NEW)
    assert not User.objects.exists()
