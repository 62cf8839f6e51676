"""Budgets on the command line: the result on stdout, a sentence for every refusal, exit codes that mean something."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now

from apps.audit.models import Adjustment, AdminEvent
from apps.orgs.models import Organization
from apps.policies.models import Budget, Policy, Webhook
from apps.services.models import Service, Token
from tests.control.conftest import Run
from tests.support.spending import a_token, an_organization, spend


@pytest.fixture
def token(service: Service) -> Token:
    return a_token(service)


# --- set_budget ---


def test_a_budget_is_created_and_then_changed(run: Run, acme: Organization) -> None:
    words = ("set_budget", "--org", "acme", "--window", "month", "--usd")
    made = run(*words, "250.50", "--alert-at", "100,50%, 80", "--action", "alert")
    assert (made.code, made.out) == (0, "Created budget organization · month · 250.5 USD.\n")
    again = run(*words, "300")
    assert again.out == "Set budget organization · month · 300 USD.\n"
    budget = Budget.objects.get(organization=acme)
    assert (budget.limit_usd, budget.alert_at, budget.action) == (300, [50, 80, 100], "alert")
    assert [event.door for event in AdminEvent.objects.filter(target_id=budget.pk)] == ["command"] * 2


def test_every_scope_and_window_has_its_option(run: Run, acme: Organization, token: Token) -> None:
    Policy.objects.create(organization=acme, name="interns")
    for option, value, window in (
        ("--service", "Support chat", "day"),
        ("--token", str(token.pk), "week"),
        ("--end-user", "*", "month"),
        ("--tag", "Team=search", "total"),
        ("--policy", "interns", "rolling:30"),
    ):
        done = run("set_budget", "--org", "acme", option, value, "--window", window, "--usd", "1")
        assert done.code == 0, done.err
    rows = Budget.objects.filter(organization=acme).values_list("scope", "window", "rolling_days", "tag")
    assert set(rows) == {
        ("service", "day", None, ""),
        ("token", "week", None, ""),
        ("end_user", "month", None, ""),
        ("tag", "total", None, "team=search"),
        ("policy", "rolling", 30, ""),
    }


@pytest.mark.parametrize("usd", ["$5", "5 USD", "1e3", "NaN", "five", "1,000", ""])
def test_an_amount_that_is_not_plain_is_refused(run: Run, acme: Organization, usd: str) -> None:
    refused = run("set_budget", "--org", "acme", "--window", "day", f"--usd={usd}")
    assert refused.code in {1, 2}
    assert refused.out == ""
    assert not Budget.objects.filter(organization=acme).exists()


def test_a_refusal_names_the_field_and_the_remedy(run: Run, acme: Organization) -> None:
    refused = run("set_budget", "--org", "acme", "--window", "day", "--usd", "-1")
    assert (refused.code, refused.err.strip()) == (
        1,
        "limit_usd: The limit is below 0: 0 lets nothing pass, and is the least.",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--window", "year", "--usd", "1"),
        ("--window", "rolling", "--usd", "1"),
        ("--window", "day"),
        ("--usd", "1"),
        ("--window", "day", "--usd", "1", "--delete"),
        ("--window", "day", "--delete", "--alert-at", "50"),
        ("--window", "day", "--usd", "1", "--alert-at", "half"),
        ("--window", "day", "--usd", "1", "--service", "a", "--tag", "b=c"),
        ("--window", "day", "--usd", "1", "--token", "tg"),
    ],
)
def test_wrong_usage_is_2_or_a_refusal(run: Run, acme: Organization, words: tuple[str, ...]) -> None:
    ran = run("set_budget", "--org", "acme", *words)
    assert ran.code in {1, 2}
    assert ran.out == ""
    assert ran.err


def test_what_the_organization_does_not_have_is_refused(run: Run, acme: Organization) -> None:
    foreign = a_token(Service.objects.create(organization=an_organization(), name="other"))
    for words in (("--service", "nope"), ("--policy", "nope"), ("--token", str(foreign.pk))):
        ran = run("set_budget", "--org", "acme", *words, "--window", "day", "--usd", "1")
        assert ran.code == 1, words
    assert not Budget.objects.filter(organization=acme).exists()


def test_a_limit_of_nothing_is_warned_of(run: Run, acme: Organization) -> None:
    ran = run("set_budget", "--org", "acme", "--window", "day", "--usd", "0")
    assert ran.code == 0
    assert "every call is refused" in ran.err


def test_a_budget_is_disabled_and_deleted(run: Run, acme: Organization) -> None:
    words = ("set_budget", "--org", "acme", "--window", "day")
    assert run(*words, "--disable").code == 1
    run(*words, "--usd", "5")
    assert run(*words, "--disable").out.startswith("Disabled")
    assert run(*words, "--disable").out.startswith("Nothing to do")
    assert not Budget.objects.get(organization=acme).enabled
    assert run(*words, "--delete").out == "Deleted budget organization · day · 5 USD.\n"
    assert not Budget.objects.filter(organization=acme).exists()


# --- budgets ---


def test_the_table_shows_how_budgets_stand(run: Run, acme: Organization, token: Token) -> None:
    run("set_budget", "--org", "acme", "--window", "total", "--usd", "10")
    run(
        "set_budget",
        "--org",
        "acme",
        "--service",
        "Support chat",
        "--window",
        "total",
        "--usd",
        "2",
        "--action",
        "alert",
    )
    spend(token, "2.345678", now())
    ran = run("budgets", "--org", "acme")
    title, first, second = (" ".join(line.split()) for line in ran.out.splitlines())
    assert title == "ORG BUDGET WINDOW LIMIT SPENT HELD REMAINING % RESETS RUNS OUT STATE"
    assert first.startswith("acme organization Acme total 10.00 2.3457 - 7.6543 23 - ")
    assert second == "acme service Support chat total 2.00 2.3457 - -0.3457 117 - reached alerts"
    assert "HELD" in ran.err


def test_json_lines_have_exact_amounts(run: Run, acme: Organization, token: Token) -> None:
    Organization.objects.filter(pk=acme.pk).update(timezone="Asia/Kathmandu")
    run("set_budget", "--org", "acme", "--window", "rolling:7", "--usd", "10", "--alert-at", "80")
    spend(token, "2.345678901234", now())
    facts = json.loads(run("budgets", "--org", "acme", "--json").out)
    assert facts["resets_at"].endswith("T00:00:00+05:45")
    assert (facts["limit_usd"], facts["spent_usd"], facts["remaining_usd"]) == (
        "10.00",
        "2.345678901234",
        "7.654321098766",
    )
    assert (facts["window"], facts["held_usd"], facts["source"], facts["alert_at"]) == (
        "rolling:7",
        None,
        "ledger",
        [80],
    )


def test_no_budgets_is_no_error(run: Run, acme: Organization) -> None:
    ran = run("budgets", "--org", "acme")
    assert (ran.code, ran.out) == (0, "")
    assert run("budgets", "--org", "acme", "--json").out == ""


# --- adjust ---


def test_an_adjustment_is_kept_with_its_reason(run: Run, acme: Organization, token: Token) -> None:
    ran = run(
        "adjust", "--org", "acme", "--token", str(token.pk), "--end-user", "ana", "--tag", "Team=search",
        "--usd", "-1.25", "--reason", "charged twice", "--at", "2026-11-20T14:30",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    row = Adjustment.objects.get(organization_id=acme.pk)
    assert (row.amount_usd, row.reason, row.at) == (
        Decimal("-1.25"),
        "charged twice",
        datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
    )
    assert (row.token_id, row.service_id, row.end_user, row.tags) == (
        token.pk,
        token.service_id,
        "ana",
        ["team=search"],
    )
    event = AdminEvent.objects.get(target_id=row.pk)
    assert event.action == "adjustment.recorded"
    assert "-1.25" in ran.out


def test_an_adjustment_of_a_request_counts_for_what_it_counted_for(run: Run, acme: Organization, token: Token) -> None:
    at = datetime(2026, 11, 3, 9, tzinfo=UTC)
    request = spend(token, "5", at, end_user="ana", tags=["team=search"])
    ran = run("adjust", "--org", "acme", "--request", f"req_{request.hex}", "--usd=-5", "--reason", "refunded")
    assert ran.code == 0, ran.err
    row = Adjustment.objects.get(organization_id=acme.pk)
    assert (row.request_id, row.token_id, row.service_id) == (request, token.pk, token.service_id)
    assert (row.end_user, row.tags, row.at) == ("ana", ["team=search"], at)


@pytest.mark.parametrize(
    "words",
    [
        ("--usd", "0", "--reason", "x"),
        ("--usd", "1", "--reason", " "),
        ("--usd", "1", "--reason", "x", "--at", "2999-01-01"),
        ("--usd", "1", "--reason", "x", "--at", "yesterday"),
        ("--usd", "1", "--reason", "x", "--request", "req_1"),
        ("--usd", "1", "--reason", "x", "--request", "req_" + "0" * 32),
        ("--usd", "1", "--reason", "x", "--end-user", "*"),
        ("--usd", "1", "--reason", "x", "--tag", "team"),
        ("--usd", "9000001", "--reason", "x"),
        ("--usd", "0.0000000000001", "--reason", "x"),
        ("--usd", "1", "--reason", "x" * 301),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(run: Run, acme: Organization, words: tuple[str, ...]) -> None:
    ran = run("adjust", "--org", "acme", *words)
    assert ran.code in {1, 2}
    assert ran.err
    assert not Adjustment.objects.filter(organization_id=acme.pk).exists()


def test_an_adjustment_never_counts_for_another_organizations_rows(run: Run, acme: Organization, token: Token) -> None:
    other = an_organization()
    request = spend(token, "5", now())
    for words in (("--token", str(token.pk)), ("--request", f"req_{request.hex}")):
        assert run("adjust", "--org", other.slug, *words, "--usd", "1", "--reason", "x").code == 1
    assert not Adjustment.objects.filter(organization_id=other.pk).exists()


# --- set_webhook ---


def test_a_webhooks_secret_is_shown_once_and_kept_sealed(run: Run, acme: Organization, loopback: None) -> None:
    url = "http://127.0.0.1:9/hook"
    made = run("set_webhook", "--org", "acme", "--url", url)
    secret = made.out.strip()
    assert secret.startswith("whsec_")
    webhook = Webhook.objects.get(organization=acme)
    assert secret.encode() not in bytes(webhook.sealed_secret)
    assert secret not in str(list(AdminEvent.objects.filter(target_id=webhook.pk).values()))
    rotated = run("set_webhook", "--org", "acme", "--url", url, "--rotate-secret").out.strip()
    assert rotated != secret
    assert run("set_webhook", "--org", "acme", "--url", url).code == 1
    assert run("set_webhook", "--org", "acme", "--url", url, "--disable").out.startswith("Disabled")
    assert run("set_webhook", "--org", "acme", "--url", url, "--disable").out.startswith("Nothing to do")
    assert run("set_webhook", "--org", "acme", "--url", url, "--enable").out.startswith("Enabled")
    assert run("set_webhook", "--org", "acme", "--url", url, "--delete").out.startswith("Deleted")
    assert run("set_webhook", "--org", "acme", "--url", url, "--delete").code == 1
    actions = AdminEvent.objects.filter(target_id=webhook.pk).order_by("id").values_list("action", flat=True)
    assert list(actions) == [
        "webhook.added",
        "webhook.secret_rotated",
        "webhook.disabled",
        "webhook.enabled",
        "webhook.deleted",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://10.0.0.1/hook",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "ftp://example.com/",
        "https:///hook",
        "hook",
        "https://example.com:0/",
        "https://exa mple.com/",
        "https://example.com/\u2028hook",
    ],
)
def test_a_url_that_may_not_be_called_is_refused(run: Run, acme: Organization, settings: Any, url: str) -> None:
    settings.EGRESS_ALLOW = ()
    ran = run("set_webhook", "--org", "acme", "--url", url)
    assert ran.code == 1
    assert ran.err.startswith("url: ")
    assert "secret" not in ran.err
    assert not Webhook.objects.filter(organization=acme).exists()


# --- release_hold, rebuild_counters ---


def test_a_call_that_holds_nothing_is_not_released(run: Run, acme: Organization) -> None:
    ran = run("release_hold", "req_" + "0" * 31 + "1")
    assert (ran.code, ran.out) == (1, "")
    assert "holds nothing" in ran.err
    assert run("release_hold", "--list", "--org", "acme").err.strip() == "Nothing is held."
    for words in ((), ("req_1",), ("req_" + "0" * 32, "--list"), ("req_" + "0" * 32, "--org", "acme")):
        assert run("release_hold", *words).code == 2


def test_without_a_store_the_commands_say_so(run: Run, acme: Organization, settings: Any) -> None:
    from apps.policies.counters import reading

    run("set_budget", "--org", "acme", "--window", "day", "--usd", "5")
    settings.REDIS_URL = "redis://127.0.0.1:1"
    reading.store.cache_clear()
    try:
        for words in (("release_hold", "--list"), ("rebuild_counters", "--check"), ("rebuild_counters",)):
            ran = run(*words)
            assert ran.code == 1, words
            assert "cannot be reached" in ran.err
        assert run("budgets", "--org", "acme").code == 0
    finally:
        reading.store.cache_clear()
