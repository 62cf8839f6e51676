"""Who may change whose role."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from apps.orgs.actions import member_add, member_remove, member_update, user_create, user_update
from apps.orgs.models import Membership, Organization, Role, User
from tests.control.recorded import events
from tests.invitations.conftest import COMMAND, Person, as_actor


def membership_of(user: User) -> Membership:
    return Membership.objects.get(user=user)


@pytest.mark.parametrize("role", Role.values)
def test_nobody_changes_their_own_role_or_what_they_see(acme: Organization, person: Person, role: str) -> None:
    person(acme, "owner", "another@acme.test")
    user = person(acme, role)
    other = "member" if role != "member" else "admin"
    for changes in ({"role": other}, {"reads_content": True}):
        with pytest.raises(ValidationError, match="Nobody changes what they may do themselves"):
            member_update(membership=membership_of(user), actor=as_actor(user), **changes)
    assert (membership_of(user).role, membership_of(user).reads_content) == (role, False)


def test_platform_staff_do_not_unmake_themselves(db: None) -> None:
    root = user_create(email="root@acme.test", password=None, actor=COMMAND, is_platform_staff=True)
    with pytest.raises(ValidationError, match="Nobody changes"):
        user_update(user=root, is_superuser=False, actor=as_actor(root))


@pytest.mark.parametrize("own", Role.values)
@pytest.mark.parametrize("other", Role.values)
@pytest.mark.parametrize("wanted", Role.values)
def test_who_may_make_whom_what(acme: Organization, person: Person, own: str, other: str, wanted: str) -> None:
    person(acme, "owner", "first@acme.test")
    actor = as_actor(person(acme, own, "own@acme.test"))
    membership = membership_of(person(acme, other, "other@acme.test"))
    gives = {"owner": set(Role.values), "admin": set(Role.values) - {"owner"}}.get(own, set())
    may = {other, wanted} <= gives or other == wanted

    if may:
        member_update(membership=membership, role=wanted, actor=actor)
    else:
        with pytest.raises(ValidationError, match="takes an owner"):
            member_update(membership=membership, role=wanted, actor=actor)
    membership.refresh_from_db()
    assert membership.role == (wanted if may else other)


def test_an_admin_removes_no_owner_and_members_nobody(acme: Organization, person: Person) -> None:
    owner, admin, member = person(acme, "owner"), person(acme, "admin"), person(acme, "member")
    for actor, victim in ((admin, owner), (member, admin), (member, owner)):
        with pytest.raises(ValidationError, match="takes an owner"):
            member_remove(membership=membership_of(victim), actor=as_actor(actor))
    member_remove(membership=membership_of(member), actor=as_actor(member))  # one may leave
    member_remove(membership=membership_of(admin), actor=as_actor(owner))
    with pytest.raises(ValidationError, match="without an owner"):
        member_remove(membership=membership_of(owner), actor=as_actor(owner))


def test_an_owner_elsewhere_is_nobody_here(acme: Organization, zeta: Organization, person: Person) -> None:
    stranger = as_actor(person(zeta, "owner"))
    membership = membership_of(person(acme, "member"))
    for attempt in (
        lambda: member_update(membership=membership, role="admin", actor=stranger),
        lambda: member_remove(membership=membership, actor=stranger),
        lambda: member_add(organization=acme, user=membership.user, role="admin", actor=stranger),
    ):
        with pytest.raises(ValidationError, match="Only members of Acme"):
            attempt()


def test_only_owners_open_captured_content_and_that_is_an_event(acme: Organization, person: Person) -> None:
    owner, admin, member = person(acme, "owner"), person(acme, "admin"), person(acme, "member")
    with pytest.raises(ValidationError, match="takes an owner of Acme"):
        member_update(membership=membership_of(member), reads_content=True, actor=as_actor(admin))
    member_update(membership=membership_of(member), reads_content=True, actor=as_actor(owner))
    [event] = events("membership.updated")
    assert (event.before, event.after) == ({"reads_content": False}, {"reads_content": True})


def test_the_console_shows_what_is_refused_at_its_field(acme: Organization, person: Person) -> None:
    owner, admin = person(acme, "owner"), person(acme, "admin")
    client = Client()
    client.force_login(admin)
    url = reverse("admin:orgs_membership_change", args=(membership_of(owner).pk,))
    answer: Any = client.post(url, {"role": "member"})
    assert "takes an owner" in str(answer.context["adminform"].form.errors["role"])
    own = reverse("admin:orgs_membership_change", args=(membership_of(admin).pk,))
    answer = client.post(own, {"role": "owner"})
    assert "Nobody changes" in str(answer.context["adminform"].form.errors["role"])
    assert membership_of(owner).role == "owner"


def test_an_admin_invites_in_the_console_by_mail_or_by_link(
    acme: Organization, person: Person, mail: Any, django_capture_on_commit_callbacks: Any
) -> None:
    client = Client()
    client.force_login(person(acme, "admin"))
    url = reverse("admin:invitations_invitation_add")
    form = {"email": "new@else.test", "role": "member", "delivery": "email", "lifetime": "7"}
    with django_capture_on_commit_callbacks(execute=True):
        sent = client.post(url, form)
    assert sent.status_code == 302
    assert [message["To"] for message in mail.messages] == ["new@else.test"]
    assert "/invitations/" not in client.get(sent["Location"]).content.decode().replace("/admin/invitations/", "")

    shown = client.post(url, {**form, "email": "other@else.test", "delivery": "link"}).content.decode()
    link = shown.partition('id="link"')[2].partition(">")[2].partition("<")[0]
    assert Client().get("/" + link.split("/", 3)[3]).status_code == 200
    refused: Any = client.post(url, {**form, "email": "third@else.test", "role": "owner"})
    assert "takes an owner" in str(refused.context["adminform"].form.errors["role"])


def test_who_belongs_nowhere_is_told_so(db: None) -> None:
    client = Client()
    client.force_login(user_create(email="lost@else.test", password=None, actor=COMMAND))
    assert "You belong to no organization here" in client.get(reverse("admin:index")).content.decode()
