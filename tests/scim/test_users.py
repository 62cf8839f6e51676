"""What a directory may say of users."""

from typing import Any

import pytest
from django.test import Client

from apps.audit.models import AdminEvent
from apps.orgs.keys.actions import key_issue
from apps.orgs.keys.models import ManagementKey
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.scim.actions import directory_token_revoke
from tests.control.recorded import events
from tests.invitations.conftest import COMMAND, Person, as_actor
from tests.scim.conftest import Directory

INACTIVE_BY = {
    "Okta": {"op": "replace", "value": {"active": False}},
    "Entra": {"op": "Replace", "path": "active", "value": "False"},
    "with the schema": {"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": False},
}


def test_a_user_is_made_a_member_and_found_again(acme: Organization, directory: Directory) -> None:
    made = directory.create("Ana@acme.test", externalId="okta-1")
    body = made.json()
    user = User.objects.get(email="ana@acme.test")

    assert made.status_code == 201
    assert (body["id"], body["userName"], body["externalId"]) == (str(user.pk), "ana@acme.test", "okta-1")
    assert (body["active"], body["displayName"], body["roles"]) == (
        True,
        "Ana Ash",
        [{"value": "member", "primary": True}],
    )
    assert made["Location"].endswith(f"/scim/v2/Users/{user.pk}")
    assert (user.name, user.has_usable_password(), user.is_superuser) == ("Ana Ash", False, False)
    assert Membership.objects.get(user=user).organization == acme
    for query in (
        'userName eq "ANA@acme.test"',
        'externalId eq "okta-1"',
        f'id eq "{user.pk}"',
        'emails[type eq "work"].value eq "ana@acme.test"',
    ):
        found = directory("GET", f"/Users?filter={query}").json()
        assert [each["id"] for each in found["Resources"]] == [str(user.pk)], query
    assert directory("GET", '/Users?filter=userName eq "nobody@acme.test"').json()["totalResults"] == 0


def test_who_is_there_already_is_told_by_409(acme: Organization, directory: Directory, person: Person) -> None:
    member = person(acme, "auditor")
    directory.create("ana@acme.test", externalId="1")
    for email, external_id in ((member.email, "2"), ("ana@acme.test", "3"), ("other@acme.test", "1")):
        refused = directory.create(email, externalId=external_id)
        assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    assert Membership.objects.get(user=member).role == "auditor"


@pytest.mark.parametrize("who", INACTIVE_BY)
def test_deactivating_ends_sessions_and_keys_at_once(acme: Organization, directory: Directory, who: str) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    user = User.objects.get(pk=key)
    browser = Client()
    browser.force_login(user)
    assert browser.get("/admin/services/service/").status_code == 200
    issued, plaintext = key_issue(
        organization=acme, name="ci", permissions=["services.read"], most=["services.read"], actor=as_actor(user)
    )
    assert Client().get("/api/services", headers={"Authorization": f"Bearer {plaintext}"}).status_code == 200

    answer = directory.patch(f"/Users/{key}", INACTIVE_BY[who])

    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert browser.get("/admin/services/service/").status_code == 302
    assert Client().get("/api/services", headers={"Authorization": f"Bearer {plaintext}"}).status_code == 401
    assert ManagementKey.objects.get(pk=issued.pk).revoked_at is not None
    user.refresh_from_db()
    assert (user.is_active, Membership.objects.filter(user=user).exists()) == (False, False)
    assert directory("GET", f"/Users/{key}").json()["active"] is False

    again = directory.patch(f"/Users/{key}", {"op": "replace", "path": "active", "value": True})
    assert again.json()["active"] is True
    assert browser.get("/admin/services/service/").status_code == 302, "an ended session stays ended"
    user.refresh_from_db()
    assert user.is_active


def test_who_belongs_elsewhere_too_leaves_this_organization_alone(
    acme: Organization, zeta: Organization, directory: Directory, person: Person
) -> None:
    user = person(zeta, "member", "ana@else.test")
    key = directory.create("ana@else.test").json()["id"]
    assert key == str(user.pk)
    refused = directory.patch(f"/Users/{key}", {"op": "replace", "path": "userName", "value": "taken@acme.test"})
    assert refused.status_code == 400
    directory.patch(f"/Users/{key}", {"op": "replace", "path": "displayName", "value": "Somebody Else"})
    directory.patch(f"/Users/{key}", INACTIVE_BY["Okta"])

    user.refresh_from_db()
    assert (user.is_active, user.email, user.name) == (True, "ana@else.test", "")
    assert [membership.organization for membership in Membership.objects.filter(user=user)] == [zeta]


def test_the_last_owner_stays(acme: Organization, directory: Directory, person: Person) -> None:
    owner = person(acme, "owner")
    for answer in (
        directory.patch(f"/Users/{owner.pk}", INACTIVE_BY["Okta"]),
        directory("DELETE", f"/Users/{owner.pk}"),
        directory("PUT", f"/Users/{owner.pk}", {"userName": owner.email, "active": False}),
    ):
        assert answer.status_code == 400
        assert "without an owner" in answer.json()["detail"]
    owner.refresh_from_db()
    assert owner.is_active
    assert Membership.objects.get(user=owner).role == Role.OWNER


def test_what_directories_send_of_names_is_taken_and_the_rest_passed_over(directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    changed = directory.patch(
        f"/Users/{key}",
        {"op": "Replace", "path": "name.familyName", "value": "Birch"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ana.birch@acme.test"},
        {"op": "Add", "path": "title", "value": "Head of trees"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "X"},
        {"op": "Replace", "path": "externalId", "value": "e-2"},
    )
    assert changed.status_code == 200
    body = changed.json()
    assert (body["displayName"], body["userName"], body["externalId"]) == ("Ana Birch", "ana.birch@acme.test", "e-2")
    assert "title" not in body


def test_put_replaces_and_delete_forgets(acme: Organization, directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    put = directory("PUT", f"/Users/{key}", {"userName": "ana@acme.test", "displayName": "Ana B.", "externalId": "9"})
    assert (put.json()["displayName"], put.json()["active"], put.json()["externalId"]) == ("Ana B.", True, "9")

    assert directory("DELETE", f"/Users/{key}").status_code == 204
    assert directory("GET", f"/Users/{key}").status_code == 404
    assert User.objects.get(pk=key).is_active is False
    assert not Membership.objects.filter(user=key).exists()


def test_pages_begin_with_one_and_are_whole(acme: Organization, directory: Directory, person: Person) -> None:
    for number in range(5):
        person(acme, "member", f"p{number}@acme.test")
    first = directory("GET", "/Users?startIndex=1&count=2").json()
    last = directory("GET", "/Users?startIndex=5&count=2").json()
    assert (first["totalResults"], first["itemsPerPage"], last["itemsPerPage"], last["startIndex"]) == (5, 2, 1, 5)
    assert directory("GET", "/Users?count=0").json()["Resources"] == []
    assert directory("GET", "/Users?startIndex=-3&count=9999").json()["itemsPerPage"] == 5
    assert directory("GET", "/Users?startIndex=x").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", '/Users?filter=userName co "a"', None, 400),
        ("GET", '/Users?filter=password eq "a"', None, 400),
        ("GET", "/Users/not-an-id", None, 404),
        ("GET", "/Nothing", None, 404),
        ("POST", "/Users", {"userName": "no-address"}, 400),
        ("POST", "/Users", {"userName": "a@b.test", "active": "perhaps"}, 400),
        ("POST", "/Users", ["a"], 400),
        ("POST", "/Users", {"userName": "x" * 300 + "@b.test"}, 400),
        ("DELETE", "/Users", None, 405),
    ],
)
def test_what_is_wrong_is_said_in_scims_form(
    directory: Directory, method: str, path: str, body: Any, status: int
) -> None:
    answer = directory(method, path, body)
    assert answer.status_code == status
    error = answer.json()
    assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert error["status"] == str(status)
    assert error["detail"]
    assert not User.objects.exists()


def test_only_a_live_directory_token_opens_it(acme: Organization, directory: Directory) -> None:
    _key, management = key_issue(
        organization=acme, name="ci", permissions=["members.read"], most=["members.read"], actor=COMMAND
    )
    for header in ("", "Bearer", f"Bearer {management}", f"Bearer {directory.token[:-1]}x", f"Basic {directory.token}"):
        refused = directory("GET", "/Users", Authorization=header)
        assert refused.status_code == 401, header
        assert refused["WWW-Authenticate"].startswith("Bearer")
    assert directory("GET", "/Users").status_code == 200
    assert Client().get("/api/services", headers={"Authorization": f"Bearer {directory.token}"}).status_code == 401

    directory_token_revoke(token=directory.row, actor=COMMAND)
    assert directory("GET", "/Users").status_code == 401


def test_another_organizations_people_are_not_there(
    acme: Organization, zeta: Organization, directory: Directory, person: Person
) -> None:
    stranger = person(zeta, "member")
    other = Directory(zeta)
    group = other("POST", "/Groups", {"displayName": "Admin", "members": [{"value": str(stranger.pk)}]}).json()["id"]
    assert directory("GET", "/Users").json()["totalResults"] == 0
    assert directory("GET", "/Groups").json()["totalResults"] == 0
    for method, body in (("GET", None), ("PUT", {"userName": "a@b.test", "displayName": "x"}), ("DELETE", None)):
        assert directory(method, f"/Users/{stranger.pk}", body).status_code == 404
        assert directory(method, f"/Groups/{group}", body).status_code == 404
    assert directory.patch(f"/Users/{stranger.pk}", INACTIVE_BY["Okta"]).status_code == 404
    joined = directory("POST", "/Groups", {"displayName": "Admin", "members": [{"value": str(stranger.pk)}]})
    assert joined.status_code == 400
    assert directory("GET", "/Groups").json()["totalResults"] == 0, "all or nothing"
    assert Membership.objects.get(user=stranger).organization == zeta


def test_what_it_does_is_an_event_of_its_name(acme: Organization, directory: Directory) -> None:
    key = directory.create("ana@acme.test").json()["id"]
    directory.patch(f"/Users/{key}", INACTIVE_BY["Okta"])
    for action in ("directory_user.created", "membership.created", "membership.removed"):
        [event] = events(action)
        assert event.actor_label.startswith("Okta (tg_scim_…")
        assert event.organization_id == acme.pk
    assert directory.token not in str(AdminEvent.objects.values_list("before", "after", "actor_label"))


def test_too_many_calls_are_told_when_to_come_again(
    acme: Organization, zeta: Organization, directory: Directory, settings: Any
) -> None:
    settings.API_RATE_LIMIT = "2/m"
    assert [directory("GET", "/Users").status_code for _ in range(3)] == [200, 200, 429]

    refused = directory.create("ana@acme.test")

    assert 1 <= int(refused["Retry-After"]) <= 60
    error = refused.json()
    assert (error["schemas"], error["status"]) == (["urn:ietf:params:scim:api:messages:2.0:Error"], "429")
    assert refused["Retry-After"] in error["detail"]
    assert not User.objects.exists()
    assert Directory(zeta)("GET", "/Users").status_code == 200, "another directory's calls are counted by themselves"


def test_an_address_that_guesses_directory_tokens_is_slowed_down(directory: Directory, settings: Any) -> None:
    settings.API_FAILURE_LIMIT = "2/m"
    guess = {"Authorization": f"Bearer {directory.token[:-1]}x"}

    assert [directory("GET", "/Users", **guess).status_code for _ in range(3)] == [401, 401, 429]
    assert directory("GET", "/Users", **guess)["Retry-After"]
