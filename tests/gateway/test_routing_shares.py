"""Calls are shared out by weights, among an alias's targets and among the credentials of one priority."""

from collections import Counter
from collections.abc import Iterator

import pytest

from apps.providers.actions import credential_update
from apps.providers.aliases.actions import AliasGoal
from tests.support.gateway import eventually
from tests.support.provider import FakeProvider
from tests.support.routes import MESSAGES, alias, answers, ask, asked
from tests.support.tenant import ACTOR, Tenant


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider."""
    with FakeProvider() as provider:
        yield provider


def shares(tenant: Tenant, model: str, calls: int) -> Counter[str]:
    """How many of so many calls each provider has answered."""
    client, body = tenant.http(), {"model": model, "messages": MESSAGES}
    return Counter(client.post("/v1/chat/completions", json=body).headers["x-tollgate-provider"] for _ in range(calls))


def test_weighted_targets_share_the_calls(acme: Tenant, spare: FakeProvider) -> None:
    acme.add_credential(spare.url + "/v1", provider="mistral", label="mistral")
    goals = (AliasGoal(model="gpt-test", weight=3), AliasGoal(model="mistral/mistral-small-latest"))
    alias(acme, "shared", *goals, strategy="weighted")
    answers(acme, "shared")
    seen = shares(acme, "shared", 200)
    # 150 and 50 on average; either is off by 30 once in two million runs.
    assert 120 < seen["openai_compatible"] < 180, seen


def test_credentials_of_one_priority_share_by_their_weights_if_they_have_any(
    acme: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    acme.add_route("routed", upstream.url + "/v1", label="first", priority=7)
    second = acme.add_route("routed", spare.url + "/v1", label="second", priority=7)
    answers(acme, "routed")
    shares(acme, "routed", 10)
    assert asked(spare) == [], "without weights the oldest is asked"
    credential_update(credential=second, weight=1, actor=ACTOR)
    eventually(lambda: bool(ask(acme, "routed")) and asked(spare), what="a call of the other")
    before = len(asked(spare))
    shares(acme, "routed", 100)
    assert 25 < len(asked(spare)) - before < 75
