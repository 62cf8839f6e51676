"""What inviting promises: for one address, once, by who may give the role."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.core.actor import Actor
from apps.orgs.actions import member_remove, member_update, user_update
from apps.orgs.invitations.actions import (
    InvitationRefusedError,
    WrongPersonError,
    invitation_accept,
    invitation_accept_as_new,
    invitation_create,
    invitation_renew,
    invitation_revoke,
    invitations_accept_verified,
)
from apps.orgs.invitations.models import Invitation
from apps.orgs.models import Membership, Organization, Role, User
from tests.control.recorded import events
from tests.invitations.conftest import COMMAND, PASSWORD, Person, as_actor


def invite(organization: Organization, email: str = "new@else.test", role: str = Role.MEMBER, **more: Any) -> str:
    """The signed part of the link."""
    path = invitation_create(organization=organization, email=email, role=role, **{"actor": COMMAND, **more})[1]
    return path.removeprefix("/invitations/").removesuffix("/")


def accept_as_new(signed: str) -> tuple[User, Membership]:
    return invitation_accept_as_new(signed=signed, name="New", password=PASSWORD, address="192.0.2.9")


def test_a_new_person_gets_an_account_and_the_role_and_nothing_more(acme: Organization) -> None:
    user, membership = accept_as_new(invite(acme, "New@Else.test", Role.AUDITOR))

    assert (user.email, user.name, user.is_superuser) == ("new@else.test", "New", False)
    assert user.check_password(PASSWORD)
    assert (membership.organization, membership.role) == (acme, Role.AUDITOR)
    assert list(Membership.objects.filter(user=user)) == [membership]


def test_an_account_that_exists_joins_with_the_invited_address_alone(
    acme: Organization, zeta: Organization, person: Person
) -> None:
    known, other = person(zeta, "member"), person(zeta, "admin")
    signed = invite(acme, known.email)
    with pytest.raises(WrongPersonError, match=r"for member@zeta\.test; you are signed in as admin@zeta\.test"):
        invitation_accept(signed=signed, user=other, address=None)
    with pytest.raises(InvitationRefusedError, match="has an account here"):
        accept_as_new(signed)
    assert not Membership.objects.filter(organization=acme).exists()

    assert invitation_accept(signed=signed, user=known, address=None).role == Role.MEMBER


def test_it_works_once(acme: Organization) -> None:
    signed = invite(acme)
    user, _membership = accept_as_new(signed)
    for again in (lambda: accept_as_new(signed), lambda: invitation_accept(signed=signed, user=user, address=None)):
        with pytest.raises(InvitationRefusedError, match="accepted already"):
            again()


def test_it_expires(acme: Organization) -> None:
    signed = invite(acme)
    Invitation.objects.update(expires_at=now() - timedelta(seconds=1))
    with pytest.raises(InvitationRefusedError, match="expired"):
        accept_as_new(signed)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=91)])
def test_nobody_is_invited_for_ever_or_for_no_time(acme: Organization, lifetime: timedelta) -> None:
    with pytest.raises(ValidationError, match="90 days at most"):
        invite(acme, lifetime=lifetime)
    assert not Invitation.objects.exists()


def test_a_revoked_one_lets_nobody_in(acme: Organization) -> None:
    signed = invite(acme)
    invitation = Invitation.objects.get()
    assert invitation_revoke(invitation=invitation, actor=COMMAND)
    assert not invitation_revoke(invitation=invitation, actor=COMMAND)
    with pytest.raises(InvitationRefusedError, match="revoked"):
        accept_as_new(signed)
    with pytest.raises(ValidationError, match="is over"):
        invitation_renew(invitation=invitation, actor=COMMAND)


def test_an_accepted_one_can_neither_be_revoked_nor_renewed(acme: Organization) -> None:
    accept_as_new(invite(acme))
    invitation = Invitation.objects.get()
    with pytest.raises(ValidationError, match="remove the member instead"):
        invitation_revoke(invitation=invitation, actor=COMMAND)
    with pytest.raises(ValidationError, match="is over"):
        invitation_renew(invitation=invitation, actor=COMMAND)


def test_sending_again_makes_a_new_link_and_the_one_before_is_refused(acme: Organization) -> None:
    first = invite(acme)
    invitation = Invitation.objects.get()
    Invitation.objects.update(expires_at=now() - timedelta(days=1))
    _renewed, path = invitation_renew(invitation=invitation, actor=COMMAND)
    second = path.removeprefix("/invitations/").removesuffix("/")

    with pytest.raises(InvitationRefusedError, match="another was sent since"):
        accept_as_new(first)
    assert accept_as_new(second)[0].email == "new@else.test"


def test_what_nobody_here_signed_is_refused_without_a_query(acme: Organization, django_assert_num_queries: Any) -> None:
    signed = invite(acme)
    from apps.orgs.invitations.selectors import invitation_for

    secret, _dot, signature = signed.partition(".")
    with django_assert_num_queries(0):
        for made_up in (secret, f"{secret}.", f"{secret}x.{signature}", f"{secret}.{signature[:-1]}", "x" * 5000, "."):
            assert invitation_for(made_up) is None
    found = invitation_for(signed)
    assert found is not None
    assert secret not in str(AdminEvent.objects.values_list("before", "after"))
    assert bytes(found.digest).hex() not in str(AdminEvent.objects.values_list("before", "after"))


def test_one_address_has_one_open_invitation_to_an_organization(acme: Organization, zeta: Organization) -> None:
    invite(acme)
    with pytest.raises(ValidationError, match="invited already"):
        invite(acme, "NEW@else.test", Role.ADMIN)
    invite(zeta)
    invitation_revoke(invitation=Invitation.objects.get(organization=acme), actor=COMMAND)
    invite(acme)


def test_a_member_is_not_invited(acme: Organization, person: Person) -> None:
    member = person(acme, "member")
    with pytest.raises(ValidationError, match="a member already"):
        invite(acme, member.email.upper())


def test_a_password_that_is_refused_leaves_the_invitation_open(acme: Organization) -> None:
    signed = invite(acme)
    with pytest.raises(ValidationError) as refused:
        invitation_accept_as_new(signed=signed, name="", password="short", address=None)
    assert "password" in refused.value.message_dict
    assert not User.objects.exists()
    assert accept_as_new(signed)


def test_all_that_happens_is_an_event_and_says_who(acme: Organization, person: Person) -> None:
    admin = person(acme, "admin")
    invite(acme, actor=as_actor(admin))
    invitation = Invitation.objects.get()
    _renewed, path = invitation_renew(invitation=invitation, actor=as_actor(admin))
    user, _membership = accept_as_new(path.removeprefix("/invitations/").removesuffix("/"))

    for action, who in (
        ("invitation.created", admin.pk),
        ("invitation.renewed", admin.pk),
        ("invitation.accepted", user.pk),
    ):
        [event] = events(action)
        assert (event.organization_id, event.actor_id, event.target_id) == (acme.pk, who, invitation.pk)
    joined = [event for event in events("membership.created") if event.actor_id == user.pk]
    assert [event.address for event in joined] == ["192.0.2.9"]


# --- Who may give which role ---


@pytest.mark.parametrize("role", Role.values)
def test_an_admin_invites_all_but_owners(acme: Organization, person: Person, role: str) -> None:
    admin = as_actor(person(acme, "admin"))
    if role == Role.OWNER:
        with pytest.raises(ValidationError, match="takes an owner"):
            invite(acme, role=role, actor=admin)
        assert not Invitation.objects.exists()
    else:
        invite(acme, role=role, actor=admin)


@pytest.mark.parametrize("own", [Role.MEMBER, Role.AUDITOR, Role.BILLING])
def test_who_gives_no_roles_invites_nobody(acme: Organization, person: Person, own: str) -> None:
    with pytest.raises(ValidationError):
        invite(acme, actor=as_actor(person(acme, own)))


def test_another_organizations_owner_invites_nobody(acme: Organization, zeta: Organization, person: Person) -> None:
    with pytest.raises(ValidationError, match="Only members of Acme"):
        invite(acme, actor=as_actor(person(zeta, "owner")))


def test_a_key_makes_no_owners(acme: Organization) -> None:
    key = Actor(door="api", label="a key")
    invite(acme, "a@else.test", Role.ADMIN, actor=key)
    with pytest.raises(ValidationError, match="takes an owner"):
        invite(acme, "b@else.test", Role.OWNER, actor=key)


@pytest.mark.parametrize("how", ["removed", "made less", "switched off"])
def test_who_may_not_invite_any_more_lets_nobody_in_by_what_was_sent_before(
    acme: Organization, person: Person, how: str
) -> None:
    person(acme, "owner")
    admin = person(acme, "admin")
    signed = invite(acme, actor=as_actor(admin))
    membership = Membership.objects.get(user=admin)
    if how == "removed":
        member_remove(membership=membership, actor=COMMAND)
    elif how == "made less":
        member_update(membership=membership, role=Role.MEMBER, actor=COMMAND)
    else:
        user_update(user=admin, is_active=False, actor=COMMAND)

    with pytest.raises(InvitationRefusedError, match="may no longer"):
        accept_as_new(signed)


def test_single_sign_on_accepts_what_waits_for_its_verified_address(
    acme: Organization, zeta: Organization, person: Person
) -> None:
    user = person(zeta, "member")
    invite(acme, user.email, Role.BILLING)
    invite(acme, "somebody@else.test")

    [joined] = invitations_accept_verified(user=user, address=None)

    assert (joined.organization, joined.role) == (acme, Role.BILLING)
    assert invitations_accept_verified(user=user, address=None) == []
