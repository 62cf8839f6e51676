"""python -m bench.seed UPSTREAM_URL: an organization with a credential for the upstream, a service and two tokens, which it prints:
one that no policy concerns, and one of another organization with everything on."""

import sys
from decimal import Decimal

import django

django.setup()

from apps.core.actor import Actor  # noqa: E402 (settings must be loaded first)
from apps.orgs.actions import organization_create  # noqa: E402
from apps.policies.actions.budgets import Subject, budget_create  # noqa: E402
from apps.policies.actions.policies import inline_set, policy_attach, policy_create  # noqa: E402
from apps.providers.actions import credential_add  # noqa: E402
from apps.providers.prices.actions import prices_sync  # noqa: E402
from apps.services.actions import service_create, token_issue  # noqa: E402
from apps.services.models import Token  # noqa: E402

ACTOR = Actor.system(door="command")


def main(upstream: str) -> None:
    """By the same actions as the console and the commands."""
    prices_sync(actor=ACTOR)
    print(seeded("plain", upstream)[1])
    row, token = seeded("governed", upstream)
    govern(row)
    print(token)


def seeded(name: str, upstream: str) -> tuple[Token, str]:
    """An organization with a credential, a service and a token; the token's row and plaintext."""
    organization = organization_create(name=name, slug=name, actor=ACTOR)
    credential_add(
        organization=organization,
        provider="openai",
        label="Mock upstream",
        base_url=f"{upstream}/v1",
        secret="sk-not-a-key-for-anything",
        actor=ACTOR,
    )
    credential_add(
        organization=organization,
        provider="anthropic",
        label="Mock upstream of another dialect",
        base_url=upstream,
        secret="sk-not-a-key-for-anything",
        actor=ACTOR,
    )
    service = service_create(organization=organization, name="wrk", actor=ACTOR)
    return token_issue(service=service, name="bench", actor=ACTOR)


def govern(token: Token) -> None:
    """Policies at three places, three limits at each, and budgets of all three: none of them is ever reached."""
    limits = {"requests_per_minute": 10**8, "tokens_per_minute": 10**9, "concurrent_requests": 10**6}
    organization, service = token.organization, token.service
    everyone = policy_create(
        organization=organization,
        name="everyone",
        fields={**limits, "allowed_models": ["gpt-*", "claude-*", "text-embedding-*"], "denied_models": ["*-preview"]},
        actor=ACTOR,
    )
    policy_attach(policy=everyone, layer="organization", organization=organization, actor=ACTOR)
    team = policy_create(
        organization=organization, name="team", fields={**limits, "max_output_tokens": 4096}, actor=ACTOR
    )
    policy_attach(policy=team, layer="service", service=service, actor=ACTOR)
    inline_set(
        layer="token", token=token, fields={**limits, "allowed_models": ["gpt-4o*", "claude-haiku*"]}, actor=ACTOR
    )
    for subject, window in (
        (Subject("organization"), "month"),
        (Subject("service", service=service), "week"),
        (Subject("token", token=token), "day"),
    ):
        budget_create(
            organization=organization, subject=subject, window=window, limit_usd=Decimal(1_000_000), actor=ACTOR
        )


if __name__ == "__main__":
    main(sys.argv[1])
