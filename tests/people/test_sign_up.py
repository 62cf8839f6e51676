"""Making an account without an invitation, where an organization lets people of its domain join by themselves."""

import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from apps.core.actor import Actor
from apps.orgs.actions import (
    member_add,
    member_remove,
    organization_create,
    organization_suspend,
    organization_update,
    user_create,
    user_update,
)
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.people import signup
from apps.orgs.signup.actions import sign_up_domains_set
from apps.orgs.signup.links import sign_up_path
from tests.control.recorded import events
from tests.people.conftest import PASSWORD, sign_in
from tests.people.test_account import arrived, link_in
from tests.support.mail import MailSink

COMMAND = Actor.system("command")
NEW = {"name": "Nora New", "password": PASSWORD, "again": PASSWORD}
ASK = "/sign-in/new/"


@pytest.fixture
def open_acme(acme: Organization, mail: MailSink) -> Organization:
    """An organization that lets everybody at acme.test join."""
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    return acme


def member(organization: Organization, email: str, role: Role = Role.MEMBER) -> User:
    user = user_create(email=email, password=PASSWORD, actor=COMMAND)
    member_add(organization=organization, user=user, role=role, actor=COMMAND)
    return user


# --- A new account ---


def test_whoever_shows_an_e_mail_of_the_domain_makes_an_account_and_is_a_member(
    open_acme: Organization, mail: MailSink
) -> None:
    organization_update(organization=open_acme, sign_up_role=Role.AUDITOR, actor=COMMAND)
    client = Client()
    assert client.post(ASK, {"email": "Nora@Acme.test"})["Location"] == "/sign-in/new/sent/"
    ((to, subject, body),) = arrived(mail, 1)
    assert (to, subject) == ("nora@acme.test", "Your account on Tollgate")
    link = link_in(body)
    page = client.get(link)
    assert all(word in page.content.decode() for word in ("nora@acme.test", "Acme", "auditor"))
    assert "no-store" in page["Cache-Control"]
    assert not User.objects.exists(), "what was asked for, opened and looked at has made nothing"

    made = client.post(link, NEW)

    user = User.objects.get()
    assert (made.status_code, made["Location"]) == (302, "/admin/")
    assert (user.email, user.name, user.is_superuser, user.check_password(PASSWORD)) == (
        "nora@acme.test",
        "Nora New",
        False,
        True,
    )
    assert EmailAddress.objects.get(user=user).verified
    assert Membership.objects.get(user=user).role == "auditor"
    assert client.session["_auth_user_id"] == str(user.pk)
    assert client.get("/admin/").status_code == 200


def test_the_organizations_people_learn_who_joined_and_by_which_domain(open_acme: Organization) -> None:
    Client().post(sign_up_path("nora@acme.test"), NEW, REMOTE_ADDR="192.0.2.9")

    (created,), (used,) = events("membership.created"), events("sign_up_domain.used")
    assert {created.organization_id, used.organization_id} == {open_acme.pk}
    assert (used.actor_label, used.address, used.target_label) == ("nora@acme.test", "192.0.2.9", "acme.test")
    assert used.after == {"user": "nora@acme.test", "role": "member"}


def test_nobody_of_another_domain_makes_one(open_acme: Organization, mail: MailSink) -> None:
    for email in ("nora@else.test", "nora@sub.acme.test", "nora@acme.test.else.test", "acme.test@else.test"):
        page = Client().post(ASK, {"email": email})
        assert (page.status_code, "may not sign up here" in page.content.decode()) == (200, True), email
        assert Client().post(sign_up_path(email), NEW).status_code == 410
    assert not User.objects.exists()
    assert mail.messages == []


def test_whether_there_is_an_account_is_told_to_its_mailbox_alone(open_acme: Organization, mail: MailSink) -> None:
    known = member(open_acme, "known@acme.test")
    answers = [Client().post(ASK, {"email": email}) for email in ("known@acme.test", "new@acme.test")]

    assert {(answer.status_code, answer["Location"], answer.content) for answer in answers} == {
        (302, "/sign-in/new/sent/", b"")
    }
    bodies = {to: body for to, _subject, body in arrived(mail, 2)}
    assert "has one already" in bodies["known@acme.test"]
    assert link_in(bodies["known@acme.test"]) == "/sign-in/?next=%2Forganizations%2F"
    assert "/sign-in/new/" in link_in(bodies["new@acme.test"])
    assert User.objects.get() == known


def test_a_link_makes_one_account_and_no_more(open_acme: Organization) -> None:
    link = sign_up_path("nora@acme.test")
    assert Client().post(link, NEW).status_code == 302

    again = Client().post(link, {**NEW, "password": "another pass phrase", "again": "another pass phrase"})

    assert again.status_code == 410
    assert "has an account here already" in again.content.decode()
    assert User.objects.get().check_password(PASSWORD)


def test_a_link_that_is_old_or_made_up_makes_nothing(open_acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sign_up_path("nora@acme.test")
    now = time.time()
    for link in (f"{ASK}made-up/", made.replace("/new/", "/new/x")):
        assert Client().get(link).status_code == 410
        assert Client().post(link, NEW).status_code == 410
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    assert "not valid any more" in Client().get(made).content.decode()
    assert Client().post(made, NEW).status_code == 410
    assert not User.objects.exists()


def test_what_is_refused_is_told_at_its_field_and_leaves_nothing(open_acme: Organization) -> None:
    link = sign_up_path("nora@acme.test")
    for sent, told in (
        ({**NEW, "again": "something else"}, "differ"),
        ({**NEW, "password": "short", "again": "short"}, "too short"),
        ({**NEW, "password": "nora@acme.test", "again": "nora@acme.test"}, "too similar"),
    ):
        page = Client().post(link, sent)
        assert (page.status_code, told in page.content.decode()) == (200, True), told
    assert not User.objects.exists()


def test_who_finds_no_room_is_told_and_has_no_account(open_acme: Organization, settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"  # two people
    for name in ("one", "two"):
        member(open_acme, f"{name}@acme.test")

    page = Client().post(sign_up_path("nora@acme.test"), NEW)

    assert "may have 2 members" in page.content.decode()
    assert not User.objects.filter(email="nora@acme.test").exists()


@pytest.mark.parametrize("how", ["taken back", "suspended"])
def test_a_link_of_a_rule_that_is_over_makes_nothing(open_acme: Organization, how: str) -> None:
    link = sign_up_path("nora@acme.test")
    if how == "suspended":
        organization_suspend(organization=open_acme, actor=COMMAND)
    else:
        sign_up_domains_set(organization=open_acme, domains=[], actor=COMMAND)

    assert Client().post(link, NEW).status_code == 410
    assert "by invitation" in Client().get(ASK).content.decode()
    assert not User.objects.exists()


def test_who_is_signed_in_makes_no_second_account(open_acme: Organization) -> None:
    client = sign_in(member(open_acme, "known@acme.test"))

    assert client.get(ASK)["Location"] == "/organizations/"
    assert client.post(sign_up_path("nora@acme.test"), NEW).status_code == 410
    assert User.objects.count() == 1


def test_the_sign_in_page_leads_there_where_it_is_open(owner: User, acme: Organization, mail: MailSink) -> None:
    link = 'href="/sign-in/new/"'
    assert link not in Client().get("/sign-in/").content.decode()
    assert "by invitation" in Client().get(ASK).content.decode()
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)
    assert link in Client().get("/sign-in/").content.decode()


def test_without_a_mail_server_nobody_can_show_an_e_mail_so_it_is_closed(
    owner: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_SERVER = None
    sign_up_domains_set(organization=acme, domains=["acme.test"], actor=COMMAND)

    assert 'href="/sign-in/new/"' not in Client().get("/sign-in/").content.decode()
    assert "by invitation" in Client().post(ASK, {"email": "nora@acme.test"}).content.decode()
    assert Client().post(sign_up_path("nora@acme.test"), NEW).status_code == 410


def test_where_passwords_are_turned_off_there_is_no_such_page(
    owner: User, open_acme: Organization, settings: Any
) -> None:
    settings.EMAIL_AUTH_DISABLED = True

    assert 'href="/sign-in/new/"' not in Client().get("/sign-in/").content.decode()
    for path in (ASK, f"{ASK}sent/", sign_up_path("nora@acme.test")):
        assert Client().get(path).status_code == 404
        assert Client().post(path, {**NEW, "email": "nora@acme.test"}).status_code == 404


def test_one_mailbox_gets_five_messages_an_hour_however_it_is_spelt(open_acme: Organization, mail: MailSink) -> None:
    codes = [
        Client().post(ASK, {"email": f"Nora+{n}@acme.test"}, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(6)
    ]

    assert codes == [302] * 5 + [429]
    arrived(mail, 5)


def test_forms_of_other_sites_are_refused(open_acme: Organization) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(ASK, {"email": "nora@acme.test"}).status_code == 403
    assert strict.post(sign_up_path("nora@acme.test"), NEW).status_code == 403
    assert not User.objects.exists()


@pytest.fixture
def overlays_rule() -> Iterator[None]:
    """As an overlay registers one."""
    signup.sign_up_rule(lambda _request, email: email is None or email.endswith("@partner.test"))
    yield
    signup._rules.pop()


@pytest.mark.usefixtures("db", "overlays_rule")
def test_a_rule_of_an_overlay_opens_it_too_and_its_people_belong_nowhere_yet(mail: MailSink) -> None:
    Client().post(ASK, {"email": "pia@partner.test"})
    made = Client().post(link_in(arrived(mail, 1)[0][2]), NEW)

    assert made["Location"] == "/organizations/"
    assert User.objects.get().email == "pia@partner.test"
    assert not Membership.objects.exists()


# --- An account that is there already ---


def test_who_has_an_account_is_offered_to_join_and_does_with_one_button(open_acme: Organization) -> None:
    user = user_create(email="ana@acme.test", password=PASSWORD, actor=COMMAND)
    client = sign_in(user)
    assert not Membership.objects.exists(), "signing in alone makes nobody a member"
    assert 'href="/organizations/">See what you may join' in client.get("/admin/").content.decode()
    page = client.get("/organizations/").content.decode()
    (form,) = re.findall(r'action="(/organizations/[^"]+/join/)"', page)
    assert "/join/" in page
    assert client.post(f"/organizations/{uuid4()}/join/").status_code == 404, "one joins what one is shown"
    assert not Membership.objects.exists()

    joined = client.post(form)

    assert (joined.status_code, joined["Location"]) == (302, "/admin/")
    assert Membership.objects.get(user=user).role == "member"
    assert client.session["organization"] == str(open_acme.pk)
    assert "/join/" not in client.get("/organizations/").content.decode()
    assert client.post(form).status_code == 404


@pytest.mark.parametrize("why", ["unverified", "other domain", "suspended", "platform staff", "another directory's"])
def test_who_is_offered_nothing_joins_nothing(open_acme: Organization, why: str) -> None:
    email = "ana@else.test" if why == "other domain" else "ana@acme.test"
    user = user_create(
        email=email,
        password=PASSWORD,
        actor=COMMAND,
        email_verified=why != "unverified",
        is_platform_staff=why == "platform staff",
    )
    if why == "suspended":
        organization_suspend(organization=open_acme, actor=COMMAND)
    if why == "another directory's":
        from apps.orgs.scim.models import DirectoryUser

        zeta = organization_create(name="Zeta", slug="zeta", actor=COMMAND)
        DirectoryUser.objects.create(organization=zeta, user=user, provisioned=True)
    client = Client()
    client.force_login(user)

    there = client.post(f"/organizations/{open_acme.pk}/join/")
    not_there = client.post(f"/organizations/{uuid4()}/join/")

    assert "/join/" not in client.get("/organizations/").content.decode()
    assert there.status_code == not_there.status_code == 404
    assert there.content == not_there.content
    assert not Membership.objects.exists()


def test_joining_takes_a_form_of_this_site_from_who_is_signed_in(open_acme: Organization) -> None:
    user = user_create(email="ana@acme.test", password=PASSWORD, actor=COMMAND)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    assert strict.post(f"/organizations/{open_acme.pk}/join/").status_code == 403
    assert Client().post(f"/organizations/{open_acme.pk}/join/")["Location"].startswith("/sign-in/")
    assert sign_in(user).get(f"/organizations/{open_acme.pk}/join/").status_code == 405
    assert not Membership.objects.exists()


def test_who_finds_no_room_stays_outside_and_is_told(open_acme: Organization, settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"
    for name in ("one", "two"):
        member(open_acme, f"{name}@acme.test")
    client = sign_in(user_create(email="ana@acme.test", password=PASSWORD, actor=COMMAND))

    assert "may have 2 members" in client.post(f"/organizations/{open_acme.pk}/join/", follow=True).content.decode()
    assert Membership.objects.count() == 2


# --- Whoever has left ---


@pytest.mark.parametrize("who", ["removed by another", "left by themselves"])
def test_whoever_was_removed_or_has_left_is_not_brought_back_by_the_domain(open_acme: Organization, who: str) -> None:
    user = member(open_acme, "ana@acme.test")
    actor = COMMAND if who == "removed by another" else Actor(door="admin", label=user.email, user_id=user.pk)
    member_remove(membership=Membership.objects.get(user=user), actor=actor)
    client = sign_in(user)

    assert "/join/" not in client.get("/organizations/").content.decode()
    assert client.post(f"/organizations/{open_acme.pk}/join/").status_code == 404


@pytest.mark.parametrize("email", ["ana@acme.test", "ana+back@acme.test"])
def test_nor_by_a_new_account_for_the_same_mailbox(open_acme: Organization, mail: MailSink, email: str) -> None:
    user = member(open_acme, "ana@acme.test")
    member_remove(membership=Membership.objects.get(user=user), actor=COMMAND)
    user_update(user=user, email="ana@else.test", actor=COMMAND)

    assert Client().post(ASK, {"email": email})["Location"] == "/sign-in/new/sent/", "the page tells nobody who left"
    page = Client().post(link_in(arrived(mail, 1)[0][2]), NEW)

    assert page.status_code == 410
    assert "only an invitation brings you back" in page.content.decode()
    assert User.objects.get() == user


def test_an_invitation_brings_them_back(open_acme: Organization) -> None:
    user = member(open_acme, "ana@acme.test")
    member_remove(membership=Membership.objects.get(user=user), actor=COMMAND)

    member_add(organization=open_acme, user=user, role=Role.MEMBER, actor=COMMAND)
    member_remove(membership=Membership.objects.get(user=user), actor=COMMAND)  # and to go again is no mistake

    assert not Membership.objects.exists()
