"""What each resource does, beside what holds for all of them."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from apps.api.resources.records import BATCH
from apps.audit.models import AdminEvent, RequestRecord, Spend
from apps.core.actor import Actor
from apps.orgs.models import Membership, Organization
from apps.policies.models import Attachment, Budget, Policy
from apps.providers.models import Alias, Credential
from apps.providers.prices.models import Price
from tests.api.conftest import UPSTREAM_SECRET, Api, error_of, member
from tests.api.world import furnish

SYSTEM = Actor.system("command")


@pytest.fixture
def rows(acme: Organization) -> dict[str, str]:
    return furnish(acme)


# --- Organizations and people ---


def test_the_installations_operators_create_and_suspend_organizations(
    staff: Api, api: Api, acme: Organization, settings: Any
):
    settings.TENANCY = "multi"
    made = staff.post("organizations", {"name": "New", "slug": "new"})
    assert made["timezone"] == "UTC"
    assert staff.patch(f"organizations/{acme.pk}", {"suspended": True})["suspended_at"]

    assert api("POST", "organizations", {"name": "Mine", "slug": "mine"}).status_code == 403
    assert api("PATCH", f"organizations/{acme.pk}", {"suspended": False}).status_code == 403
    assert [each["slug"] for each in api.get("organizations")["data"]] == ["acme"]


def test_the_installations_operators_say_who_may_use_hosted_credentials(
    staff: Api, api: Api, acme: Organization, with_key: Any
):
    path = f"organizations/{acme.pk}"
    assert api.get(path)["hosted_credentials"] is True

    assert staff.patch(path, {"hosted_credentials": False})["hosted_credentials"] is False
    [event] = AdminEvent.objects.filter(action="organization.entitled")
    assert (event.before, event.after) == ({"hosted_credentials": True}, {"hosted_credentials": False})
    assert with_key(organization=None).patch(path, {"hosted_credentials": True})["hosted_credentials"] is True
    for refused in (api, with_key()):
        assert refused("PATCH", path, {"hosted_credentials": True, "name": "Mine"}).status_code == 403
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_a_key_of_the_installations_gives_any_role_and_an_organizations_gives_none_above_admin(
    acme: Organization, owner: Any, with_key: Any
):
    row = Membership.objects.get(user=member(acme, "member"))

    assert with_key()("PATCH", f"members/{row.pk}", {"role": "owner"}).status_code == 400
    assert with_key(organization=None).patch(f"members/{row.pk}", {"role": "owner"})["role"] == "owner"


def test_settings_are_changed_by_owners(api: Api, acme: Organization, signed_in: Any):
    changed = api.patch("settings", {"members_manage_tokens": True, "timezone": "Europe/Madrid"})

    assert changed["members_manage_tokens"] is True
    acme.refresh_from_db()
    assert (acme.members_manage_tokens, acme.members_manage_services) == (True, False)
    assert "timezone" in error_of(api("PATCH", "settings", {"timezone": "Mars/Olympus"}))["fields"]
    assert signed_in(member(acme, "admin"))("PATCH", "settings", {}).status_code == 403


def test_operators_say_whose_settings_where_there_are_several(staff: Api, acme: Organization):
    assert staff.get("settings")["organization"] == str(acme.pk)
    Organization.objects.create(name="Other", slug="other")

    assert staff("GET", "settings").status_code == 400
    assert staff.get(f"settings?organization={acme.pk}")["organization"] == str(acme.pk)


def test_a_members_role_is_changed_by_who_may(api: Api, acme: Organization, owner: Any, signed_in: Any):
    admin = member(acme, "admin")
    row = Membership.objects.get(user=admin)

    assert api.patch(f"members/{row.pk}", {"role": "auditor"})["role"] == "auditor"
    own = Membership.objects.get(user=owner)
    assert api("PATCH", f"members/{own.pk}", {"role": "member"}).status_code == 400
    other = signed_in(member(acme, "member"))
    assert other("PATCH", f"members/{row.pk}", {"role": "member"}).status_code == 403
    assert api("DELETE", f"members/{own.pk}").status_code == 400  # the last owner
    assert api("DELETE", f"members/{row.pk}").status_code == 204
    assert api("GET", f"members/{row.pk}").status_code == 404


def test_an_admin_makes_nobody_an_owner(acme: Organization, owner: Any, signed_in: Any):
    admin = signed_in(member(acme, "admin"))
    row = Membership.objects.get(user=member(acme, "member"))

    assert admin("PATCH", f"members/{row.pk}", {"role": "owner"}).status_code == 400
    assert admin("POST", "invitations", {"email": "x@x.test", "role": "owner", "delivery": "link"}).status_code == 400


def test_an_invitation_is_handed_over_as_a_link_once(api: Api):
    made = api.post("invitations", {"email": "New@Acme.test", "role": "member", "delivery": "link"})
    assert "/invitations/" in made["link"]
    assert made["email"] == "new@acme.test"
    assert "link" not in api.get(f"invitations/{made['id']}")

    again = api.post(f"invitations/{made['id']}/resend")

    assert again["link"] != made["link"]
    assert api.post(f"invitations/{made['id']}/revoke", status=200)["state"] == "revoked"
    assert "delivery" in error_of(api("POST", "invitations", {"email": "b@b.test", "role": "member"}))["fields"]


# --- Providers ---


def test_a_credentials_secret_is_written_and_never_read(api: Api, forbidden: set[str]):
    forbidden.add("another-secret-5678")
    made = api.post("credentials", {"provider": "openai", "label": "main", "secret": UPSTREAM_SECRET})
    assert (made["has_secret"], made["secret_hint"], made["base_url"]) == (True, "1234", "https://api.openai.com/v1")

    changed = api.patch(f"credentials/{made['id']}", {"secret": "another-secret-5678", "weight": 3, "drained": True})

    assert (changed["weight"], changed["drained"], changed["secret_hint"]) == (3, True, "5678")
    assert Credential.objects.get(pk=made["id"]).secret() == "another-secret-5678"
    assert api.patch(f"credentials/{made['id']}", {"weight": None})["weight"] is None
    refused = api("PATCH", f"credentials/{made['id']}", {"base_url": "https://elsewhere.example"})
    assert "secret" in error_of(refused)["fields"]
    assert (
        "base_url"
        in error_of(
            api(
                "POST",
                "credentials",
                {"provider": "openai", "label": "x", "secret": "y", "base_url": "http://10.0.0.1"},
            )
        )["fields"]
    )
    assert UPSTREAM_SECRET not in str(list(AdminEvent.objects.values_list("before", "after")))


def test_what_the_installation_hosts_is_seen_and_not_changed(api: Api, staff: Api, acme: Organization):
    hosted = staff.post(
        "credentials", {"organization": None, "provider": "openai", "label": "hosted", "secret": UPSTREAM_SECRET}
    )

    assert api.get(f"credentials/{hosted['id']}")["organization"] is None
    assert api("PATCH", f"credentials/{hosted['id']}", {"label": "mine"}).status_code == 403
    assert api("POST", "credentials", {"organization": None, "provider": "openai", "label": "x"}).status_code == 403


def test_models_and_aliases_are_listed_changed_and_removed(api: Api, rows: dict[str, str]):
    model = api.post("models", {"provider": "openai", "name": "house", "credential": rows["credential_id"]})
    assert api.patch(f"models/{model['id']}", {"enabled": False, "credential": None})["credential"] is None
    made = api.post("aliases", {"name": "best", "targets": [{"model": "house"}, {"model": "gpt-5", "tier": 2}]})
    assert [target["tier"] for target in made["targets"]] == [1, 2]
    path = f"aliases/{made['id']}"

    assert api("PATCH", path, {"targets": [{"model": "gpt-5"}]}).status_code == 428
    changed = api.patch(path, {"targets": [{"model": "gpt-5"}]}, If_Match=api("GET", path)["ETag"])

    assert [target["model"] for target in changed["targets"]] == ["gpt-5"]
    assert error_of(api("POST", "aliases", {"name": "x", "targets": [{"model": "a", "wait": 1}]}))["fields"]
    assert api("DELETE", path).status_code == 204
    assert not Alias.objects.filter(pk=made["id"]).exists()
    assert api("DELETE", f"models/{model['id']}").status_code == 204


def test_prices_are_text_and_exact(api: Api):
    made = api.post("prices", {"provider": "openai", "model": "house", "prices": {"input": "2.500001", "output": "10"}})
    assert made["prices"] == {"input": "2.500001", "output": "10.00"}
    assert Price.objects.get(pk=made["id"]).input == Decimal("2.500001")
    for wrong in (2.5, "2,5", "1e3", "NaN", "-", ""):
        response = api("POST", "prices", {"provider": "openai", "model": "x", "prices": {"input": wrong}})
        assert response.status_code == 400, wrong

    assert api.post(f"prices/{made['id']}/withdraw", status=200)["withdrawn_at"]


# --- Policies and budgets ---


def test_a_policy_is_attached_changed_and_explained(api: Api, rows: dict[str, str]):
    made = api.post("policies", {"name": "careful", "allowed_models": ["gpt-*"], "max_output_tokens": 100})
    api.post("attachments", {"policy": made["id"], "layer": "token", "token": rows["token_id"]})
    path = f"policies/{made['id']}"

    changed = api.patch(path, {"max_output_tokens": None, "unpriced": "deny"}, If_Match="*")

    assert (changed["max_output_tokens"], changed["unpriced"], changed["allowed_models"]) == (None, "deny", ["gpt-*"])
    held = api.get(f"tokens/{rows['token_id']}/effective-policy")
    assert held["fields_held"]["unpriced"] == {"value": "deny", "layer": "token", "policy": "careful"}
    told = api.post("explanations", {"token": rows["token_id"], "model": "claude-x"}, status=200)
    assert told["verdict"]["allowed"] is False
    assert api("DELETE", path).status_code == 400  # while it holds somewhere
    (attachment,) = api.get(f"attachments?policy={made['id']}")["data"]
    assert api("DELETE", f"attachments/{attachment['id']}").status_code == 204
    assert api("DELETE", path).status_code == 204
    assert not Policy.objects.filter(pk=made["id"]).exists()


def test_the_own_rules_of_a_place_are_set_and_emptied(api: Api, rows: dict[str, str]):
    path = f"services/{rows['service_id']}/rules"
    assert api.get(path)["requests_per_minute"] is None

    assert api.patch(path, {"requests_per_minute": 5})["requests_per_minute"] == 5
    assert Attachment.objects.filter(inline=True).count() == 1
    assert api.patch(path, {"requests_per_minute": None})["requests_per_minute"] is None
    assert Attachment.objects.filter(inline=True).count() == 0
    assert error_of(api("PATCH", path, {"allowed_networks": ["10.0.0.1/8"]}))["fields"]["allowed_networks"]


def test_members_attach_nothing_to_the_installation(api: Api, staff: Api, rows: dict[str, str]):
    assert api("POST", "attachments", {"policy": rows["policy_id"], "layer": "installation"}).status_code == 403
    assert api("PATCH", "installation/rules", {"requests_per_minute": 1}).status_code == 403
    assert staff.patch("installation/rules", {"requests_per_minute": 9})["requests_per_minute"] == 9
    assert api.get("installation/rules")["requests_per_minute"] == 9


def test_a_budget_is_made_changed_and_stands_somewhere(api: Api, rows: dict[str, str]):
    made = api.post(
        "budgets",
        {"scope": "service", "service": rows["service_id"], "window": "day", "limit_usd": "12.50", "alert_at": [50]},
    )
    assert made["limit_usd"] == "12.50"

    assert api.patch(f"budgets/{made['id']}", {"limit_usd": "0.000000001"})["limit_usd"] == "0.000000001"
    (state,) = api.get(f"budgets/{made['id']}/state")["data"]
    assert state["limit_usd"] == "0.000000001"
    assert "limit_usd" in error_of(api("PATCH", f"budgets/{made['id']}", {"limit_usd": 5}))["fields"]
    assert api("DELETE", f"budgets/{made['id']}").status_code == 204
    assert not Budget.objects.filter(pk=made["id"]).exists()


def test_holds_are_released_by_their_own_organization(api: Api, stranger: Api, rows: dict[str, str]):
    request = rows["request_id"]
    assert [each["request"] for each in api.get("holds")["data"]] == [request]
    assert stranger.get("holds")["data"] == []
    assert stranger("POST", f"holds/{request}/release", {}).status_code == 404


def test_adjustments_are_recorded_with_their_reason(api: Api, rows: dict[str, str]):
    made = api.post("adjustments", {"amount_usd": "-1.25", "reason": "A refund", "request": rows["record_id"]})

    assert (made["amount_usd"], made["request"]) == ("-1.25", rows["record_id"])
    assert api.get("adjustments")["data"] == [made]


def test_a_webhooks_signing_secret_is_shown_once(api: Api, loopback: None, forbidden: set[str]):
    made = api.post("webhooks", {"url": "http://127.0.0.1:9/told"})
    rotated = api.post(f"webhooks/{made['id']}/rotate")
    assert made["signing_secret"] != rotated["signing_secret"]
    forbidden |= {made["signing_secret"], rotated["signing_secret"]}

    assert api.patch(f"webhooks/{made['id']}", {"enabled": False})["enabled"] is False
    assert api.get("webhooks")["data"][0]["id"] == made["id"]
    assert api("DELETE", f"webhooks/{made['id']}").status_code == 204


# --- What happened ---


def test_records_are_filtered_and_exported(api: Api, rows: dict[str, str]):
    record = RequestRecord.objects.get()
    copied = {
        field.attname: getattr(record, field.attname)
        for field in RequestRecord._meta.concrete_fields
        if field.name not in {"id", "recorded_at"}
    }
    more = [RequestRecord(**copied | {"status": 500, "user_agent": "=HYPERLINK(1)"}) for _ in range(2 * BATCH)]
    RequestRecord.objects.bulk_create(more)

    assert len(api.get("records?failed=true&limit=200")["data"]) == 200
    (only,) = api.get("records?status_class=2")["data"]
    assert (only["id"], only["cost_usd"]) == (rows["record_id"], "0.00334")
    assert api.get(f"records/{rows['record_id']}") == only
    lines = [json.loads(line) for line in api("GET", "records/export?format=jsonl").text_seen.splitlines()]
    assert {line["id"] for line in lines} == {row.shown_id for row in (record, *more)}
    assert len(lines) == 2 * BATCH + 1
    exported = api("GET", "records/export?format=csv&failed=true")
    assert exported["Content-Type"] == "text/csv"
    table = list(csv.DictReader(io.StringIO(exported.text_seen)))
    assert [row["status"] for row in table] == ["500"] * 2 * BATCH
    assert table[0]["user_agent"] == "'=HYPERLINK(1)"
    assert api("GET", "records/export").status_code == 400


def test_a_record_is_explained(api: Api, rows: dict[str, str]):
    assert api.get(f"records/{rows['record_id']}/explanation")["request"]["status"] == 200


def test_an_explanation_speaks_the_readers_language_and_keeps_its_codes(api: Api, rows: dict[str, str]):
    told = api.post("policies", {"name": "narrow", "denied_models": ["acme-*"]})
    api.post("attachments", {"policy": told["id"], "layer": "token", "token": rows["token_id"]})
    asked = {"token": rows["token_id"], "model": "acme-model"}

    english, german = (
        api.post("explanations", asked, status=200, Accept_Language=language) for language in ("en", "de")
    )

    names = ("question", "outcome", "status", "code")
    assert [[step[name] for name in names] for step in english["steps"]] == [
        [step[name] for name in names] for step in german["steps"]
    ]
    assert english["verdict"]["code"] == german["verdict"]["code"] == "model_not_allowed"
    assert "is not allowed by the token's policy “narrow” (denied models: acme-*)" in english["verdict"]["sentence"]
    assert "Abgelehnt mit 403 model_not_allowed" in german["verdict"]["sentence"]
    assert "narrow" in german["verdict"]["sentence"]


def test_usage_is_added_up_by_group_and_bucket(api: Api, rows: dict[str, str], acme: Organization):
    Spend.objects.create(
        organization=acme,
        service_id=rows["service_id"],
        token_id=rows["token_id"],
        at=now().replace(minute=0, second=0, microsecond=0),
        requests=3,
        cost_usd=Decimal("0.25"),
    )

    rolled = api.get("usage?group_by=service&bucket=day")
    assert rolled["source"] == "rollup"
    assert [(row["group"]["service"], row["requests"], row["cost_usd"]) for row in rolled["data"]] == [
        (rows["service_id"], 3, "0.25")
    ]
    recorded = api.get("usage?group_by=model,status")
    assert recorded["source"] == "records"
    (row,) = recorded["data"]
    assert row["group"] == {"model": "acme-model", "status": "200"}
    assert (row["requests"], row["failed"], row["input_tokens"], row["cost_usd"]) == (1, 0, 1200, "0.00334")
    told = api.get("usage?group_by=service&source=records")
    (row,) = told["data"]
    assert (told["source"], row["group"], row["input_tokens"]) == ("records", {"service": rows["service_id"]}, 1200)
    for wrong in (
        "group_by=nonsense",
        "group_by=model&since=2020-01-01T00:00:00Z",
        "source=records&since=2020-01-01T00:00:00Z",
        "group_by=model&source=rollup",
        "bucket=year",
        "since=yesterday",
    ):
        assert api("GET", f"usage?{wrong}").status_code == 400, wrong


def test_events_are_found_by_action_and_target(api: Api):
    made = api.post("services", {"name": "watched"})

    (event,) = api.get(f"events?action=service.created&target={made['id']}")["data"]

    assert event["after"]["name"] == "watched"
    assert api.get(f"events/{event['id']}") == event
