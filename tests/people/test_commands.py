"""What an operator does for somebody who is locked out: each is a command, an admin event, and no more than it says."""

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from apps.audit.models import AdminEvent
from apps.orgs.actions import member_add, owner_create, user_create, user_update
from apps.orgs.models import Membership, Organization, Role, User
from tests.control.conftest import Run, run, zeta
from tests.people.conftest import ACTOR, PASSWORD, sign_in

__all__ = ["run", "zeta"]  # fixtures

OTHER = "another long passphrase"


def events(action: str) -> list[AdminEvent]:
    return list(AdminEvent.objects.filter(action=action).order_by("id"))


def signed_in(user: User) -> Client:
    client = sign_in(user)
    assert client.get("/admin/").status_code == 200
    return client


# --- users ---


def test_users_are_listed_with_what_lets_them_in(acme: Organization, zeta: Organization, owner: User, run: Run) -> None:
    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR, name="Ben")
    member_add(organization=zeta, user=ben, role=Role.AUDITOR, actor=ACTOR)
    user_update(user=ben, is_active=False, actor=ACTOR)
    Authenticator.objects.create(user=owner, type=Authenticator.Type.TOTP, data={})
    Authenticator.objects.create(user=owner, type=Authenticator.Type.RECOVERY_CODES, data={})

    listed = [json.loads(line) for line in run("users", "--json").out.splitlines()]

    assert [each["email"] for each in listed] == ["ben@acme.test", "owner@acme.test"]
    assert listed[0] == {
        "email": "ben@acme.test",
        "name": "Ben",
        "active": False,
        "platform_staff": False,
        "organizations": {"zeta": "auditor"},
        "password": False,
        "second_factors": [],
        "sessions": 0,
        "last_sign_in": None,
    }
    assert (listed[1]["platform_staff"], listed[1]["password"]) == (True, True)
    assert listed[1]["second_factors"] == ["totp"]
    assert listed[1]["organizations"] == {"acme": "owner"}


def test_users_of_one_organization_are_a_table(acme: Organization, zeta: Organization, owner: User, run: Run) -> None:
    member_add(
        organization=zeta,
        user=user_create(email="zoe@zeta.test", password=None, actor=ACTOR),
        role=Role.MEMBER,
        actor=ACTOR,
    )

    head, row = run("users", "--org", "acme").out.splitlines()

    assert head.split("  ")[0] == "E-MAIL"
    assert "owner@acme.test" in row
    assert "acme (owner)" in row


# --- set_user ---


def test_a_password_comes_from_its_variable_and_ends_the_sessions(owner: User, run: Run) -> None:
    browser = signed_in(owner)

    ran = run("set_user", "--email", owner.email.upper(), "--password-env", "NEW_PASSWORD", NEW_PASSWORD=OTHER)

    assert ran.code == 0, ran.err
    assert OTHER not in ran.out + ran.err
    owner.refresh_from_db()
    assert owner.check_password(OTHER)
    assert browser.get("/admin/").status_code == 302
    assert [event.door for event in events("user.password_set")] == ["command"]


def test_a_weak_password_changes_nothing_at_all(owner: User, acme: Organization, run: Run) -> None:
    owner_create(organization=acme, email="other@acme.test", password=None, actor=ACTOR)  # the last is not switched off

    ran = run("set_user", "--email", owner.email, "--no-active", "--password-env", "NEW_ONE", NEW_ONE="short")

    assert ran.code == 1
    assert ran.err.startswith("NEW_ONE: ")
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)
    assert owner.is_active


def test_who_is_switched_off_is_let_in_again(owner: User, run: Run) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)

    ran = run("set_user", "--email", owner.email, "--active")

    assert ran.out == f"User {owner.email}: active.\n"
    assert signed_in(owner)
    assert events("user.updated")[-1].after == {"is_active": True}


def test_an_organizations_last_owner_is_not_switched_off(owner: User, run: Run) -> None:
    ran = run("set_user", "--email", owner.email, "--no-active")

    assert ran.code == 1
    assert "would be left without an owner" in ran.err
    owner.refresh_from_db()
    assert owner.is_active


def test_what_is_to_change_must_be_said(owner: User, run: Run) -> None:
    assert run("set_user", "--email", owner.email).code == 2


# --- set_role ---


@pytest.mark.parametrize(("tenancy", "runs_it"), [("single", True), ("multi", False)])
def test_an_organization_whose_owner_is_gone_gets_another(
    acme: Organization, run: Run, settings: Any, tenancy: str, runs_it: bool
) -> None:
    """By the rule of setup: where there is one organization alone, that is platform staff too."""
    settings.TENANCY = tenancy
    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR)
    member_add(organization=acme, user=ben, role=Role.AUDITOR, actor=ACTOR)

    ran = run("set_role", "--org", "acme", "--email", "ben@acme.test", "--role", "owner")

    assert ran.out == "ben@acme.test is owner of Acme now, and was auditor.\n"
    assert Membership.objects.get(user=ben).role == Role.OWNER
    ben.refresh_from_db()
    assert ben.is_superuser is runs_it
    [event] = events("membership.updated")
    assert (event.door, event.before, event.after) == ("command", {"role": "auditor"}, {"role": "owner"})
    again = run("set_role", "--org", "acme", "--email", "ben@acme.test", "--role", "owner")
    assert (again.code, again.out) == (0, "Nothing to do: ben@acme.test is owner of Acme.\n")


def test_a_user_of_elsewhere_joins_with_the_role(zeta: Organization, owner: User, run: Run) -> None:
    assert run("set_role", "--org", "zeta", "--email", owner.email, "--role", "billing").code == 0
    assert Membership.objects.get(organization=zeta, user=owner).role == Role.BILLING


def test_the_last_owner_keeps_the_role(owner: User, run: Run) -> None:
    ran = run("set_role", "--org", "acme", "--email", owner.email, "--role", "member")
    assert (ran.code, ran.out) == (1, "")
    assert "would be left without an owner" in ran.err


def test_an_owner_whom_a_person_makes_is_no_platform_staff(acme: Organization, owner: User) -> None:
    from apps.core.actor import Actor
    from apps.orgs.actions import member_update

    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR)
    membership = member_add(organization=acme, user=ben, role=Role.MEMBER, actor=ACTOR)

    member_update(
        membership=membership,
        role=Role.OWNER,
        actor=Actor(door="admin", label=owner.email, user_id=owner.pk, address=None),
    )

    ben.refresh_from_db()
    assert not ben.is_superuser


def test_setup_makes_a_user_of_elsewhere_an_owner_by_the_same_rule(zeta: Organization, run: Run) -> None:
    ben = user_create(email="ben@acme.test", password=None, actor=ACTOR)
    assert run("setup", "--org", "Zeta", "--email", "ben@acme.test").code == 0
    ben.refresh_from_db()
    assert ben.is_superuser


# --- end_sessions, remove_second_factors ---


def test_sessions_end_everywhere_and_nobody_elses(acme: Organization, owner: User, run: Run) -> None:
    ana = owner_create(organization=acme, email="ana@acme.test", password=PASSWORD, actor=ACTOR)
    browsers, hers = [signed_in(owner), signed_in(owner)], signed_in(ana)

    assert run("end_sessions", "--email", owner.email).out == f"Ended 2 sessions of {owner.email}.\n"

    assert [browser.get("/admin/").status_code for browser in browsers] == [302, 302]
    assert hers.get("/admin/").status_code == 200
    assert [event.door for event in events("session.ended")] == ["command", "command"]
    assert run("end_sessions", "--email", owner.email).out == f"{owner.email} is signed in nowhere.\n"


@pytest.mark.parametrize(
    "command",
    [
        ("sign_in_link",),
        ("remove_second_factors",),
        ("end_sessions",),
        ("set_user", "--active"),
        ("set_role", "--org", "acme", "--role", "admin"),
    ],
)
def test_somebody_who_is_not_known_is_said_with_what_helps(
    acme: Organization, run: Run, command: tuple[str, ...]
) -> None:
    ran = run(*command, "--email", "nobody@acme.test")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no user nobody@acme.test" in ran.err
    assert "manage.py invite" in ran.err
