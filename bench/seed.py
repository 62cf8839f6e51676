"""python -m bench.seed UPSTREAM_URL: an organization with a credential for the upstream, a service and a token, which it prints."""

import sys

import django

django.setup()

from apps.core.actor import Actor  # noqa: E402 (settings must be loaded first)
from apps.orgs.actions import organization_create  # noqa: E402
from apps.providers.actions import credential_add  # noqa: E402
from apps.services.actions import service_create, token_issue  # noqa: E402


def main(upstream: str) -> None:
    """By the same actions as the console and the commands."""
    actor = Actor.system(door="command")
    organization = organization_create(name="Bench", slug="bench", actor=actor)
    credential_add(
        organization=organization,
        provider="openai",
        label="Mock upstream",
        base_url=f"{upstream}/v1",
        secret="sk-not-a-key-for-anything",
        actor=actor,
    )
    service = service_create(organization=organization, name="wrk", actor=actor)
    _, token = token_issue(service=service, name="bench", actor=actor)
    print(token)


if __name__ == "__main__":
    main(sys.argv[1])
