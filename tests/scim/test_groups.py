"""What a directory may say of groups, and which role that gives."""

from typing import Any

import pytest

from apps.orgs.models import Membership, Organization, Role
from apps.orgs.scim.actions import directory_group_role
from apps.orgs.scim.models import DirectoryGroup
from tests.invitations.conftest import COMMAND, Person
from tests.scim.conftest import Directory


def role_of(key: str) -> str:
    return Membership.objects.get(user=key).role


@pytest.fixture
def ana(directory: Directory) -> str:
    key: str = directory.create("ana@acme.test").json()["id"]
    return key


def group(directory: Directory, name: str, *members: str) -> str:
    body = {"displayName": name, "members": [{"value": key} for key in members]}
    key: str = directory("POST", "/Groups", body).json()["id"]
    return key


def test_a_group_called_as_a_role_gives_it_and_takes_it_back(directory: Directory, ana: str) -> None:
    key = group(directory, "Admin", ana)
    assert role_of(ana) == "admin"
    shown = directory("GET", f"/Users/{ana}").json()
    assert [each["value"] for each in shown["groups"]] == [key]

    directory.patch(f"/Groups/{key}", {"op": "remove", "path": f'members[value eq "{ana}"]'})
    assert role_of(ana) == "member"


@pytest.mark.parametrize(
    ("add", "remove"),
    [
        ({"op": "add", "path": "members"}, {"op": "Remove", "path": "members"}),
        ({"op": "Add", "path": "members"}, {"op": "replace", "path": "members", "empty": True}),
    ],
)
def test_members_come_and_go_as_okta_and_entra_say(directory: Directory, ana: str, add: Any, remove: Any) -> None:
    key = group(directory, "Auditor")
    assert directory.patch(f"/Groups/{key}", {**add, "value": [{"value": ana}]}).status_code == 200
    assert role_of(ana) == "auditor"
    assert [each["value"] for each in directory("GET", f"/Groups/{key}").json()["members"]] == [ana]
    value = [] if remove.pop("empty", False) else [{"value": ana}]
    directory.patch(f"/Groups/{key}", {**remove, "value": value})
    assert role_of(ana) == "member"
    assert "members" not in directory("GET", f"/Groups/{key}?excludedAttributes=members").json()


def test_a_groups_role_is_set_here_and_holds_at_once(acme: Organization, directory: Directory, ana: str) -> None:
    key = group(directory, "Tollgate finance", ana)
    assert role_of(ana) == "member"
    row = DirectoryGroup.objects.get(pk=key)
    directory_group_role(group=row, role="billing", actor=COMMAND)
    assert role_of(ana) == "billing"
    directory_group_role(group=row, role="", actor=COMMAND)
    assert role_of(ana) == "member"


def test_of_several_the_strongest_counts(directory: Directory, ana: str) -> None:
    group(directory, "billing", ana)
    admins = group(directory, "admin", ana)
    assert role_of(ana) == "admin"
    assert directory("DELETE", f"/Groups/{admins}").status_code == 204
    assert role_of(ana) == "billing"


def test_no_group_makes_or_unmakes_owners(acme: Organization, directory: Directory, person: Person, ana: str) -> None:
    owner = person(acme, "owner")
    key = group(directory, "Owner", ana, str(owner.pk))
    assert DirectoryGroup.objects.get(pk=key).role == ""
    assert (role_of(ana), role_of(owner.pk)) == ("member", Role.OWNER)
    group(directory, "billing", str(owner.pk))
    assert role_of(owner.pk) == Role.OWNER


def test_a_role_given_by_hand_is_not_the_directorys_to_take(
    acme: Organization, directory: Directory, person: Person
) -> None:
    admin = str(person(acme, "admin").pk)
    key = group(directory, "anything", admin)
    directory("DELETE", f"/Groups/{key}")
    assert role_of(admin) == "admin"


def test_groups_are_renamed_replaced_and_found(directory: Directory, ana: str) -> None:
    key = group(directory, "First")
    directory.patch(f"/Groups/{key}", {"op": "replace", "value": {"id": key, "displayName": "Second"}})
    found = directory("GET", '/Groups?filter=displayName eq "second"').json()
    assert [each["id"] for each in found["Resources"]] == [key]
    put = directory("PUT", f"/Groups/{key}", {"displayName": "Third", "members": [{"value": ana}]}).json()
    assert (put["displayName"], len(put["members"])) == ("Third", 1)
    assert directory("POST", "/Groups", {"displayName": "Third"}).status_code == 409
    assert directory("POST", "/Groups", {"displayName": ""}).status_code == 400


def test_it_says_what_it_can_do(directory: Directory) -> None:
    config = directory("GET", "/ServiceProviderConfig").json()
    assert (config["patch"]["supported"], config["bulk"]["supported"]) == (True, False)
    types = directory("GET", "/ResourceTypes").json()["Resources"]
    assert [each["endpoint"] for each in types] == ["/Users", "/Groups"]
    for each in types:
        assert directory("GET", f"/ResourceTypes/{each['id']}").status_code == 200
        assert directory("GET", f"/Schemas/{each['schema']}").json()["id"] == each["schema"]
    assert directory("GET", "/Schemas/urn:nothing").status_code == 404


def test_the_commands_issue_and_revoke(acme: Organization, run: Any) -> None:
    from apps.orgs.scim.models import DirectoryToken

    issued = run("issue_directory_token", "--org", "acme", "--name", "Okta")
    assert issued.out.startswith("tg_scim_")
    assert "/scim/v2" in issued.err
    token = DirectoryToken.objects.get()
    assert issued.out.strip() not in str(token.__dict__)
    assert run("revoke_directory_token", str(token.pk)).code == 0
    assert "already" in run("revoke_directory_token", str(token.pk)).err
