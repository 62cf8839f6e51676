"""Names and where they lead: models, provider/model, aliases with targets in order, by share and by pattern; draining."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.utils.timezone import now

from apps.policies.explanation import Asked
from apps.policies.selectors.explain import explain_call
from apps.providers.actions import credential_drain, credential_undrain, credential_update, model_add, model_update
from apps.providers.aliases.actions import AliasGoal, alias_remove, alias_update
from apps.providers.models import Credential
from apps.providers.prices.actions import price_set
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import LONG_AGO, ruled
from tests.support.provider import FakeProvider
from tests.support.routes import alias, answers, ask, asked, message, served_by, status
from tests.support.tenant import ACTOR, Tenant, tenant


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def acme(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    with tenant(patient, upstream) as made:
        yield made


@pytest.fixture
def mistral(acme: Tenant, spare: FakeProvider) -> Credential:
    """Another provider's credential, which serves everything of its provider's: `spare`."""
    return acme.add_credential(spare.url + "/v1", provider="mistral", label="mistral")


# --- provider/model ---


def test_a_spelled_model_is_asked_of_that_provider_alone(
    acme: Tenant, mistral: Credential, upstream: FakeProvider, spare: FakeProvider
) -> None:
    model_add(organization=acme.organization, provider="mistral", name="gpt-test", actor=ACTOR)
    response = answers(acme, "mistral/gpt-test")
    assert response.headers["x-tollgate-provider"] == "mistral"
    assert asked(spare) == ["gpt-test"]
    assert answers(acme, "openai_compatible/gpt-test").headers["x-tollgate-provider"] == "openai_compatible"
    assert asked(upstream) == ["gpt-test"]
    record = acme.record(response.headers["x-request-id"])
    assert (record.model_asked, record.provider) == ("mistral/gpt-test", "mistral")


def test_a_spelled_model_of_a_provider_without_a_credential_is_unknown(acme: Tenant) -> None:
    response = ask(acme, "mistral/gpt-test")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_a_model_whose_own_name_has_a_slash_wins(acme: Tenant, mistral: Credential, upstream: FakeProvider) -> None:
    acme.add_model("mistral/mistral-small-latest")
    assert answers(acme, "mistral/mistral-small-latest").headers["x-tollgate-provider"] == "openai_compatible"
    assert asked(upstream) == ["mistral/mistral-small-latest"]


# --- Aliases ---


def test_an_alias_is_asked_for_as_any_model_and_recorded_by_its_name(acme: Tenant, upstream: FakeProvider) -> None:
    alias(acme, "fast", "gpt-test")
    response = answers(acme, "fast")
    assert asked(upstream)[-1] == "gpt-test"
    assert response.headers["x-tollgate-model"] == "gpt-test"
    record = acme.record(response.headers["x-request-id"])
    assert (record.model_asked, record.model_served) == ("fast", "gpt-test")


def test_the_next_target_answers_when_the_first_fails(
    acme: Tenant, mistral: Credential, upstream: FakeProvider, spare: FakeProvider
) -> None:
    alias(acme, "fast", "gpt-test", "mistral/mistral-small-latest")
    answers(acme, "fast")
    upstream.fails(503)
    response = ask(acme, "fast")
    assert (response.status_code, response.headers["x-tollgate-attempts"]) == (200, "2")
    assert asked(spare) == ["mistral-small-latest"]


def test_an_alias_may_take_a_models_name_and_still_lead_to_that_model(
    acme: Tenant, mistral: Credential, upstream: FakeProvider, spare: FakeProvider
) -> None:
    alias(acme, "gpt-test", "mistral/mistral-small-latest", "gpt-test")
    served_by(acme, "gpt-test", "mistral")
    spare.fails(503)
    response = ask(acme, "gpt-test")
    assert response.headers["x-tollgate-provider"] == "openai_compatible"
    assert asked(upstream)[-1] == "gpt-test"
    assert answers(acme, "openai_compatible/gpt-test").headers["x-tollgate-provider"] == "openai_compatible"


def test_an_alias_never_leads_to_an_alias(acme: Tenant) -> None:
    alias(acme, "fast", "gpt-test")
    alias(acme, "faster", "fast")
    answers(acme, "fast")
    response = status(acme, "faster", 502)
    assert response.json()["error"]["code"] == "no_credential"
    assert "alias" in message(response)


def test_a_removed_or_disabled_alias_means_what_the_name_meant_without_it(acme: Tenant, mistral: Credential) -> None:
    made = alias(acme, "gpt-test", "mistral/mistral-small-latest")
    served_by(acme, "gpt-test", "mistral")
    alias_update(alias=made, enabled=False, actor=ACTOR)
    served_by(acme, "gpt-test", "openai_compatible")
    alias_update(alias=made, enabled=True, actor=ACTOR)
    served_by(acme, "gpt-test", "mistral")
    alias_remove(alias=made, actor=ACTOR)
    served_by(acme, "gpt-test", "openai_compatible")


def test_a_target_may_name_its_credential(acme: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    other = acme.add_credential(spare.url + "/v1", label="other")
    alias(acme, "there", AliasGoal(model="gpt-test", credential=other))
    answers(acme, "there")
    assert (asked(upstream), asked(spare)) == ([], ["gpt-test"])


def test_a_pattern_catches_names_and_its_star_goes_into_the_target(
    acme: Tenant, mistral: Credential, spare: FakeProvider
) -> None:
    alias(acme, "m-*", "mistral/mistral-*")
    alias(acme, "m-large*", "gpt-test")
    assert answers(acme, "m-small-latest").headers["x-tollgate-model"] == "mistral-small-latest"
    assert asked(spare) == ["mistral-small-latest"]
    assert answers(acme, "m-brand-new").headers["x-tollgate-model"] == "mistral-brand-new"
    assert answers(acme, "m-large-3").headers["x-tollgate-provider"] == "openai_compatible"


def test_what_only_an_alias_names_costs_what_the_book_says(acme: Tenant, mistral: Credential) -> None:
    for model, usd in (("mistral-9", 2), ("mistral-brand-new", 3)):
        price_set(
            organization=acme.organization,
            provider="mistral",
            model=model,
            prices={"input": Decimal(0), "output": Decimal(0), "per_request": Decimal(usd * 1_000_000)},
            effective_from=LONG_AGO,
            actor=ACTOR,
        )
    alias(acme, "m-*", "mistral/mistral-*")
    alias(acme, "new", AliasGoal(model="mistral-brand-new", credential=mistral))
    for name, usd in (("m-9", 2), ("m-brand-new", 3), ("new", 3)):
        response = answers(acme, name)
        assert acme.record(response.headers["x-request-id"]).cost_usd == usd
    response = answers(acme, "m-unpriced")
    assert acme.record(response.headers["x-request-id"]).cost_usd is None


def test_a_pattern_does_not_revive_what_is_disabled(acme: Tenant, mistral: Credential) -> None:
    row = model_add(organization=acme.organization, provider="mistral", name="mistral-test", actor=ACTOR)
    alias(acme, "m-*", "mistral/mistral-*")
    answers(acme, "m-test")
    model_update(model=row, enabled=False, actor=ACTOR)
    status(acme, "m-test", 502)
    answers(acme, "m-other")


def test_a_pattern_with_a_leading_star_catches_only_what_is_unknown(acme: Tenant, mistral: Credential) -> None:
    alias(acme, "*", "mistral/mistral-small-latest")
    assert answers(acme, "whatever-they-ask").headers["x-tollgate-provider"] == "mistral"
    assert answers(acme, "gpt-test").headers["x-tollgate-provider"] == "openai_compatible"
    assert answers(acme, "openai_compatible/gpt-test").headers["x-tollgate-provider"] == "openai_compatible"


def test_an_organizations_alias_is_nobody_elses(acme: Tenant, patient: GatewayProcess, upstream: FakeProvider) -> None:
    alias(acme, "ours", "gpt-test")
    answers(acme, "ours")
    with tenant(patient, upstream) as other:
        assert ask(other, "ours").status_code == 404


# --- Policies ---


def test_a_denied_model_is_not_reached_by_its_providers_name(acme: Tenant, mistral: Credential) -> None:
    ruled(acme, denied_models=["gpt-test"])
    refused = status(acme, "gpt-test", 403)
    assert "denied models" in message(refused)
    response = ask(acme, "openai_compatible/gpt-test")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "model_not_allowed")


def test_an_allowed_model_is_allowed_by_its_providers_name(acme: Tenant) -> None:
    ruled(acme, allowed_models=["gpt-test"])
    status(acme, "renamed", 403)
    assert ask(acme, "openai_compatible/gpt-test").status_code == 200
    assert ask(acme, "openai_compatible/renamed").status_code == 403


def test_a_denied_model_is_not_reached_by_an_alias(acme: Tenant, mistral: Credential, upstream: FakeProvider) -> None:
    alias(acme, "fast", "gpt-test", "mistral/mistral-small-latest")
    answers(acme, "fast")
    before = len(asked(upstream))
    ruled(acme, denied_models=["gpt-test"])
    served_by(acme, "fast", "mistral")
    ruled(acme, denied_models=["gpt-test", "mistral/*"])
    refused = status(acme, "fast", 403)
    assert "gpt-test" in message(refused)
    assert set(asked(upstream)[before:]) <= {"gpt-test"}


def test_a_denied_alias_is_refused_by_its_name(acme: Tenant) -> None:
    alias(acme, "fast", "gpt-test")
    answers(acme, "fast")
    ruled(acme, denied_models=["fast"])
    status(acme, "fast", 403)
    assert ask(acme, "gpt-test").status_code == 200


def test_an_allowed_alias_may_be_all_that_a_token_may_call(acme: Tenant) -> None:
    alias(acme, "fast", "gpt-test")
    answers(acme, "fast")
    ruled(acme, allowed_models=["fast"])
    status(acme, "gpt-test", 403)
    assert ask(acme, "openai_compatible/gpt-test").status_code == 403
    assert ask(acme, "fast").status_code == 200


def test_a_denied_spelling_bars_that_providers_routes_alone(
    acme: Tenant, mistral: Credential, upstream: FakeProvider
) -> None:
    model_add(organization=acme.organization, provider="mistral", name="gpt-test", actor=ACTOR)
    credential_update(credential=mistral, priority=1, actor=ACTOR)
    served_by(acme, "gpt-test", "mistral")
    ruled(acme, denied_models=["mistral/gpt-test"])
    served_by(acme, "gpt-test", "openai_compatible")


def test_the_preferred_provider_is_asked_first_whatever_tiers_and_shares(acme: Tenant, mistral: Credential) -> None:
    alias(acme, "fast", "gpt-test", "mistral/mistral-small-latest")
    goals = (AliasGoal(model="gpt-test", weight=1000), AliasGoal(model="mistral/mistral-small-latest"))
    alias(acme, "shared", *goals, strategy="weighted")
    assert answers(acme, "fast").headers["x-tollgate-provider"] == "openai_compatible"
    ruled(acme, preferred_provider="mistral")
    served_by(acme, "fast", "mistral")
    assert {ask(acme, "shared").headers["x-tollgate-provider"] for _ in range(10)} == {"mistral"}


# --- Draining and shares ---


def test_a_drained_credential_gets_no_new_calls(acme: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    first = acme.add_route("routed", upstream.url + "/v1", label="first", priority=1)
    second = acme.add_route("routed", spare.url + "/v1", label="second", priority=2)
    answers(acme, "routed")
    assert len(asked(spare)) == 0
    credential_drain(credential=first, actor=ACTOR)
    eventually(lambda: bool(ask(acme, "routed")) and asked(spare), what="a call of the other")
    before = len(asked(upstream))
    assert ask(acme, "routed").status_code == 200
    assert len(asked(upstream)) == before
    credential_drain(credential=second, actor=ACTOR)
    status(acme, "routed", 502)
    credential_undrain(credential=first, actor=ACTOR)
    answers(acme, "routed")
    assert len(asked(upstream)) == before + 1


# --- Unknown names ---


def test_an_unknown_name_is_refused_with_names_like_it_that_may_be_called(acme: Tenant) -> None:
    alias(acme, "gpt-testing", "gpt-test")
    answers(acme, "gpt-testing")
    response = ask(acme, "gpt-tset")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert "does not exist here, but " in message(response)
    assert "gpt-test" in message(response)
    ruled(acme, denied_models=["gpt-test*"])
    eventually(lambda: "gpt-test " not in message(ask(acme, "gpt-tset")), what="silence about what is denied")
    assert "gpt-testing" not in message(ask(acme, "gpt-tset"))


# --- Explanations ---


def test_explain_names_the_routes_in_the_order_in_which_they_are_tried(
    acme: Tenant, mistral: Credential, upstream: FakeProvider, spare: FakeProvider
) -> None:
    other = acme.add_credential(spare.url + "/v1", label="other")
    late = AliasGoal(model="gpt-test", credential=other, tier=9)
    alias(acme, "fast", "mistral/mistral-small-latest", late, "gpt-test")
    answers(acme, "fast")
    for provider in (upstream, spare):
        provider.fails(503, always=True)
    record = acme.record(ask(acme, "fast").headers["x-request-id"])
    asked_for = Asked(endpoint="chat_completions", at=now(), model="fast")
    routes = [route for route in explain_call(acme.token_row, asked_for).routes if not route.skipped]
    assert [attempt["credential"] for attempt in record.attempts] == [route.credential for route in routes]
    assert [route.credential for route in routes] == ["mistral", "fake provider", "other"]
