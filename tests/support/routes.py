"""Aliases of a test's tenant, and calls that wait until the gateway knows of a change."""

from typing import Any

import httpx

from apps.providers.aliases.actions import AliasGoal, alias_add
from apps.providers.aliases.models import Alias
from tests.support.gateway import eventually
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant

MESSAGES = [{"role": "user", "content": "Hi"}]


def ask(tenant: Tenant, model: str, **fields: Any) -> httpx.Response:
    """One call of this model."""
    return tenant.http().post("/v1/chat/completions", json={"model": model, "messages": MESSAGES, **fields})


def alias(tenant: Tenant, name: str, *targets: str | AliasGoal, **options: Any) -> Alias:
    """An alias of the tenant's; targets in order, each in a tier of its own unless they say otherwise."""
    goals = [
        AliasGoal(model=target, tier=place) if isinstance(target, str) else target
        for place, target in enumerate(targets, start=1)
    ]
    return alias_add(organization=tenant.organization, name=name, targets=goals, actor=ACTOR, **options)


def status(tenant: Tenant, model: str, expected: int) -> httpx.Response:
    """The answer, once it has this status."""

    def look() -> httpx.Response | None:
        response = ask(tenant, model)
        return response if response.status_code == expected else None

    found = eventually(look, what=f"{expected} for {model}")
    assert found is not None
    return found


def answers(tenant: Tenant, model: str) -> httpx.Response:
    """The answer, once the name means something."""
    return status(tenant, model, 200)


def served_by(tenant: Tenant, model: str, provider: str) -> None:
    """Waits until it is this provider that answers for the model."""
    eventually(lambda: ask(tenant, model).headers.get("x-tollgate-provider") == provider, what=f"{model} of {provider}")


def message(response: httpx.Response) -> str:
    """What a refusal says."""
    text: str = response.json()["error"]["message"]
    return text


def asked(provider: FakeProvider) -> list[str]:
    """The models that the provider was asked for."""
    return [request.json["model"] for request in provider.requests]
