"""What policies say, as callers meet it: what is refused and in which words, what goes on to the provider, and from when."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from django.db import connection

from apps.policies.actions.policies import policy_attach, policy_create
from apps.policies.models import Policy
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, ask, budget, priced, ruled
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"


@pytest.fixture(scope="module")
def behind_proxy(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway that believes its neighbours what they say of addresses."""
    with GatewayProcess({"TRUSTED_PROXIES": "127.0.0.0/8"}) as process:
        yield process


def attached(tenant: Tenant, layer: str = "organization", **fields: Any) -> Policy:
    """A policy named “interns”, attached to the tenant's organization, service or token."""
    policy = policy_create(organization=tenant.organization, name="interns", fields=fields, actor=ACTOR)
    place: dict[str, Any] = {"token": tenant.token_row, "service": tenant.service, "organization": tenant.organization}
    policy_attach(policy=policy, layer=layer, actor=ACTOR, **{layer: place[layer]})
    return policy


def refused(response: httpx.Response, status: int, code: str, *words: str) -> None:
    """A refusal in OpenAI's form that names its rule and source, ends with the request's id, and is not to be retried."""
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code), error
    assert set(error) >= {"message", "type", "param", "code"}
    for word in words:
        assert word in error["message"]
    assert error["message"].rstrip(").").endswith(response.headers["x-request-id"])
    assert response.headers["x-should-retry"] == "false"
    assert "retry-after" not in response.headers


def post(tenant: Tenant, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return tenant.http().post(path, json=body, headers=headers)


def received(tenant: Tenant) -> Any:
    return tenant.upstream.requests[-1].json


# --- Which models ---


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"denied_models": ["GPT-T*"]}, "denied models: GPT-T*"),
        ({"denied_models": ["gpt-test"]}, "denied models: gpt-test"),
        ({"allowed_models": ["embed-*", "Renamed"]}, "allowed models: embed-*, Renamed"),
    ],
)
def test_a_model_that_is_not_allowed_is_refused_in_any_spelling(acme: Tenant, fields: Any, word: str) -> None:
    attached(acme, **fields)
    refused(ask(acme), 403, "model_not_allowed", "gpt-test", "the organization's policy “interns”", word)
    assert ask(acme, model="renamed").status_code == 200
    with pytest.raises(openai.PermissionDeniedError) as caught:
        acme.client().chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "model_not_allowed"
    assert len(acme.upstream.requests) == 1


def test_lists_of_models_show_what_may_be_called_and_nothing_else(acme: Tenant) -> None:
    everything = {model.id for model in acme.client().models.list()}
    assert everything >= {"gpt-test", "embed-test", "renamed"}
    ruled(acme, allowed_models=["*-test"], denied_models=["embed-*"])
    shown = eventually(lambda: (found := {m.id for m in acme.client().models.list()}) != everything and found)
    assert shown == {"gpt-test"}
    with pytest.raises(openai.NotFoundError):
        acme.client().models.retrieve("renamed")
    assert acme.client().models.retrieve("gpt-test").id == "gpt-test"


def test_a_narrower_layer_cannot_allow_what_a_wider_one_denies(acme: Tenant) -> None:
    attached(acme, denied_models=["gpt-*"])
    ruled(acme, allowed_models=["gpt-test"])
    refused(ask(acme), 403, "model_not_allowed", "the organization's policy “interns”")


# --- Which endpoints, providers, credentials ---


def test_endpoints_that_are_not_allowed_are_refused(acme: Tenant) -> None:
    ruled(acme, "service", allowed_endpoints=["chat_completions", "models"])
    assert ask(acme).status_code == 200
    answer = post(acme, EMBEDDINGS, {"model": "embed-test", "input": "Hi"})
    refused(answer, 403, "endpoint_not_allowed", "'embeddings'", "the service's own rules", "allowed endpoints")


def test_a_model_of_providers_that_are_not_allowed_is_refused_and_not_listed(acme: Tenant) -> None:
    attached(acme, denied_providers=["openai_compatible"])
    refused(ask(acme), 403, "provider_not_allowed", "denied providers: openai_compatible", "“interns”")
    assert not any(model.id == "gpt-test" for model in acme.client().models.list())


def test_a_pinned_credential_is_the_only_one_that_is_called(acme: Tenant) -> None:
    with FakeProvider() as elsewhere:
        other = acme.add_credential(elsewhere.url + "/v1")
        acme.add_model("everywhere", credential=None, provider="openai_compatible")
        ruled(acme, pinned_credential=other)
        assert [ask(acme, model="everywhere").status_code for _ in range(4)] == [200] * 4
        assert (len(elsewhere.requests), len(acme.upstream.requests)) == (4, 0)
        refused(ask(acme), 403, "provider_not_allowed", "pins another credential", "the token's own rules")


# --- From where, and when ---


def test_calls_from_other_networks_are_refused(acme: Tenant, behind_proxy: GatewayProcess) -> None:
    attached(acme, allowed_networks=["192.0.2.0/24", "2001:db8::/32"])
    refused(ask(acme), 403, "network_not_allowed", "127.0.0.1", "allowed networks: 192.0.2.0/24")
    # Who does not come through a trusted proxy may say what he likes.
    refused(post(acme, CHAT, BODY, **{"x-forwarded-for": "192.0.2.7"}), 403, "network_not_allowed", "127.0.0.1")
    client = acme.http(gateway=behind_proxy)

    def through(address: str) -> httpx.Response:
        return client.post(CHAT, json=BODY, headers={"x-forwarded-for": address})

    for inside in ("192.0.2.7", "2001:db8::5", "203.0.113.9, 192.0.2.7"):
        assert through(inside).status_code == 200, inside
    for outside in ("203.0.113.9", "192.0.2.7, 203.0.113.9", "rubbish"):
        assert through(outside).status_code == 403, outside
    refused(client.get("/v1/models"), 403, "network_not_allowed")


def test_calls_at_other_hours_are_refused(acme: Tenant) -> None:
    at = datetime.now(UTC)
    other = (at + timedelta(days=2)).strftime("%a").lower()
    ruled(acme, allowed_hours=[f"{other} 00:00-24:00"])
    refused(ask(acme), 403, "hours_not_allowed", "allowed hours", "UTC time")
    ruled(acme, allowed_hours=[f"{day} 00:00-24:00" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")])
    eventually(lambda: ask(acme).status_code == 200, timeout=2)


# --- How much of input and output ---


def test_more_input_than_allowed_is_refused_with_the_rule(acme: Tenant) -> None:
    ruled(acme, max_input_tokens=100)
    assert ask(acme).status_code == 200
    answer = ask(acme, messages=[{"role": "user", "content": "word " * 200}])
    refused(answer, 400, "input_tokens_exceeded", "the token's own rules", "100")
    assert len(acme.upstream.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_tokens": 50}),
        ({"max_tokens": 20}, {"max_tokens": 20}),
        ({"max_tokens": 51}, {"max_tokens": 50}),
        ({"max_completion_tokens": 4000}, {"max_completion_tokens": 50}),
        ({"max_tokens": 99, "max_completion_tokens": 60}, {"max_tokens": 50, "max_completion_tokens": 50}),
    ],
)
def test_output_is_capped_in_what_the_provider_is_asked(acme: Tenant, stream: bool, asked: Any, sent: Any) -> None:
    ruled(acme, max_output_tokens=50)
    # Fields that no rule is about keep their bytes: spacing, escapes, numbers, what we have never heard of.
    plain = '"messages":[ {"role":"user","content":"Gr\\u00fc\\u00df  dich"} ],"seed":1.50e2,"x_unknown":{"b":1,"a":[]}'
    more = "".join(f', "{name}": {value}' for name, value in asked.items())
    raw = f'{{"model":"gpt-test",{plain}, "stream": {json.dumps(stream)}{more}}}'
    answer = acme.http().post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    request = acme.upstream.requests[-1]
    assert {
        name: request.json[name] for name in ("max_tokens", "max_completion_tokens") if name in request.json
    } == sent
    assert plain.encode() in request.body
    if asked == sent and not stream:
        assert request.body == raw.encode()


def test_output_of_responses_is_capped_under_its_own_name_and_of_newer_providers_under_theirs(acme: Tenant) -> None:
    ruled(acme, max_output_tokens=50)
    assert post(acme, RESPONSES, {"model": "gpt-test", "input": "Hi"}).status_code == 200
    assert received(acme)["max_output_tokens"] == 50
    assert post(acme, RESPONSES, {"model": "gpt-test", "input": "Hi", "max_output_tokens": 900}).status_code == 200
    assert received(acme)["max_output_tokens"] == 50
    acme.add_route("newer", acme.upstream.url + "/v1", provider="openai")
    assert ask(acme, model="newer", max_tokens=None).status_code == 200
    assert received(acme)["max_completion_tokens"] == 50
    assert post(acme, EMBEDDINGS, {"model": "embed-test", "input": "Hi"}).status_code == 200
    assert not [name for name in received(acme) if name.startswith("max_")]


def test_an_output_cap_of_0_lets_nothing_be_written(acme: Tenant) -> None:
    ruled(acme, max_output_tokens=0)
    refused(ask(acme), 403, "not_allowed", "the token's own rules")
    assert post(acme, EMBEDDINGS, {"model": "embed-test", "input": "Hi"}).status_code == 200


# --- What has no price ---


@pytest.mark.parametrize(
    ("rule", "alone", "budgeted"),
    [
        (None, ["unpriced"], None),
        ("deny_with_budget", ["unpriced"], None),
        ("deny", None, None),
        ("flag", ["unpriced"], ["unpriced"]),
        ("allow", [], []),
    ],
)
def test_a_model_without_a_price_is_never_free_without_a_word(
    acme: Tenant, rule: str | None, alone: list[str] | None, budgeted: list[str] | None
) -> None:
    if rule:
        ruled(acme, unpriced=rule)

    def check(answer: httpx.Response, flags: list[str] | None) -> None:
        record = acme.record(answer.headers["x-request-id"])
        assert record.cost_usd is None
        if flags is None:
            refused(answer, 403, "model_unpriced", "gpt-test", "manage.py set_price")
        else:
            assert (answer.status_code, record.flags) == (200, flags)

    check(ask(acme), alone)
    budget(acme, "1")

    def counted() -> httpx.Response | None:
        """A call that the budget has been asked about; or would have been, but for its price."""
        answer = ask(acme)
        if budgeted is None:
            return answer if answer.status_code == 403 else None
        return answer if acme.record(answer.headers["x-request-id"]).decision else None

    found = eventually(counted, timeout=3, what="the budget")
    assert found is not None
    check(found, budgeted)


# --- From when ---


def test_changes_by_plain_sql_hold_within_a_second(acme: Tenant) -> None:
    policy = attached(acme, "service", denied_models=["none"])
    made = budget(acme, "1")
    priced(acme)
    client = acme.http()
    assert client.post(CHAT, json=BODY).status_code == 200

    def status() -> int:
        return client.post(CHAT, json=BODY).status_code

    def sql(statement: str, *values: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            assert cursor.rowcount == 1

    def within_a_second(wanted: int, what: str) -> None:
        eventually(lambda: status() == wanted, timeout=1, what=what)

    sql("UPDATE policies_policy SET denied_models = '{gpt-test}' WHERE id = %s", policy.pk)
    within_a_second(403, "a changed policy")
    sql("DELETE FROM policies_attachment WHERE policy_id = %s", policy.pk)
    within_a_second(200, "a policy that is attached no more")
    sql("UPDATE policies_budget SET limit_usd = 0 WHERE id = %s", made.pk)
    within_a_second(402, "a changed budget")
    sql("UPDATE policies_budget SET enabled = false WHERE id = %s", made.pk)
    within_a_second(200, "a disabled budget")
    sql("UPDATE policies_budget SET limit_usd = 1, enabled = true WHERE id = %s", made.pk)
    within_a_second(200, "an enabled budget")
    sql("UPDATE providers_price SET withdrawn_at = now() WHERE organization_id = %s", acme.organization.pk)
    within_a_second(403, "a withdrawn price")
    priced(acme, per_request=Decimal(2_000_000))  # 2 USD a call
    within_a_second(402, "a new price")


def test_a_refusal_says_the_same_to_azures_clients(acme: Tenant) -> None:
    attached(acme, denied_models=["gpt-*"])
    client = openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2024-10-21", max_retries=2
    )
    with client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "Hi"}])
    assert "“interns”" in str(caught.value)
    assert len(acme.records(1)) == 1  # it was not tried again


def test_refusals_are_recorded_with_their_reason_and_cost_nothing(acme: Tenant) -> None:
    ruled(acme, denied_models=["renamed"])
    shown = ask(acme, model="renamed").headers["x-request-id"]
    record = acme.record(shown)
    assert (record.status, record.error_code, record.cost_usd, record.attempts) == (403, "model_not_allowed", None, [])
    assert not acme.upstream.requests
