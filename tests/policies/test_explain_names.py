"""What explain says of names: aliases, provider/model, drained credentials."""

from datetime import UTC, datetime

import pytest

from apps.core.actor import Actor
from apps.orgs.models import Organization
from apps.policies.actions.policies import inline_set
from apps.policies.explanation import Asked, Explanation
from apps.policies.selectors.explain import explain_call
from apps.providers.actions import (
    credential_add,
    credential_disable,
    credential_drain,
    credential_update,
    model_add,
    model_update,
)
from apps.providers.aliases.actions import AliasGoal, alias_add, alias_update
from apps.providers.models import Credential
from apps.services.actions import token_issue
from apps.services.models import Service, Token
from tests.control.conftest import SECRET


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


@pytest.fixture
def spare(acme: Organization, actor: Actor) -> Credential:
    return credential_add(organization=acme, provider="mistral", label="spare", secret=SECRET, actor=actor)


def explain(token: Token, model: str) -> Explanation:
    asked = Asked(endpoint="chat_completions", at=datetime(2026, 7, 1, 10, tzinfo=UTC), model=model)
    return explain_call(Token.objects.select_related("service", "organization").get(pk=token.pk), asked)


def says(found: Explanation, question: str) -> str:
    return next(step.says for step in found.steps if step.question == question)


def refused(found: Explanation) -> tuple[str, str]:
    assert found.refusal is not None
    return found.refusal.question, found.refusal.code


def asked_in_order(found: Explanation) -> list[tuple[str, str]]:
    return [(route.credential, route.upstream_model) for route in found.routes if not route.skipped]


def skipped(found: Explanation) -> dict[str, str]:
    return {route.credential: route.skipped for route in found.routes if route.skipped}


def test_an_alias_is_named_with_its_targets_in_their_order(
    acme: Organization, token: Token, spare: Credential, actor: Actor
) -> None:
    goals = (AliasGoal(model="mistral/mistral-new", tier=1), AliasGoal(model="gpt-test", tier=2))
    alias = alias_add(organization=acme, name="fast", targets=goals, actor=actor)
    found = explain(token, "fast")
    assert found.refusal is None
    assert says(found, "known") == "the alias fast of mistral/mistral-new, gpt-test, which a credential serves"
    assert says(found, "route") == "spare is asked first"
    assert asked_in_order(found) == [("spare", "mistral-new"), ("main", "gpt-test")]
    alias_update(alias=alias, enabled=False, actor=actor)
    assert refused(explain(token, "fast")) == ("known", "model_not_found")


def test_a_pattern_is_followed_to_its_targets(
    acme: Organization, token: Token, spare: Credential, actor: Actor
) -> None:
    alias_add(organization=acme, name="m-*", targets=[AliasGoal(model="mistral/mistral-*")], actor=actor)
    assert asked_in_order(explain(token, "m-tiny")) == [("spare", "mistral-tiny")]


def test_who_shares_the_first_place_is_said(acme: Organization, token: Token, spare: Credential, actor: Actor) -> None:
    goals = (AliasGoal(model="mistral/mistral-new"), AliasGoal(model="gpt-test"))
    alias_add(organization=acme, name="fast", targets=goals, strategy="weighted", actor=actor)
    assert says(explain(token, "fast"), "route") == "spare or main is asked first"


def test_a_denied_target_is_skipped_with_its_name(
    acme: Organization, token: Token, spare: Credential, actor: Actor
) -> None:
    goals = (AliasGoal(model="mistral/mistral-new"), AliasGoal(model="gpt-test"))
    alias_add(organization=acme, name="fast", targets=goals, actor=actor)
    inline_set(layer="token", token=token, fields={"denied_models": ["mistral/*"]}, actor=actor)
    found = explain(token, "fast")
    assert asked_in_order(found) == [("main", "gpt-test")]
    assert skipped(found) == {
        "spare": "model 'mistral-new' not allowed by the token's own rules (denied models: mistral/*)"
    }
    inline_set(layer="token", token=token, fields={"denied_models": ["mistral/*", "gpt-*"]}, actor=actor)
    assert refused(explain(token, "fast")) == ("route", "provider_not_allowed")


def test_a_spelled_name_is_refused_where_the_plain_one_is(token: Token, actor: Actor) -> None:
    found = explain(token, "openai_compatible/gpt-test")
    assert says(found, "known").startswith("a model of openai_compatible")
    assert asked_in_order(found) == [("main", "gpt-test")]
    inline_set(layer="token", token=token, fields={"denied_models": ["gpt-test"]}, actor=actor)
    assert refused(explain(token, "openai_compatible/gpt-test")) == ("model", "model_not_allowed")
    inline_set(layer="token", token=token, fields={"denied_models": None, "allowed_models": ["gpt-*"]}, actor=actor)
    assert explain(token, "openai_compatible/gpt-test").refusal is None


def test_a_name_that_nobody_lists_is_explained_by_its_prefix(
    acme: Organization, token: Token, spare: Credential, actor: Actor
) -> None:
    for name in ("mistral-next", "mistral/whatever"):
        found = explain(token, name)
        assert says(found, "known") == "a model of mistral that is not listed, which a credential serves"
        assert asked_in_order(found) == [("spare", name.removeprefix("mistral/"))]
        assert says(found, "price").startswith("not known")
    assert refused(explain(token, "claude-next")) == ("known", "model_not_found")
    assert refused(explain(token, "openai_compatible/gpt-next")) == ("known", "model_not_found")
    inline_set(layer="token", token=token, fields={"denied_models": ["mistral-next"]}, actor=actor)
    assert refused(explain(token, "mistral/mistral-next")) == ("model", "model_not_allowed")
    assert refused(explain(token, "mistral-next-2030-01-01")) == ("route", "provider_not_allowed")
    credential_drain(credential=spare, actor=actor)
    assert refused(explain(token, "mistral-other")) == ("known", "no_credential")
    credential_disable(credential=spare, actor=actor)
    found = explain(token, "mistral-other")
    assert refused(found) == ("known", "model_not_found")
    assert says(found, "known") == "mistral-other is not listed for this organization"
    assert skipped(found) == {"spare": "the credential is disabled"}


def test_a_disabled_model_is_not_asked_for_by_its_prefix(
    acme: Organization, token: Token, spare: Credential, actor: Actor
) -> None:
    row = model_add(organization=acme, provider="mistral", name="mistral-old", actor=actor)
    model_update(model=row, enabled=False, actor=actor)
    for name in ("mistral-old", "mistral/mistral-old", "mistral-old-2030-01-01"):
        found = explain(token, name)
        assert refused(found) == ("known", "model_not_found")
        assert says(found, "known") == f"{name} is listed, but disabled"


def test_a_drained_credential_is_said_to_be(token: Token, credential: Credential, actor: Actor) -> None:
    credential_drain(credential=credential, actor=actor)
    found = explain(token, "gpt-test")
    assert refused(found) == ("known", "no_credential")
    assert skipped(found) == {"main": "the credential is drained"}


def test_priority_and_weights_are_heeded(
    acme: Organization, token: Token, credential: Credential, actor: Actor
) -> None:
    second = credential_add(
        organization=acme, provider="mistral", label="second", secret=SECRET, priority=50, actor=actor
    )
    model_add(organization=acme, provider="mistral", name="gpt-test", actor=actor)
    assert says(explain(token, "gpt-test"), "route") == "second is asked first"
    credential_update(credential=second, priority=credential.priority, weight=2, actor=actor)
    assert says(explain(token, "gpt-test"), "route") == "main or second is asked first"
