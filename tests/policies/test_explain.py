"""What explain promises: every rule in the gateway's order and who set it, what is left, why a route is skipped, one verdict."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.timezone import now

from apps.audit.models import RequestRecord
from apps.core.actor import Actor
from apps.core.ids import uuid7
from apps.orgs.models import Organization
from apps.policies.actions.policies import inline_set, policy_attach, policy_create, policy_detach, policy_update
from apps.policies.counters import reading
from apps.policies.explanation import Asked, Explanation, as_json, lines
from apps.policies.models import Budget
from apps.policies.selectors.explain import explain_call, explain_record
from apps.providers.actions import credential_add, credential_disable, model_add
from apps.providers.models import Credential
from apps.providers.prices.models import Price
from apps.services.actions import service_disable, token_issue, token_revoke
from apps.services.models import Service, Token
from tests.control.conftest import Run

WEDNESDAY = datetime(2026, 7, 1, 10, tzinfo=UTC)


@pytest.fixture
def token(service: Service, actor: Actor, credential: Credential) -> Token:
    model_add(
        organization=service.organization,
        provider=credential.provider,
        name="gpt-test",
        credential=credential,
        actor=actor,
    )
    return token_issue(service=service, name="ci", actor=actor)[0]


def asked(**options: Any) -> Asked:
    return Asked(**{"endpoint": "chat_completions", "at": WEDNESDAY, "model": "gpt-test", **options})


def explain(token: Token, **options: Any) -> Explanation:
    return explain_call(Token.objects.select_related("service", "organization").get(pk=token.pk), asked(**options))


def refused(found: Explanation) -> tuple[str, int, str]:
    assert found.refusal is not None
    assert found.verdict.startswith(f"Refused with {found.refusal.status} {found.refusal.code}: ")
    return found.refusal.question, found.refusal.status, found.refusal.code


def answers(found: Explanation) -> dict[str, str]:
    return {step.question: step.outcome for step in found.steps}


def a_price(organization: Organization, credential: Credential) -> None:
    Price.objects.create(
        organization=organization,
        provider=credential.provider,
        model="gpt-test",
        effective_from=datetime(2020, 1, 1, tzinfo=UTC),
        input=Decimal(1),
        output=Decimal(2),
        source="test",
    )


# --- A dry run ---


def test_without_policies_a_known_model_is_allowed(token: Token) -> None:
    found = explain(token)
    assert found.verdict == "Allowed."
    assert list(answers(found)) == [
        "token", "network", "hours", "endpoint", "scopes", "known", "model", "route", "price", "limits", "budgets",
    ]  # fmt: skip
    assert [(route.credential, route.skipped) for route in found.routes] == [("main", "")]


@pytest.mark.parametrize(
    ("fields", "options", "expected"),
    [
        ({"allowed_networks": ["10.0.0.0/8"]}, {"address": "192.0.2.7"}, ("network", 403, "network_not_allowed")),
        ({"allowed_hours": ["sat,sun 00:00-24:00"]}, {}, ("hours", 403, "hours_not_allowed")),
        ({"denied_endpoints": ["chat_completions"]}, {}, ("endpoint", 403, "endpoint_not_allowed")),
        ({"denied_models": ["gpt-*"]}, {}, ("model", 403, "model_not_allowed")),
        ({"denied_providers": ["openai_compatible"]}, {}, ("route", 403, "provider_not_allowed")),
        ({"max_input_tokens": 10}, {"input_bytes": 41}, ("input", 400, "")),
        ({"max_output_tokens": 0}, {}, ("output", 403, "not_allowed")),
        ({"unpriced": "deny"}, {}, ("price", 403, "model_unpriced")),
        ({"requests_per_minute": 0}, {}, ("limits", 429, "rate_limit_exceeded")),
        ({"tokens_per_minute": 10}, {"input_bytes": 44}, ("limits", 429, "rate_limit_exceeded")),
        ({"concurrent_requests": 0}, {}, ("limits", 429, "rate_limit_exceeded")),
        ({"end_user_requests_per_minute": 0}, {"end_user": "u1"}, ("limits", 429, "rate_limit_exceeded")),
    ],
)
def test_each_rule_refuses_with_its_status_and_names_its_layer(
    token: Token, actor: Actor, fields: dict[str, Any], options: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    inline_set(layer="service", service=token.service, fields=fields, actor=actor)

    found = explain(token, **options)

    question, status, code = refused(found)
    assert (question, status) == expected[:2]
    assert code == (expected[2] or code)
    assert "the service's own rules" in found.verdict
    answer = answers(found)
    before = list(answer)[: list(answer).index(question)]
    assert {answer[name] for name in before} == {"passes"}


@pytest.mark.parametrize("endpoint", ["image_generations", "speech"])
def test_a_cap_of_tokens_bounds_no_pictures_and_no_speech_but_refuses_them_at_0(
    token: Token, actor: Actor, endpoint: str
) -> None:
    inline_set(layer="token", token=token, fields={"max_output_tokens": 5}, actor=actor)
    assert answers(explain(token, endpoint=endpoint))["output"] == "passes"
    inline_set(layer="token", token=token, fields={"max_output_tokens": 0}, actor=actor)
    assert refused(explain(token, endpoint=endpoint)) == ("output", 403, "not_allowed")


def test_moderations_without_a_price_are_free(token: Token, actor: Actor) -> None:
    inline_set(layer="token", token=token, fields={"unpriced": "deny", "max_output_tokens": 0}, actor=actor)
    assert explain(token, endpoint="moderations").verdict == "Allowed."
    assert refused(explain(token, endpoint="embeddings")) == ("price", 403, "model_unpriced")


def test_what_was_not_asked_is_open_and_not_decided(token: Token, actor: Actor) -> None:
    fields = {"allowed_networks": ["10.0.0.0/8"], "max_input_tokens": 5, "end_user_requests_per_minute": 0}
    inline_set(layer="token", token=token, fields=fields, actor=actor)
    found = explain(token, model="")
    assert found.verdict == "Allowed, as far as asked: network, model, end user not decided."
    assert answers(explain(token))["input"] == "open"


@pytest.mark.parametrize("fields", [{}, {"denied_providers": ["openai_compatible"], "denied_models": ["*"]}])
def test_a_token_that_opens_nothing_is_refused_first(token: Token, actor: Actor, fields: dict[str, Any]) -> None:
    inline_set(layer="token", token=token, fields=fields, actor=actor)
    service_disable(service=token.service, actor=actor)
    assert refused(explain(token)) == ("token", 401, "invalid_api_key")
    token_revoke(token=token, actor=actor)
    assert "it was revoked" in explain(token).verdict


def test_scopes_and_unknown_models_are_told(service: Service, token: Token, actor: Actor) -> None:
    narrow, _ = token_issue(service=service, name="narrow", scopes=["models"], actor=actor)
    assert refused(explain(narrow)) == ("scopes", 403, "endpoint_not_allowed")
    assert refused(explain(token, model="gpt-unknown")) == ("known", 404, "model_not_found")


def test_every_route_that_is_skipped_says_why(
    acme: Organization, token: Token, credential: Credential, actor: Actor
) -> None:
    made = {}
    for label, provider, owner in (
        ("off", "openai_compatible", acme),
        ("spare", "openai_compatible", acme),
        ("azure", "azure_openai", acme),
        ("main", "openai", None),
    ):
        made[label] = credential_add(
            organization=owner,
            provider=provider,
            label=label,
            base_url=credential.base_url,
            secret="sk-test-0123456789",
            actor=actor,
        )
        model_add(organization=owner, provider=provider, name="gpt-test", credential=made[label], actor=actor)
    credential_disable(credential=made["off"], actor=actor)
    fields = {"denied_providers": ["azure_openai"], "preferred_provider": "openai"}
    inline_set(layer="organization", organization=acme, fields=fields, actor=actor)

    routes = explain(token).routes

    assert [(route.credential, route.provider) for route in routes if not route.skipped] == [
        ("main", "openai"),
        ("main", "openai_compatible"),
        ("spare", "openai_compatible"),
    ]
    assert {route.credential: route.skipped for route in routes if route.skipped} == {
        "off": "the credential is disabled",
        "azure": "not allowed by the organization's own rules (denied providers: azure_openai)",
    }

    inline_set(layer="token", token=token, fields={"pinned_credential": made["spare"]}, actor=actor)
    found = explain(token)
    assert [route.credential for route in found.routes if not route.skipped] == ["spare"]
    assert "the token's own rules pins another credential" in {route.skipped for route in found.routes}

    for each in (credential, *made.values()):
        credential_disable(credential=each, actor=actor)
    assert refused(explain(token)) == ("known", 502, "no_credential")


def test_what_holds_names_the_layer_it_comes_from(acme: Organization, token: Token, actor: Actor) -> None:
    policy = policy_create(
        organization=acme, name="interns", fields={"max_output_tokens": 100, "cache": False}, actor=actor
    )
    policy_attach(policy=policy, layer="organization", organization=acme, actor=actor)
    inline_set(layer="token", token=token, fields={"max_output_tokens": 500, "cache": True}, actor=actor)

    text = "\n".join(lines(explain(token, output_tokens=300)))

    assert "the organization's policy “interns”\n    max-output-tokens             100\n" in text
    assert "max-output-tokens     100                     the organization's policy “interns”" in text
    assert "cache                 yes                     the token's own rules" in text
    assert "the request is changed to ask for 100 tokens, by the organization's policy “interns”" in text


# --- Budgets ---


def test_a_budget_is_shown_with_what_is_left_and_refuses_what_it_cannot_hold(
    acme: Organization, token: Token, credential: Credential, actor: Actor
) -> None:
    a_price(acme, credential)
    Budget.objects.create(organization=acme, scope="organization", window="total", limit_usd=Decimal("0.01"))
    Budget.objects.create(organization=acme, scope="service", service=token.service, window="month", limit_usd=1)
    Budget.objects.create(organization=acme, scope="tag", tag="team=other", window="day", limit_usd=0)
    Budget.objects.create(organization=acme, scope="end_user", end_user="*", window="day", limit_usd=0)

    # 4,000 bytes at 1 USD per million are 0.004, 3,000 output tokens at 2 USD per million 0.006: exactly a cent.
    fits = explain(token, input_bytes=4_000, output_tokens=3_000)
    assert fits.verdict == "Allowed."
    assert [(budget.limit_usd, budget.spent_usd) for budget in fits.budgets] == [
        (Decimal("0.01"), Decimal(0)),
        (Decimal(1), Decimal(0)),
    ]
    assert fits.budgets[0].resets_at is None
    assert fits.budgets[1].resets_at == datetime(2026, 8, 1, tzinfo=UTC)

    over = explain(token, input_bytes=4_001, output_tokens=3_000)
    assert refused(over) == ("budgets", 402, "budget_exceeded")
    assert "up to 0.010001 USD" in over.verdict
    assert "organization · total" in over.verdict

    capped = inline_set(layer="token", token=token, fields={"max_output_tokens": 100}, actor=actor)
    assert capped is not None
    assert explain(token, input_bytes=4_001, output_tokens=3_000).verdict == "Allowed."

    assert refused(explain(token, tags=("team=other",))) == ("budgets", 402, "budget_exceeded")
    assert refused(explain(token, end_user="u1")) == ("budgets", 402, "budget_exceeded")


def test_an_unpriced_model_is_refused_where_a_budget_applies(acme: Organization, token: Token, actor: Actor) -> None:
    assert "allowed (the default: deny_with_budget); the record is flagged" in "\n".join(lines(explain(token)))
    Budget.objects.create(organization=acme, scope="organization", window="day", limit_usd=5)
    assert refused(explain(token)) == ("price", 403, "model_unpriced")
    inline_set(layer="token", token=token, fields={"unpriced": "allow"}, actor=actor)
    assert explain(token).verdict == "Allowed."


def test_without_counters_the_policy_decides(
    acme: Organization, token: Token, actor: Actor, settings: Any, request: pytest.FixtureRequest
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    reading.store.cache_clear()
    request.addfinalizer(reading.store.cache_clear)
    inline_set(layer="token", token=token, fields={"requests_per_minute": 5}, actor=actor)

    found = explain(token)
    assert refused(found) == ("counters", 503, "counters_unavailable")
    assert [(limit.limit, limit.remaining) for limit in found.limits] == [(5, None)]
    assert "—" in "\n".join(lines(found))

    inline_set(layer="token", token=token, fields={"store_failure": "open"}, actor=actor)
    assert explain(token).verdict == "Allowed."
    Budget.objects.create(organization=acme, scope="organization", window="day", limit_usd=5)
    inline_set(layer="token", token=token, fields={"requests_per_minute": None, "unpriced": "allow"}, actor=actor)
    inline_set(layer="token", token=token, fields={"store_failure": None}, actor=actor)
    assert refused(explain(token)) == ("counters", 503, "counters_unavailable")


# --- The command ---


def test_the_command_prints_the_same_as_text_and_as_json(run: Run, token: Token, actor: Actor) -> None:
    inline_set(layer="token", token=token, fields={"denied_models": ["gpt-*"], "requests_per_minute": 5}, actor=actor)

    text = run("explain", "--token", token.hint, "--model", "gpt-test", "--tag", "Team=search")
    assert (text.code, text.err) == (0, "")
    assert text.out.rstrip().endswith(
        "Refused with 403 model_not_allowed: gpt-test is not allowed by the token's own rules (denied models: gpt-*)."
    )

    shown = run("explain", "--token", str(token.pk), "--model", "gpt-test", "--tag", "Team=search", "--json")
    found = json.loads(shown.out)
    assert found["asked"]["tags"] == ["team=search"]
    assert found["layers"][0]["fields"] == {"denied_models": ["gpt-*"], "requests_per_minute": 5}
    assert found["verdict"]["code"] == "model_not_allowed"
    assert found["verdict"]["allowed"] is False
    [limit] = found["limits"]
    assert (limit["limit"], limit["used"], limit["remaining"]) == (5, 0, 5)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("req_0", "--token", "abcd"),
        ("nonsense",),
        (f"req_{'0' * 32}", "--model", "x"),
        ("--token", "abcd", "--endpoint", "nowhere"),
        ("--token", "abcd", "--output-tokens", "-1"),
        ("--token", "abcd", "--tag", "team"),
    ],
)
def test_wrong_usage_is_told(run: Run, words: tuple[str, ...]) -> None:
    ran = run("explain", *words)
    assert (ran.code, ran.out) == (2, "")


def test_what_is_not_there_is_named(run: Run, token: Token) -> None:
    assert "There is no token 'zzzz'" in run("explain", "--token", "zzzz").err
    ran = run("explain", f"req_{'0' * 32}")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no record" in ran.err


# --- A recorded request ---


def a_record(token: Token | None, **fields: Any) -> RequestRecord:
    key = uuid7()
    values: dict[str, Any] = {
        "id": key,
        "created_at": now() - timedelta(seconds=1),
        "organization_id": None if token is None else token.organization_id,
        "service_id": None if token is None else token.service_id,
        "token_id": None if token is None else token.pk,
        "endpoint": "chat_completions",
        "dialect": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model_asked": "gpt-test",
        "status": 200,
        "total_us": 1,
        **fields,
    }
    return RequestRecord.objects.create(**values)


def test_a_request_is_explained_as_it_was(run: Run, acme: Organization, token: Token, actor: Actor) -> None:
    policy = policy_create(organization=acme, name="interns", fields={"requests_per_minute": 5}, actor=actor)
    policy_attach(policy=policy, layer="token", token=token, actor=actor)
    budget = Budget.objects.create(organization=acme, scope="organization", window="day", limit_usd=5)
    gone = UUID(int=7)
    record = a_record(
        token,
        created_at=now() + timedelta(seconds=1),
        status=429,
        error_code="limit_requests",
        flags=["unpriced"],
        attempts=[
            {"credential": "eu", "status": None, "error_code": "upstream_idle_timeout"},
            {"credential": "main", "status": 200, "error_code": ""},
        ],
        decision={
            "hold": 1_500_000,
            "tokens": 0,
            "places": [["token", token.pk.hex, 5, 0, None, -1, None, -1]],
            "budgets": [[budget.pk.hex, "-", 5_000_000_000, 250_000_000, 10, ], [gone.hex, "-", 1, 0, 0]],
            "refused": ["requests", 0],
            "skipped": [["eu", "not allowed by the token's own rules (denied providers: azure_openai)"]],
        },
    )  # fmt: skip

    found = explain_record(record)

    assert found is not None
    assert found.verdict == "Ended with 429 limit_requests."
    [limit] = found.limits
    assert (limit.used, limit.remaining, limit.refuses, limit.source) == (5, 0, True, "the token's policy “interns”")
    first, second = found.budgets
    assert (first.spent_usd, first.held_usd, first.remaining_usd) == (
        Decimal("0.25"),
        Decimal("0.00000001"),
        Decimal("4.74999999"),
    )
    assert second.label == f"budget {gone.hex}, deleted since"
    assert first.resets_at is not None
    assert first.resets_at - record.created_at <= timedelta(days=1)
    assert second.resets_at is None
    assert found.routes[0].credential == "eu"
    assert found.facts["attempts"] == ("eu: upstream_idle_timeout", "main: 200")
    assert found.facts["held"] == Decimal("0.0015")
    assert found.notes == ()
    text = "\n".join(lines(found))
    assert "FULL" in text
    assert json.loads(run("explain", record.shown_id, "--json").out)["request"]["error"] == "limit_requests"
    assert as_json(found)["limits"][0]["refuses"] is True


def test_changes_since_a_request_are_named(acme: Organization, token: Token, actor: Actor) -> None:
    policy = policy_create(organization=acme, name="interns", fields={"requests_per_minute": 5}, actor=actor)
    unrelated = policy_create(organization=acme, name="unrelated", actor=actor)
    policy_attach(policy=policy, layer="token", token=token, actor=actor)
    record = a_record(token, created_at=now() - timedelta(hours=1))

    policy_update(policy=policy, fields={"requests_per_minute": 9}, actor=actor)
    policy_update(policy=unrelated, fields={"requests_per_minute": 9}, actor=actor)
    policy_detach(policy=policy, layer="token", token=token, actor=actor)

    found = explain_record(record)
    assert found is not None
    told = "\n".join(found.notes)
    assert "policy.detached interns by ana@acme.test" in told
    assert "unrelated" not in told
    assert "No limit and no budget was asked" in told


def test_a_request_without_a_token_has_nothing_to_explain(run: Run, db: None) -> None:
    record = a_record(None, status=401, error_code="token_unknown")
    ran = run("explain", record.shown_id)
    assert (ran.code, ran.out) == (1, "")
    assert "401 token_unknown" in ran.err
