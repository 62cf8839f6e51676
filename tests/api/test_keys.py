"""Who may ask: sessions with CSRF protection, and management keys with all that bounds them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.core.actor import Actor
from apps.orgs.actions import member_add, member_remove, member_update, user_update
from apps.orgs.keys.actions import key_revoke, keys_revoke_of
from apps.orgs.keys.models import ManagementKey
from apps.orgs.models import Membership, User
from apps.services.actions import token_issue
from tests.api.conftest import Api, error_of, member

SYSTEM = Actor.system("command")


def issued(api: Api, *permissions: str, **more: Any) -> Api:
    made = api.post("keys", {"name": "automation", "permissions": permissions or ["services.read"], **more})
    return Api(key=made["key"], forbidden=api.forbidden)


def test_a_key_does_what_its_permissions_say_and_no_more(api: Api, service: Any):
    key = issued(api, "services.read")

    assert [each["name"] for each in key.get("services")["data"]] == [service.name]
    response = key("POST", "services", {"name": "x"})
    assert response.status_code == 403
    assert error_of(response)["code"] == "permission_denied"
    assert key.get("me")["permissions"] == ["services.read"]


def test_a_key_is_shown_once_and_kept_as_a_digest(api: Api, forbidden: set[str]):
    made = api.post("keys", {"name": "automation", "permissions": ["services.read"]})
    forbidden.add(made.pop("key"))

    assert api.get("keys")["data"] == [made]
    assert api.get(f"keys/{made['id']}") == made
    assert ManagementKey.objects.get().expires_at > now() + timedelta(days=89)


def test_a_revoked_key_opens_nothing(api: Api, with_key: Any):
    key = with_key("services.read")
    key.get("services")
    row = ManagementKey.objects.get()

    assert api.post(f"keys/{row.pk}/revoke", status=200)["state"] == "revoked"

    assert key("GET", "services").status_code == 401
    assert AdminEvent.objects.filter(action="management_key.revoked", target_id=row.pk).count() == 1


def test_an_expired_key_opens_nothing(with_key: Any):
    key = with_key("services.read", expires_at=now() + timedelta(minutes=1))
    key.get("services")
    ManagementKey.objects.update(expires_at=now() - timedelta(seconds=1))

    response = key("GET", "services")

    assert response.status_code == 401
    assert "expired" in error_of(response)["message"]
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_key_bound_to_a_network_opens_nothing_elsewhere(with_key: Any):
    assert with_key("services.read", allowed_networks=["127.0.0.0/8"])("GET", "services").status_code == 200
    assert with_key("services.read", allowed_networks=["192.0.2.0/24"])("GET", "services").status_code == 401


def test_a_key_ends_with_whoever_issued_it_and_does_not_come_back(api: Api, acme: Any, signed_in: Any):
    other = member(acme, "admin")
    key = issued(signed_in(other), "services.read")
    assert key("GET", "services").status_code == 200

    user_update(user=other, is_active=False, actor=SYSTEM)
    assert key("GET", "services").status_code == 401
    user_update(user=other, is_active=True, actor=SYSTEM)
    assert key("GET", "services").status_code == 401

    key = issued(signed_in(other), "services.read")
    assert key("GET", "services").status_code == 200
    member_remove(membership=Membership.objects.get(user=other), actor=SYSTEM)
    assert key("GET", "services").status_code == 401
    member_add(organization=acme, user=other, role="admin", actor=SYSTEM)
    assert key("GET", "services").status_code == 401


def test_a_key_that_was_not_revoked_does_nothing_for_whoever_is_off_or_gone(api: Api, acme: Any, signed_in: Any):
    """Also where the rows were changed by hand, in the database."""
    other = member(acme, "admin")
    key = issued(signed_in(other), "services.read")

    User.objects.filter(pk=other.pk).update(is_active=False)
    assert "switched off" in error_of(key("GET", "services"))["message"]
    User.objects.filter(pk=other.pk).update(is_active=True)
    assert key("GET", "services").status_code == 200
    Membership.objects.filter(user=other).delete()
    assert "left the organization" in error_of(key("GET", "services"))["message"]


def test_a_key_does_no_more_than_whoever_issued_it_may_now(acme: Any, signed_in: Any):
    other = member(acme, "admin")
    key = issued(signed_in(other), "services.read", "services.write")
    assert key("POST", "services", {"name": "before"}).status_code == 201

    member_update(membership=Membership.objects.get(user=other), role="auditor", actor=SYSTEM)

    assert key("POST", "services", {"name": "after"}).status_code == 403
    assert key("GET", "services").status_code == 200


def test_nobody_hands_on_more_than_they_may(acme: Any, signed_in: Any):
    admin = signed_in(member(acme, "admin"))

    response = admin("POST", "keys", {"name": "x", "permissions": ["organization.write"]})

    assert response.status_code == 400
    assert "organization.write" in error_of(response)["fields"]["permissions"][0]
    assert signed_in(member(acme, "member"))("POST", "keys", {"name": "x", "permissions": []}).status_code == 403


def test_a_key_issues_no_key(with_key: Any):
    response = with_key()("POST", "keys", {"name": "x", "permissions": ["services.read"]})

    assert response.status_code == 403
    assert ManagementKey.objects.count() == 1


def test_keys_of_a_person_are_revoked_together(api: Api, owner: Any):
    keys = [issued(api), issued(api)]

    assert keys_revoke_of(user=owner, actor=SYSTEM) == 2

    assert {key("GET", "services").status_code for key in keys} == {401}
    assert keys_revoke_of(user=owner, actor=SYSTEM) == 0


def test_another_organizations_key_is_not_there(api: Api, with_key: Any, zeta: Any):
    with_key(organization=zeta)
    foreign = ManagementKey.objects.get()

    assert api("GET", f"keys/{foreign.pk}").status_code == 404
    assert api("POST", f"keys/{foreign.pk}/revoke").status_code == 404
    assert api.get("keys")["data"] == []


def test_an_installations_key_sees_every_organization(with_key: Any, service: Any, foreign_service: Any, api: Api):
    key = with_key("services.read", organization=None)

    assert len(key.get("services")["data"]) == 2
    assert len(key.get(f"services?organization={service.organization_id}")["data"]) == 1
    assert key("POST", "services", {"name": "x"}).status_code == 403
    assert api.get("keys")["data"] == []


def test_the_use_of_a_key_is_noted(with_key: Any):
    with_key("services.read").get("services")

    assert now() - ManagementKey.objects.get().last_used_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "header", ["Bearer", "Basic YTpi", "Bearer tg_admin_x", "Bearer sk-1", "tg_admin_x", "Bearer é"]
)
def test_what_is_no_key_opens_nothing_even_beside_a_session(api: Api, header: str):
    assert api("GET", "services", Authorization=header.encode().decode("latin-1")).status_code == 401


def test_a_gateways_token_does_not_open_the_api(service: Any):
    _token, plaintext = token_issue(service=service, name="x", actor=SYSTEM)

    response = Api(key=plaintext)("GET", "services")

    assert response.status_code == 401
    assert "management key" in error_of(response)["message"]


def test_nobody_gets_nothing(db: None):
    response = Api()("GET", "services")

    assert response.status_code == 401
    assert error_of(response)["code"] == "not_authenticated"


def test_a_session_needs_the_csrf_token_to_write(owner: Any):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    api = Api(client)
    assert api("GET", "services").status_code == 200

    assert api("POST", "services", {"name": "x"}).status_code == 403
    client.cookies["csrftoken"] = "a" * 32
    assert api("POST", "services", {"name": "x"}, X_CSRFToken="a" * 32).status_code == 201


def test_somebody_who_belongs_nowhere_may_do_nothing(db: None, signed_in: Any):
    from apps.orgs.models import User

    api = signed_in(User.objects.create_user("nobody@nowhere.test", "x"))

    assert api.get("me")["permissions"] == []
    assert api("GET", "services").status_code == 403


def test_the_commands_issue_and_revoke(run: Any, acme: Any, service: Any):
    made = run(
        "issue_management_key", "--org", "acme", "--name", "ci", "--permissions", "services.read", "--expires", "1h"
    )
    assert made.code == 0, made.err
    key = Api(key=made.out.strip())
    assert key("GET", "services").status_code == 200

    assert run("revoke_management_key", "-", stdin=made.out).code == 0

    assert key("GET", "services").status_code == 401
    assert run("issue_management_key", "--org", "acme", "--name", "x", "--permissions", "nonsense").code == 1
    assert run("issue_management_key", "--name", "x", "--permissions", "all").code == 2
    assert run("revoke_management_key", "tg_admin_x").code == 1
    assert run("issue_management_key", "--installation", "--name", "x", "--permissions", "all").code == 0


def test_revoking_is_an_event_once(with_key: Any):
    with_key()
    key = ManagementKey.objects.get()

    assert key_revoke(key=key, actor=SYSTEM) is True
    assert key_revoke(key=key, actor=SYSTEM) is False
