"""Services and tokens over the API."""

from datetime import timedelta
from typing import Any

from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.services.actions import token_issue
from apps.services.models import Service, Token
from apps.services.tokens import token_digest
from tests.api.conftest import Api, error_of


def test_a_service_is_created_renamed_and_disabled(api: Api):
    made = api.post("services", {"name": "Support chat"})
    assert made["enabled"] is True
    assert api.get(f"services/{made['id']}") == made

    changed = api.patch(f"services/{made['id']}", {"name": "Support", "enabled": False})

    assert (changed["name"], changed["enabled"]) == ("Support", False)
    service = Service.objects.get(pk=made["id"])
    assert (service.name, service.disabled_at is None) == ("Support", False)


def test_every_change_leaves_an_event_of_the_api(api: Api, owner: Any):
    made = api.post("services", {"name": "Support chat"})
    api.patch(f"services/{made['id']}", {"enabled": False})

    events = AdminEvent.objects.filter(target_id=made["id"]).order_by("id")

    assert [(event.action, event.door, event.actor_id) for event in events] == [
        ("service.created", "api", owner.pk),
        ("service.disabled", "api", owner.pk),
    ]


def test_what_is_left_out_of_a_patch_stays(api: Api, service: Service):
    api.patch(f"services/{service.pk}", {"enabled": False})

    assert api.patch(f"services/{service.pk}", {"name": "Other"})["enabled"] is False
    assert api.patch(f"services/{service.pk}", {})["name"] == "Other"


def test_a_name_that_is_taken_is_refused_by_field(api: Api, service: Service):
    response = api("POST", "services", {"name": service.name})

    assert response.status_code == 400
    assert "exists" in error_of(response)["message"]


def test_fields_that_nobody_offered_are_refused(api: Api, service: Service):
    for body in ({"name": "x", "disabled_at": None}, {"name": "x", "id": str(service.pk)}, {"name": "x", "a.b": 1}):
        response = api("POST", "services", body)

        assert response.status_code == 400
        assert error_of(response)["fields"]
    assert Service.objects.count() == 1


def test_what_is_of_another_type_is_refused(api: Api):
    for name in (5, True, ["x"], {"a": 1}, None, "", "x" * 101, "nul\x00", "\ud800"):
        response = api("POST", "services", {"name": name})
        assert response.status_code == 400, name
        assert "name" in error_of(response)["fields"]


def test_a_foreign_service_is_not_there(api: Api, foreign_service: Service):
    path = f"services/{foreign_service.pk}"
    for response in (api("GET", path), api("PATCH", path, {"name": "Mine"}), api("PATCH", path, {"nonsense": 1})):
        assert response.status_code == 404
        assert error_of(response)["code"] == "not_found"
    assert "Secret" not in api("GET", "services").text_seen
    assert error_of(api("POST", "tokens", {"service": str(foreign_service.pk), "name": "x"}))["fields"]["service"]
    foreign_service.refresh_from_db()
    assert foreign_service.name == "Secret project"


def test_an_issued_token_is_shown_once_and_opens_the_gateway(api: Api, service: Service, forbidden: set[str]):
    made = api.post("tokens", {"service": str(service.pk), "name": "production", "scopes": ["chat_completions"]})

    plaintext = made.pop("token")
    assert Token.objects.get(pk=made["id"]).digest == token_digest(plaintext)
    forbidden |= {plaintext, token_digest(plaintext).hex()}
    assert api.get(f"tokens/{made['id']}") == made
    assert api.get("tokens")["data"] == [made]
    assert made["masked"].endswith(plaintext[-4:])


def test_a_rotated_token_stays_itself_and_the_old_one_lives_for_the_grace(api: Api, service: Service):
    made = api.post("tokens", {"service": str(service.pk), "name": "production"})

    rotated = api.post(f"tokens/{made['id']}/rotate", {"grace_seconds": 3600})

    assert rotated["id"] == made["id"]
    assert rotated["token"] != made["token"]
    token = Token.objects.get(pk=made["id"])
    assert token.digest == token_digest(rotated["token"])
    assert token.previous_digest == token_digest(made["token"])
    assert timedelta(minutes=59) < token.previous_until - now() <= timedelta(hours=1)
    event = AdminEvent.objects.get(action="token.rotated")
    assert "digest" not in str(event.after)


def test_without_grace_the_old_token_ends_at_once(api: Api, service: Service):
    made = api.post("tokens", {"service": str(service.pk), "name": "production"})
    api.post(f"tokens/{made['id']}/rotate", {"grace_seconds": 3600})

    api.post(f"tokens/{made['id']}/rotate", {})

    assert Token.objects.get(pk=made["id"]).previous_digest is None


def test_a_revoked_token_is_not_rotated(api: Api, service: Service):
    token, _plaintext = token_issue(service=service, name="x", actor=_actor())
    shown = api.post(f"tokens/{token.pk}/revoke", status=200)
    assert shown["state"] == "revoked"
    assert api.post(f"tokens/{token.pk}/revoke", status=200) == shown

    assert api("POST", f"tokens/{token.pk}/rotate", {}).status_code == 400


def test_tokens_are_listed_by_state_and_service(api: Api, service: Service):
    live, _ = token_issue(service=service, name="live", actor=_actor())
    dead, _ = token_issue(service=service, name="dead", actor=_actor())
    api.post(f"tokens/{dead.pk}/revoke", status=200)

    assert [each["id"] for each in api.get("tokens?state=live")["data"]] == [str(live.pk)]
    assert [each["id"] for each in api.get(f"tokens?service={service.pk}&state=revoked")["data"]] == [str(dead.pk)]
    assert api("GET", "tokens?state=undead").status_code == 400
    assert api("GET", "tokens?stat=live").status_code == 400


def test_pages_follow_one_another_without_gaps(api: Api):
    names = [api.post("services", {"name": f"service {number}"})["name"] for number in range(5)]

    found: list[str] = []
    cursor = ""
    while True:
        page = api.get(f"services?limit=2{cursor and '&cursor=' + cursor}")
        found += [each["name"] for each in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert found == names[::-1]
    assert api("GET", "services?cursor=nonsense").status_code == 400
    assert api("GET", "services?limit=0").status_code == 400


def _actor() -> Any:
    from tests.api.conftest import ACTOR

    return ACTOR
