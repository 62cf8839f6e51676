"""Policies and budgets in the console: an operator sees what limits a token, what money is left, and who decided."""

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from apps.audit.models import Adjustment, AdminEvent, RequestRecord, Spend
from apps.core.actor import Actor
from apps.core.ids import request_id, uuid7
from apps.orgs.models import Organization, User
from apps.policies.actions.budgets import Subject, budget_create
from apps.policies.actions.policies import inline_set, policy_attach, policy_create
from apps.policies.counters import reading
from apps.policies.counters.control import holds
from apps.policies.models import AlertDelivery, Attachment, Budget, BudgetAlert, Policy, Webhook
from apps.policies.selectors.policies import inline_policy
from apps.services.actions import token_issue
from apps.services.models import Service, Token
from tests.policies.test_budget_counters import hold


def page(name: str, *args: Any, **query: Any) -> str:
    url = reverse(f"admin:{name}", args=args)
    return f"{url}?{'&'.join(f'{key}={value}' for key, value in query.items())}" if query else url


def place(name: str, layer: str, row: Any = None, **query: Any) -> str:
    return page(f"policies_policy_{name}_here", layer, "-" if row is None else row.pk, **query)


@pytest.fixture
def token(service: Service, actor: Actor) -> Token:
    return token_issue(service=service, name="production", actor=actor)[0]


@pytest.fixture
def interns(acme: Organization, actor: Actor) -> Policy:
    fields = {"allowed_models": ["gpt-4o*"], "requests_per_minute": 60, "max_output_tokens": 4096}
    return policy_create(organization=acme, name="interns", fields=fields, actor=actor)


@pytest.fixture
def budget(acme: Organization, service: Service, actor: Actor) -> Budget:
    return budget_create(
        organization=acme,
        subject=Subject("service", service=service),
        window="month",
        limit_usd=Decimal(20),
        alert_at=[80],
        actor=actor,
    )


def spend(token: Token, usd: str) -> None:
    Spend.objects.create(
        organization_id=token.organization_id,
        service_id=token.service_id,
        token_id=token.pk,
        at=now().replace(minute=0, second=0, microsecond=0),
        requests=1,
        cost_usd=Decimal(usd),
    )


def policy_form(**values: Any) -> dict[str, Any]:
    return {"name": "interns", **values}


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


# --- Policies ---


def test_empty_is_not_set_and_0_is_zero(console: Client, acme: Organization) -> None:
    form = policy_form(organization=str(acme.pk), requests_per_minute="0", tokens_per_minute="", cache="False")
    console.post(page("policies_policy_add"), form)

    policy = Policy.objects.get(organization=acme)
    assert policy.requests_per_minute == 0
    assert policy.tokens_per_minute is None
    assert policy.cache is False
    assert policy.unpriced == ""

    shown = console.get(page("policies_policy_change", policy.pk)).content.decode()
    assert re.search(r'name="requests_per_minute" value="0"', shown)
    assert re.search(r'name="tokens_per_minute"(?! value)', shown)
    assert "0 is zero" in shown


def test_a_policy_saved_as_it_is_shown_stays_as_it_is(console: Client, acme: Organization, actor: Actor) -> None:
    fields = {
        "allowed_models": ["gpt-4o*", "o3"],
        "denied_providers": ["sandbox"],
        "allowed_hours": ["sat,sun 10:00-14:00"],
        "requests_per_minute": 0,
        "unpriced": "deny",
        "cache": True,
    }
    policy = policy_create(organization=acme, name="house", fields=fields, actor=actor)
    before = Policy.objects.filter(pk=policy.pk).values().get()
    response = console.get(page("policies_policy_change", policy.pk))
    form = response.context["adminform"].form
    data: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if value not in (None, ""):
            data[bound.html_name] = value
    console.post(page("policies_policy_change", policy.pk), data)

    after = Policy.objects.filter(pk=policy.pk).values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}
    assert not AdminEvent.objects.filter(action="policy.updated", target_id=policy.pk).exists()


def test_a_change_says_what_changed_and_nothing_else(console: Client, interns: Policy, owner: User) -> None:
    form = policy_form(allowed_models="gpt-4o*\r\n", requests_per_minute="", max_output_tokens="4096")
    console.post(page("policies_policy_change", interns.pk), form)

    interns.refresh_from_db()
    assert interns.requests_per_minute is None
    event = AdminEvent.objects.get(action="policy.updated", target_id=interns.pk)
    assert (event.before, event.after) == ({"requests_per_minute": 60}, {"requests_per_minute": None})
    assert (event.door, event.actor_id) == ("admin", owner.pk)


def test_a_change_between_not_set_and_0_is_a_change(console: Client, interns: Policy) -> None:
    url = page("policies_policy_change", interns.pk)
    for typed, kept in (("", None), ("0", 0), ("", None), ("7", 7), ("0", 0)):
        console.post(url, policy_form(requests_per_minute=typed, cache_seconds=typed))
        interns.refresh_from_db()
        assert (interns.requests_per_minute, interns.cache_seconds) == (kept, kept)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requests_per_minute", "-1"),
        ("requests_per_minute", "many"),
        ("tokens_per_minute", "99999999999999"),
        ("max_output_tokens", "1.5"),
        ("max_input_tokens", "NaN"),
        ("allowed_models", "gpt 4"),
        ("allowed_networks", "10.0.0.5/8"),
        ("allowed_hours", "always"),
        ("name", ""),
    ],
)
def test_what_a_policy_cannot_say_is_refused_at_its_field(
    console: Client, acme: Organization, field: str, value: str
) -> None:
    form = policy_form(organization=str(acme.pk)) | {field: value}
    response = console.post(page("policies_policy_add"), form)

    assert response.status_code == 200
    assert response.context["adminform"].form.errors[field]
    assert value in response.content.decode(), "what was typed is still there"
    assert not Policy.objects.filter(organization=acme).exists()


def test_the_list_says_on_one_line_what_a_policy_sets_and_where_it_holds(
    console: Client, interns: Policy, service: Service, token: Token, actor: Actor
) -> None:
    assert "only gpt-4o* · 60 requests/min · output ≤ 4,096" in text(console.get(page("policies_policy_changelist")))
    policy_attach(policy=interns, layer="service", service=service, actor=actor)
    policy_attach(policy=interns, layer="token", token=token, actor=actor)
    assert "1 service, 1 token" in text(console.get(page("policies_policy_changelist")))


def test_a_policy_is_attached_detached_and_deleted_and_refuses_to_go_while_it_holds(
    console: Client, interns: Policy, service: Service
) -> None:
    attach = {"layer": "service", "service": str(service.pk), "token": ""}
    assert console.post(page("policies_policy_attach", interns.pk), attach).status_code == 302
    assert Attachment.objects.get(policy=interns).service == service

    refused = text(console.post(page("policies_policy_delete_policy", interns.pk)))
    assert "Support chat" in refused
    assert Policy.objects.filter(pk=interns.pk).exists()

    assert "Support chat" in text(console.get(page("policies_policy_change", interns.pk)))
    assert console.get(place("detach", "service", service)).status_code == 200
    console.post(place("detach", "service", service))
    assert not Attachment.objects.filter(policy=interns).exists()
    console.post(page("policies_policy_delete_policy", interns.pk))
    assert not Policy.objects.filter(pk=interns.pk).exists()


def test_attaching_without_saying_where_is_refused(console: Client, interns: Policy) -> None:
    response = console.post(page("policies_policy_attach", interns.pk), {"layer": "service"})
    assert response.status_code == 200
    assert not Attachment.objects.exists()


def test_another_organizations_service_cannot_be_chosen(
    console: Client, interns: Policy, zeta: Organization, actor: Actor
) -> None:
    from apps.services.actions import service_create

    theirs = service_create(organization=zeta, name="Theirs", actor=actor)
    form = {"layer": "service", "service": str(theirs.pk)}
    assert console.post(page("policies_policy_attach", interns.pk), form).status_code == 200
    assert console.post(place("attach", "service", theirs), {"policy": str(interns.pk)}).status_code == 200
    assert not Attachment.objects.exists()


# --- What limits a token ---


def test_every_value_names_the_layer_that_it_comes_from(
    console: Client, interns: Policy, service: Service, token: Token, actor: Actor
) -> None:
    policy_attach(policy=interns, layer="service", service=service, actor=actor)
    inline_set(layer="token", token=token, fields={"requests_per_minute": 30}, actor=actor)

    shown = text(console.get(place("limits", "token", token)))
    assert "Allowed models gpt-4o* service: policy interns" in shown
    assert "Output tokens 4,096 service: policy interns" in shown
    assert "Models without a price deny where a budget applies, flag elsewhere default" in shown
    assert "0 of 30 used 30 — token: its own rules" in shown
    assert "0 of 60 used 60 — service: policy interns" in shown
    assert "Input tokens not set" in shown


def test_a_limit_of_0_is_shown_as_one_and_not_as_none(console: Client, token: Token, actor: Actor) -> None:
    inline_set(layer="token", token=token, fields={"requests_per_minute": 0}, actor=actor)
    response = console.get(place("limits", "token", token))
    assert "0 of 0 used" in text(response)
    assert 'aria-valuetext="0 of 0 used"' in response.content.decode()
    assert "as fast as they like" not in text(response)


def test_each_way_leads_to_what_limits_it(console: Client, token: Token) -> None:
    for name, row, layer in (
        ("services_token", token, "token"),
        ("services_service", token.service, "service"),
        ("orgs_organization", token.organization, "organization"),
    ):
        assert place("limits", layer, row) == console.get(page(f"{name}_limits", row.pk))["Location"]
        assert console.get(place("limits", layer, row)).status_code == 200
    assert console.get(place("limits", "installation")).status_code == 200


@pytest.mark.parametrize(
    ("layer", "key"),
    [("token", "-"), ("token", "nonsense"), ("token", uuid4()), ("installation", uuid4()), ("galaxy", "-")],
)
def test_a_place_that_is_none_is_not_found(console: Client, layer: str, key: Any) -> None:
    assert console.get(page("policies_policy_limits_here", layer, key)).status_code == 404


def test_own_rules_are_edited_and_removed_where_they_hold(console: Client, token: Token) -> None:
    url = place("rules", "token", token)
    saved = console.post(url, {"requests_per_minute": "0", "denied_models": "o3\nO3\ngpt-5*"})
    assert saved["Location"] == place("limits", "token", token)

    rules = inline_policy("token", organization=token.organization, token=token)
    assert rules is not None
    assert (rules.requests_per_minute, rules.denied_models) == (0, ["o3", "gpt-5*"])
    assert 'value="0"' in console.get(url).content.decode()

    refused = console.post(url, {"requests_per_minute": "lots"})
    assert "not a whole number" in text(refused)
    console.post(url, {})
    assert inline_policy("token", organization=token.organization, token=token) is None


def test_a_preview_shows_what_would_limit_a_token_and_changes_nothing(
    console: Client, interns: Policy, token: Token, zeta: Organization, actor: Actor
) -> None:
    asked = console.post(page("policies_policy_preview", interns.pk), {"token": str(token.pk)})
    before = AdminEvent.objects.count()
    shown = text(console.get(asked["Location"]))
    assert "As if the policy interns were attached" in shown
    assert "Allowed models gpt-4o* token: policy interns" in shown
    assert AdminEvent.objects.count() == before
    assert not Attachment.objects.exists()

    mine = policy_create(organization=token.organization, name="mine", fields={"denied_models": ["o3"]}, actor=actor)
    policy_attach(policy=mine, layer="token", token=token, actor=actor)
    assert "Denied models o3" in text(console.get(place("limits", "token", token)))
    assert "Denied models o3" not in text(console.get(asked["Location"])), "one takes the other's place"

    theirs = policy_create(organization=zeta, name="theirs", actor=actor)
    assert "theirs" not in text(console.get(place("attach", "token", token)))
    assert "As if" not in text(console.get(place("limits", "token", token, as_if=theirs.pk)))


def test_a_call_is_tried_without_being_made(
    console: Client, interns: Policy, service: Service, token: Token, actor: Actor
) -> None:
    policy_attach(policy=interns, layer="service", service=service, actor=actor)
    refused = text(console.get(place("limits", "token", token, model="o3", endpoint="responses")))
    assert "Refused with" in refused
    assert "o3 is not allowed by the service's policy “interns”" in refused
    assert "--address" not in refused, "that is how the command line says it"
    of_service = text(console.get(place("limits", "service", service, model="o3")))
    assert "refused by service: policy interns, Allowed models: gpt-4o*" in of_service


def test_what_a_token_may_spend_is_shown_with_its_holders_budgets(
    console: Client, interns: Policy, token: Token, budget: Budget, actor: Actor, acme: Organization
) -> None:
    policy_attach(policy=interns, layer="token", token=token, actor=actor)
    subject = Subject("policy", policy=interns)
    budget_create(organization=acme, subject=subject, window="day", limit_usd=Decimal(8), actor=actor)
    other, _ = token_issue(service=token.service, name="other", actor=actor)
    spend(token, "5.123456789012")

    shown = text(console.get(place("limits", "token", token)))
    assert "$5.1234 of $20.00 spent" in shown
    assert "$5.1234 of $8.00 spent" in shown
    elsewhere = text(console.get(place("limits", "token", other)))
    assert "of $8.00" not in elsewhere
    assert "$5.1234 of $20.00 spent" in elsewhere

    policy_attach(policy=interns, layer="token", token=other, actor=actor)
    elsewhere = text(console.get(place("limits", "token", other)))
    assert "$0.00 of $8.00 spent" in elsewhere
    assert "$5.1234 of $8.00" not in elsewhere, "that is another holder's"


# --- Budgets ---


def budget_form(acme: Organization, **values: str) -> dict[str, str]:
    return {
        "organization": str(acme.pk),
        "scope": "organization",
        "window": "month",
        "limit_usd": "25",
        "action": "block",
        "alert_at": "50, 80 100%",
        **values,
    }


def test_a_budget_is_added_with_its_alerts(console: Client, acme: Organization, owner: User) -> None:
    console.post(page("policies_budget_add"), budget_form(acme))
    budget = Budget.objects.get(organization=acme)
    assert (budget.limit_usd, budget.alert_at) == (Decimal(25), [50, 80, 100])
    assert AdminEvent.objects.get(action="budget.created", target_id=budget.pk).actor_id == owner.pk


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("limit_usd", {"limit_usd": "-1"}),
        ("limit_usd", {"limit_usd": "NaN"}),
        ("limit_usd", {"limit_usd": "1e9"}),
        ("limit_usd", {"limit_usd": "$5"}),
        ("limit_usd", {"limit_usd": "9000001"}),
        ("limit_usd", {"limit_usd": "0.0000000001"}),
        ("limit_usd", {"limit_usd": ""}),
        ("service", {"scope": "service"}),
        ("tag", {"scope": "tag", "tag": "search"}),
        ("end_user", {"end_user": "ann"}),
        ("rolling_days", {"window": "rolling"}),
        ("rolling_days", {"window": "rolling", "rolling_days": "1"}),
        ("rolling_days", {"rolling_days": "7"}),
        ("alert_at", {"alert_at": "half"}),
        ("alert_at", {"alert_at": "0"}),
        ("alert_at", {"alert_at": "50 50"}),
    ],
)
def test_what_a_budget_cannot_be_is_refused_at_its_field(
    console: Client, acme: Organization, field: str, values: dict[str, str]
) -> None:
    response = console.post(page("policies_budget_add"), budget_form(acme, **values))
    assert response.status_code == 200
    assert response.context["adminform"].form.errors[field]
    assert not Budget.objects.exists()


def test_a_limit_is_changed_and_its_subject_stays(console: Client, budget: Budget, acme: Organization) -> None:
    url = page("policies_budget_change", budget.pk)
    console.post(url, budget_form(acme, scope="organization", limit_usd="0", window="month", alert_at="80"))
    budget.refresh_from_db()
    assert (budget.limit_usd, budget.scope) == (Decimal(0), "service")


def test_a_gauge_says_in_words_what_its_bar_shows(console: Client, budget: Budget, token: Token) -> None:
    spend(token, "17")
    listed = console.get(page("policies_budget_changelist")).content.decode()
    meter = re.search(r'<div class="tg-gauge tg-warn" role="meter"[^>]*>', listed)
    assert meter is not None
    assert 'aria-label="Budget of Support chat"' in meter[0]
    assert 'aria-valuenow="85.0"' in meter[0]
    assert 'aria-valuetext="$17.00 of $20.00 spent"' in meter[0]
    detail = text(console.get(page("policies_budget_change", budget.pk)))
    assert "$17.00 of $20.00 spent · 85 %" in detail
    assert "$3.00" in detail


def test_spending_is_never_shown_as_less_than_a_limit_that_it_exceeds(
    console: Client, budget: Budget, token: Token
) -> None:
    spend(token, "20.000000000001")
    assert "used up" in text(console.get(page("policies_budget_changelist")))


def test_nothing_but_a_limit_that_is_reached_reads_as_100_percent(
    console: Client, budget: Budget, token: Token
) -> None:
    spend(token, "19.999999999999")
    shown = text(console.get(page("policies_budget_changelist")))
    assert "· 99 %" in shown
    assert "used up" not in shown


def test_the_list_asks_about_the_budgets_of_its_page_alone(console: Client, acme: Organization, token: Token) -> None:
    url = page("policies_budget_changelist")

    def made(count: int) -> int:
        Budget.objects.all().delete()
        Budget.objects.bulk_create(
            Budget(organization=acme, scope="end_user", end_user=f"user-{n}", window="total", limit_usd=1)
            for n in range(count)
        )
        with CaptureQueriesContext(connection) as asked:
            assert console.get(url).status_code == 200
        return len(asked)

    assert made(300) == made(50)


def test_a_budget_is_disabled_enabled_and_deleted(console: Client, budget: Budget) -> None:
    console.post(page("policies_budget_disable", budget.pk))
    budget.refresh_from_db()
    assert not budget.enabled
    console.post(page("policies_budget_enable", budget.pk))
    budget.refresh_from_db()
    assert budget.enabled
    console.post(page("policies_budget_delete_budget", budget.pk))
    assert not Budget.objects.exists()


def test_a_correction_is_added_to_the_ledger_with_its_reason(
    console: Client, budget: Budget, token: Token, owner: User
) -> None:
    spend(token, "10")
    url = page("policies_budget_adjust", budget.pk)
    assert "is not an amount" in text(console.post(url, {"amount_usd": "lots", "reason": "x"}))
    assert not Adjustment.objects.exists()

    console.post(url, {"amount_usd": "-2.5", "reason": "billed twice"})
    made = Adjustment.objects.get()
    assert (made.amount_usd, made.service_id, made.created_by_id) == (Decimal("-2.5"), token.service_id, owner.pk)
    detail = text(console.get(page("policies_budget_change", budget.pk)))
    assert "$7.50 of $20.00 spent" in detail
    assert "billed twice" in detail


def test_what_a_call_holds_is_seen_and_released(console: Client, budget: Budget, token: Token) -> None:
    assert "Nothing right now." in text(console.get(page("policies_budget_change", budget.pk)))
    counted = reading.counted(reading.rules_of(budget)[0], now().timestamp())
    run = reading.store().info("server")["run_id"]
    reading.store().hset(counted.key, mapping={"e": run, "w": counted.window, "s": 0, "h": 0})
    call = hold(budget, token, "0.75")

    shown = text(console.get(page("policies_budget_change", budget.pk)))
    assert request_id(call) in shown
    assert "$0.00 of $20.00 spent, $0.75 held" in shown
    assert "$19.25" in shown

    url = page("policies_budget_release", budget.pk, call)
    assert "Other calls may use it at once" in text(console.get(url))
    assert len(holds(budget.organization)) == 1, "looking changes nothing"
    assert "0.75 USD are free again." in text(console.post(url, follow=True))
    assert holds(budget.organization) == []
    assert "holds nothing any more" in text(console.post(url, follow=True))
    assert AdminEvent.objects.filter(action="hold.released", door="admin").count() == 1


def test_without_the_counters_a_budget_says_so_and_shows_the_ledger(
    console: Client, budget: Budget, token: Token, settings: Any
) -> None:
    spend(token, "4")
    reading.store.cache_clear()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    try:
        shown = text(console.get(page("policies_budget_change", budget.pk)))
        limits = console.get(place("limits", "token", token))
        release = console.post(page("policies_budget_release", budget.pk, uuid7()))
    finally:
        reading.store.cache_clear()
    assert "$4.00 of $20.00 spent" in shown
    assert "counters cannot be reached" in shown
    assert limits.status_code == 200
    assert "try again once Valkey answers" in text(release)


# --- Alerts, webhooks, adjustments ---


def test_an_alert_shows_who_was_told_and_nobody_can_change_it(console: Client, budget: Budget) -> None:
    alert = BudgetAlert.objects.create(
        organization=budget.organization,
        budget=budget,
        window_start=now(),
        level=80,
        spent_usd=Decimal("16.123456789012"),
        limit_usd=Decimal(20),
    )
    AlertDelivery.objects.create(
        organization=budget.organization,
        alert=alert,
        channel="webhook",
        target="https://hooks.test/a",
        state="failed",
        attempts=6,
        error="HTTP 500",
    )
    shown = text(console.get(page("policies_budgetalert_change", alert.pk)))
    for words in ("80 %", "$16.123456789012", "https://hooks.test/a", "HTTP 500", "failed"):
        assert words in shown
    assert "0 of 1" in text(console.get(page("policies_budgetalert_changelist")))
    assert console.get(page("policies_budgetalert_add")).status_code == 403
    assert console.post(page("policies_alertdelivery_add")).status_code == 403


def test_a_webhooks_secret_is_shown_once_and_never_again(
    console: Client, acme: Organization, settings: Any, loopback: None
) -> None:
    form = {"organization": str(acme.pk), "url": "http://127.0.0.1:9/alerts"}
    response = console.post(page("policies_webhook_add"), form)

    [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", response.content.decode())
    assert "no-store" in response["Cache-Control"]
    webhook = Webhook.objects.get()
    for url in (page("policies_webhook_change", webhook.pk), page("policies_webhook_changelist")):
        assert secret not in console.get(url).content.decode()
    [fresh] = re.findall(
        r"whsec_[A-Za-z0-9+/=]+", console.post(page("policies_webhook_rotate", webhook.pk)).content.decode()
    )
    assert fresh != secret
    console.post(page("policies_webhook_disable", webhook.pk))
    console.post(page("policies_webhook_delete_webhook", webhook.pk))
    assert not Webhook.objects.exists()


def test_a_webhook_into_the_private_network_is_refused_at_its_field(console: Client, acme: Organization) -> None:
    form = {"organization": str(acme.pk), "url": "https://10.0.0.1/alerts"}
    response = console.post(page("policies_webhook_add"), form)
    assert "EGRESS_ALLOW" in response.context["adminform"].form.errors["url"][0]


def test_an_adjustment_names_a_request_or_whose_it_is_and_is_never_changed(
    console: Client, acme: Organization, token: Token
) -> None:
    form = {"organization": str(acme.pk), "amount_usd": "1.5", "reason": "late bill", "token": str(token.pk)}
    console.post(page("audit_adjustment_add"), {**form, "tags": "team=a\nteam=b", "at": "2026-01-01"})
    made = Adjustment.objects.get()
    assert made.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (made.tags, made.service_id) == (["team=a", "team=b"], token.service_id)
    console.post(page("audit_adjustment_change", made.pk), {**form, "amount_usd": "9"})
    made.refresh_from_db()
    assert made.amount_usd == Decimal("1.5")

    for field, value in (("request_id", "req_nonsense"), ("at", "soon"), ("amount_usd", "0"), ("reason", "")):
        response = console.post(page("audit_adjustment_add"), {**form, field: value})
        assert response.context["adminform"].form.errors[field], field
    assert Adjustment.objects.count() == 1


# --- The record and the first page ---


def record(token: Token, **fields: Any) -> RequestRecord:
    return RequestRecord.objects.create(
        created_at=now(),
        organization=token.organization,
        service=token.service,
        token=token,
        endpoint="chat_completions",
        path="/v1/chat/completions",
        model_asked="gpt-4o",
        total_us=1,
        **{"status": 200, **fields},
    )


def test_a_record_shows_its_cost_its_flags_and_what_limits_said(console: Client, budget: Budget, token: Token) -> None:
    decision = {
        "hold": 1_500_000_000,
        "tokens": 100,
        "places": [["token", token.pk.hex, 60, 0, None, -1, None, -1]],
        "budgets": [[budget.pk.hex, "-", 20_000_000_000, 19_000_000_000, 0]],
        "refused": ["budget", 0],
    }
    refused = record(token, status=402, error_code="budget_exceeded", decision=decision)
    shown = text(console.get(page("audit_requestrecord_change", refused.pk)))
    assert "it would have held $1.50" in shown
    assert "$20.00 $19.00 $0.00 refused the call" in shown
    assert "requests per minute 60 0" in shown

    answered = record(token, decision={**decision, "refused": ["", -1]})
    shown = text(console.get(page("audit_requestrecord_change", answered.pk)))
    assert "as the call left them; it held $1.50" in shown
    assert "refused the call" not in shown

    unpriced = record(token, flags=["unpriced"])
    shown = text(console.get(page("audit_requestrecord_change", unpriced.pk)))
    assert "No price was known" in shown
    paid = record(token, cost_usd=Decimal("0.000123450001"), tags=["team=search"])
    assert "$0.000123450001" in text(console.get(page("audit_requestrecord_change", paid.pk)))


def test_records_are_found_by_flag_tag_and_token(console: Client, token: Token, actor: Actor) -> None:
    flagged = record(token, flags=["unpriced"])
    tagged = record(token, tags=["team=search"])
    other = record(token_issue(service=token.service, name="other", actor=actor)[0], usage_estimated=True)

    def found(**query: Any) -> set[Any]:
        response = console.get(page("audit_requestrecord_changelist", **query))
        return {row.pk for row in response.context["cl"].result_list}

    assert found(flag="unpriced") == {flagged.pk}
    assert found(flag="estimated") == {other.pk}
    assert found(q="team=search") == {tagged.pk}
    assert found(token__id__exact=token.pk) == {flagged.pk, tagged.pk}
    assert found(q=request_id(other.pk)) == {other.pk}


def test_the_first_page_shows_what_was_spent_and_the_budget_that_runs_low(
    console: Client, budget: Budget, token: Token
) -> None:
    record(token, flags=["unpriced"])
    spend(token, "19.5")
    BudgetAlert.objects.create(
        organization=budget.organization,
        budget=budget,
        window_start=now() - timedelta(hours=1),
        level=80,
        spent_usd=Decimal(17),
        limit_usd=Decimal(20),
    )
    shown = text(console.get(page("index")))
    assert "Cost this month $19.50" in shown
    assert "1 call without a price" in shown
    assert "$19.50 of $20.00 spent" in shown


def test_every_flag_that_records_may_have_is_explained_and_can_be_asked_for(console: Client, token: Token) -> None:
    from apps.audit.admin import FLAGS

    documented = re.search(r"^\| `flags` \|.*$", Path("docs/records.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert documented is not None
    flags = set(re.findall(r"`([a-z_]+)`", documented[0])) - {"flags"}
    assert set(FLAGS) == flags
    for flag in flags:
        row = record(token, flags=[flag])
        assert str(FLAGS[flag]) in text(console.get(page("audit_requestrecord_change", row.pk)))
        response = console.get(page("audit_requestrecord_changelist", flag=flag))
        assert [found.pk for found in response.context["cl"].result_list] == [row.pk]
