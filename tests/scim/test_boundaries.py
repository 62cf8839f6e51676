"""Where a directory's word ends: at other organizations' people, at owners, at what somebody else has decided."""

from typing import Any
from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from apps.core.actor import Actor
from apps.orgs.actions import member_add, member_remove, user_update
from apps.orgs.models import Membership, Organization, User
from apps.orgs.scim.actions import directory_token_issue
from apps.orgs.scim.models import DirectoryToken
from tests.invitations.conftest import COMMAND, PASSWORD, Person, as_actor
from tests.scim.conftest import Directory

OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


def renamed(email: str) -> dict[str, str]:
    return {"op": "replace", "path": "userName", "value": email}


def is_member(organization: Organization, key: str) -> bool:
    return Membership.objects.filter(organization=organization, user=key).exists()


# --- What is said again after somebody here did otherwise ---


def test_whom_somebody_let_in_again_is_deactivated_again(acme: Organization, directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    directory.patch(f"/Users/{key}", OFF)
    user = user_update(user=User.objects.get(pk=key), is_active=True, actor=COMMAND)
    member_add(organization=acme, user=user, role="admin", actor=COMMAND)

    answer = directory.patch(f"/Users/{key}", OFF)

    assert answer.json()["active"] is False
    assert not is_member(acme, key)


def test_whom_somebody_let_in_again_is_gone_once_the_directory_deletes_them(
    acme: Organization, directory: Directory
) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    directory.patch(f"/Users/{key}", OFF)
    user = user_update(user=User.objects.get(pk=key), is_active=True, actor=COMMAND)
    member_add(organization=acme, user=user, role="admin", actor=COMMAND)

    assert directory("DELETE", f"/Users/{key}").status_code == 204
    assert not is_member(acme, key)


def test_whom_somebody_removed_is_a_member_again_when_the_directory_says_so(
    acme: Organization, directory: Directory
) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    member_remove(membership=Membership.objects.get(user=key), actor=COMMAND)

    assert directory.patch(f"/Users/{key}", ON).json()["active"] is True
    assert is_member(acme, key)


def test_whom_the_installation_has_switched_off_no_directory_switches_on(directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    user_update(user=User.objects.get(pk=key), is_active=False, actor=COMMAND)

    for said in (OFF, ON):
        assert directory.patch(f"/Users/{key}", said).json()["active"] is False
    assert User.objects.get(pk=key).is_active is False


def test_whom_the_directory_deleted_it_may_create_again(acme: Organization, directory: Directory) -> None:
    key = directory.create("ana@acme.test", externalId="7").json()["id"]
    directory("DELETE", f"/Users/{key}")
    assert directory("GET", '/Users?filter=externalId eq "7"').json()["totalResults"] == 0

    again = directory.create("ana@acme.test", externalId="7")

    assert (again.status_code, again.json()["id"], again.json()["active"]) == (201, key, True)
    assert User.objects.get(pk=key).is_active
    assert is_member(acme, key)


def test_removing_nobody_from_a_group_removes_nobody(directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    group = directory("POST", "/Groups", {"displayName": "ops", "members": [{"value": key}]}).json()["id"]

    answer = directory.patch(f"/Groups/{group}", {"op": "remove", "path": "members", "value": []})

    assert [member["value"] for member in answer.json()["members"]] == [key]


# --- Owners ---


def test_only_an_owner_lets_a_directory_in(acme: Organization, person: Person) -> None:
    for role in ("admin", "member"):
        with pytest.raises(ValidationError, match="takes an owner"):
            directory_token_issue(organization=acme, name="Okta", actor=as_actor(person(acme, role)))
    with pytest.raises(ValidationError, match="takes an owner"):
        directory_token_issue(organization=acme, name="Okta", actor=Actor(door="api", label="a key"))

    directory_token_issue(organization=acme, name="Okta", actor=as_actor(person(acme, "owner")))


def test_the_console_lets_an_owner_issue_a_token_and_an_admin_see_it(acme: Organization, person: Person) -> None:
    answers = {}
    for role in ("owner", "admin"):
        client = Client()
        client.force_login(person(acme, role))
        answers[role] = client.post("/admin/scim/directorytoken/add/", {"name": "Okta"}).status_code
        assert client.get("/admin/scim/directorytoken/").status_code == 200

    assert answers == {"owner": 200, "admin": 403}
    assert DirectoryToken.objects.count() == 1


# --- Other organizations' people, where anybody may start an organization ---


def test_nobody_is_drawn_into_an_organization_unasked_where_anybody_starts_one(
    acme: Organization, zeta: Organization, directory: Directory, person: Person, settings: Any
) -> None:
    settings.TENANCY = "multi"
    theirs = person(zeta, "member", "zoe@zeta.test")
    staff = User.objects.create_superuser("root@here.test")

    for user in (theirs, staff):
        refused = directory.create(user.email)
        assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
        assert not is_member(acme, str(user.pk))
    nobodys = User.objects.create_user("free@else.test")
    assert directory.create(nobodys.email).json()["id"] == str(nobodys.pk)


def test_an_account_that_somebody_uses_is_not_renamed_where_anybody_starts_an_organization(
    directory: Directory, settings: Any
) -> None:
    """Else whoever has a password to it could make it look like anybody's, for those who trust its address."""
    settings.TENANCY = "multi"
    unused = directory.create("new@acme.test").json()["id"]
    assert directory.patch(f"/Users/{unused}", renamed("newer@acme.test")).status_code == 200

    user = User.objects.get(pk=unused)
    user.set_password(PASSWORD)
    user.save()
    assert directory.patch(f"/Users/{unused}", renamed("boss@bigcorp.test")).status_code == 400
    user.refresh_from_db()
    assert user.email == "newer@acme.test"

    settings.TENANCY = "single"
    assert directory.patch(f"/Users/{unused}", renamed("married@acme.test")).status_code == 200


# --- Texts that JSON can spell and no database can keep ---


@pytest.mark.parametrize("odd", ["a\\u0000b", "a\\ud800b"])
def test_texts_that_no_database_keeps_are_refused(directory: Directory, odd: str) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    for kind, name in (("Users", "userName"), ("Users", "externalId"), ("Groups", "displayName")):
        answer = directory("GET", f"/{kind}?filter={quote(f'{name} eq "{odd}"')}")
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter"), name
    text = odd.replace("\\u0000", "\x00").replace("\\ud800", "\ud800")
    for method, path, body in (
        ("POST", "/Users", {"userName": "new@acme.test", "displayName": text}),
        ("POST", "/Users", {"userName": "new@acme.test", "name": {"formatted": text}}),
        ("PUT", f"/Users/{key}", {"userName": "ana@acme.test", "externalId": text}),
        ("POST", "/Groups", {"displayName": text}),
        ("PATCH", f"/Users/{key}", {"Operations": [{"op": "replace", "path": "displayName", "value": text}]}),
    ):
        answer = directory(method, path, body)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), body
