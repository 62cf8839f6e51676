"""Models that nobody has listed: asked of the provider that documents the prefix, or that is named, under the same rules as any."""

from collections.abc import Iterator
from decimal import Decimal

import anthropic
import pytest
from django.utils.timezone import now

from apps.policies.explanation import Asked, Explanation
from apps.policies.selectors.explain import explain_call
from apps.providers.actions import credential_disable, credential_drain, model_add, model_update
from apps.providers.models import Credential
from apps.providers.prices.actions import price_set
from apps.providers.tasks import listing_refresh
from tests.support import messages
from tests.support.gateway import eventually
from tests.support.governed import LONG_AGO, budget, ruled
from tests.support.provider import FakeProvider
from tests.support.routes import alias, answers, ask, asked, message, status
from tests.support.tenant import ACTOR, Tenant


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def mistral(acme: Tenant, spare: FakeProvider) -> Credential:
    """Mistral's credential: `spare`."""
    return acme.add_credential(spare.url + "/v1", provider="mistral", label="mistral")


def explained(tenant: Tenant, model: str, *, endpoint: str = "chat_completions") -> Explanation:
    return explain_call(tenant.token_row, Asked(endpoint=endpoint, at=now(), model=model, address="127.0.0.1"))


def agrees(tenant: Tenant, model: str) -> None:
    """What explain says of a call is what becomes of it."""
    response = ask(tenant, model)
    refusal = explained(tenant, model).refusal
    told = (200, "") if refusal is None else (refusal.status, refusal.code)
    assert told == (response.status_code, response.json().get("error", {}).get("code", ""))


def test_a_documented_prefix_leads_to_its_provider(acme: Tenant, mistral: Credential, spare: FakeProvider) -> None:
    response = answers(acme, "mistral-next-5")
    assert response.headers["x-tollgate-provider"] == "mistral"
    assert asked(spare) == ["mistral-next-5"]
    record = acme.record(response.headers["x-request-id"])
    assert (record.model_asked, record.provider, record.cost_usd) == ("mistral-next-5", "mistral", None)
    assert "unpriced" in record.flags
    agrees(acme, "mistral-next-5")


def test_a_spelled_name_goes_to_that_provider_whatever_its_prefix(
    acme: Tenant, mistral: Credential, upstream: FakeProvider, spare: FakeProvider
) -> None:
    for name in ("mistral/whatever-9", "mistral/gpt-test", "mistral/some/deep:name"):
        assert answers(acme, name).headers["x-tollgate-provider"] == "mistral"
        agrees(acme, name)
    assert asked(spare)[::2] == ["whatever-9", "gpt-test", "some/deep:name"]
    assert asked(upstream) == []


def test_what_has_no_prefix_or_no_credential_is_unknown(acme: Tenant, mistral: Credential) -> None:
    for name in (
        "claude-next-5",
        "anthropic/claude-next-5",
        "next-mistral",
        "Mistral-next",
        "openai_compatible/mistral-next",
    ):
        assert (ask(acme, name).status_code, ask(acme, name).json()["error"]["code"]) == (404, "model_not_found")
        agrees(acme, name)


@pytest.mark.parametrize("provider", ["openai_compatible", "ollama", "azure_openai", "sandbox"])
def test_servers_with_names_of_their_own_are_never_asked(acme: Tenant, provider: str, spare: FakeProvider) -> None:
    acme.add_route("known", f"{spare.url}/v1", provider=provider)
    answers(acme, f"{provider}/known")
    for name in ("gpt-6-mini", f"{provider}/gpt-6-mini"):
        assert ask(acme, name).status_code == 404
        agrees(acme, name)
    assert len(spare.requests) == 1


def test_known_names_and_aliases_come_first(acme: Tenant, mistral: Credential, upstream: FakeProvider) -> None:
    acme.add_model("mistral-ours")
    alias(acme, "mistral-fast*", "gpt-test")
    alias(acme, "*-caught", "gpt-test")
    for name in ("mistral-ours", "mistral-fast-9", "mistral-caught"):
        assert answers(acme, name).headers["x-tollgate-provider"] == "openai_compatible"
        agrees(acme, name)


def test_a_disabled_model_stays_so(acme: Tenant, mistral: Credential, spare: FakeProvider) -> None:
    row = model_add(organization=acme.organization, provider="mistral", name="mistral-old", actor=ACTOR)
    answers(acme, "mistral-old")
    model_update(model=row, enabled=False, actor=ACTOR)
    status(acme, "mistral-old", 404)
    for name in ("mistral-old", "mistral/mistral-old", "mistral-old-2030-01-01"):
        agrees(acme, name)
    assert set(asked(spare)) == {"mistral-old"}


def test_without_a_credential_on_offer_it_is_refused_as_any_model(acme: Tenant, mistral: Credential) -> None:
    answers(acme, "mistral-next")
    credential_drain(credential=mistral, actor=ACTOR)
    refused = status(acme, "mistral-next", 502)
    assert refused.json()["error"]["code"] == "no_credential"
    agrees(acme, "mistral-next")
    credential_disable(credential=mistral, actor=ACTOR)
    status(acme, "mistral-next", 404)
    agrees(acme, "mistral-next")


# --- What the provider says ---


def test_the_providers_own_404_comes_in_the_callers_dialect(
    acme: Tenant, mistral: Credential, spare: FakeProvider
) -> None:
    """Though its listing is fresh and does not have the name: lists are an hour old, and names more than lists."""
    spare.answers({"object": "list", "data": [{"id": "mistral-small-latest"}]})
    assert listing_refresh(str(mistral.pk))
    spare.fails(404, "Invalid model: mistral-gone", code="1500", always=True)
    assert "Invalid model" in message(status(acme, "mistral-gone", 404))
    with (
        anthropic.Anthropic(api_key=acme.token, base_url=acme.gateway.url, max_retries=0, timeout=20) as client,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        client.messages.create(model="mistral-gone", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.body["type"] == "error"  # type: ignore[index]  # the body is untyped
    assert "Invalid model" in str(caught.value)
    assert explained(acme, "mistral-gone").refusal is None


def test_it_is_translated_to_as_to_any_model(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_credential(upstream.url, provider="anthropic")
    upstream.answers(messages.message(text="Hello"), always=True)
    assert answers(acme, "claude-next-5").json()["choices"][0]["message"]["content"] == "Hello"
    got = upstream.next_request()
    assert (got.path, got.json["model"]) == ("/v1/messages", "claude-next-5")
    assert answers(acme, "anthropic/claude-next-6").headers["x-tollgate-model"] == "claude-next-6"


# --- Rules and money ---


def test_deny_and_allow_lists_hold(acme: Tenant, mistral: Credential, spare: FakeProvider) -> None:
    answers(acme, "mistral-next")
    ruled(acme, denied_models=["mistral-next"])
    status(acme, "mistral-next", 403)
    for name in (
        "mistral-next",
        "mistral/mistral-next",
        "MISTRAL/mistral-next",
        "mistral-next-2030-01-01",
        "mistral-other",
    ):
        agrees(acme, name)
    assert ask(acme, "mistral/mistral-next-2030-01-01").status_code == 403, "another spelling of what is denied"
    ruled(acme, denied_models=None, allowed_models=["mistral-n*"])
    status(acme, "mistral-other", 403)
    assert ask(acme, "mistral-next").status_code == 200
    ruled(acme, allowed_models=None, denied_providers=["mistral"])
    status(acme, "mistral-next", 403)
    agrees(acme, "mistral/whatever")


def test_without_a_price_a_budget_refuses_it_and_with_one_it_counts(acme: Tenant, mistral: Credential) -> None:
    budget(acme, "5")
    refused = status(acme, "mistral-next", 403)
    assert refused.json()["error"]["code"] == "model_unpriced"
    agrees(acme, "mistral-next")
    price_set(
        organization=acme.organization,
        provider="mistral",
        model="mistral-next",
        prices={"input": Decimal(0), "output": Decimal(0), "per_request": Decimal(100)},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    response = answers(acme, "mistral-next")
    assert acme.record(response.headers["x-request-id"]).cost_usd == Decimal("0.0001")
    assert ask(acme, "mistral-next-2030-01-01").status_code == 200, "priced as without its date"
    assert ask(acme, "mistral-other").json()["error"]["code"] == "model_unpriced"
    for name in ("mistral-next", "mistral/mistral-next", "mistral-next-2030-01-01", "mistral-other"):
        agrees(acme, name)
    ruled(acme, unpriced="allow")
    answers(acme, "mistral-other")


# --- Lists ---


def test_it_is_listed_where_its_provider_lists_it(acme: Tenant, mistral: Credential, spare: FakeProvider) -> None:
    def listed() -> set[str]:
        return {entry["id"] for entry in acme.http().get("/v1/models").raise_for_status().json()["data"]}

    answers(acme, "mistral-next")
    assert "mistral-next" not in listed()
    assert acme.http().get("/v1/models/mistral-next").json()["owned_by"] == "mistral"
    spare.answers({"object": "list", "data": [{"id": name} for name in ("mistral-next", "codestral-9", "ft:own:1")]})
    assert listing_refresh(str(mistral.pk))
    eventually(lambda: {"mistral-next", "codestral-9"} <= listed(), what="what the provider lists")
    assert not {"ft:own:1", "mistral/ft:own:1", "mistral-other"} & listed()
    ruled(acme, denied_models=["codestral-*"])
    eventually(lambda: "codestral-9" not in listed(), what="an end of what is denied")
    assert ask(acme, "mistral/ft:own:1").status_code == 200
