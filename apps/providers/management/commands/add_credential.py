from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from apps.core.commands import OperatorCommand, comma_separated
from apps.core.env import env, text
from apps.orgs.arguments import named_organization
from apps.providers.actions import credential_add, credential_test, model_add
from apps.providers.catalogue import likely_kind
from apps.providers.kinds import kind_of
from apps.providers.models import Provider


class Command(OperatorCommand):
    """Add a provider's credential."""

    help = (
        "Add a provider's credential. The secret is read from the environment variable NAME, or from the file that "
        "NAME_FILE names; never from the arguments. The provider is called once to see that it works, unless --no-test."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--org", metavar="SLUG", help="the organization it belongs to")
        owner.add_argument("--hosted", action="store_true", help="it is the installation's, offered to all")
        parser.add_argument("--provider", required=True, choices=Provider.values)
        parser.add_argument("--label", required=True, help="what you call it, once in its organization")
        parser.add_argument(
            "--base-url",
            metavar="URL",
            help="where its API begins, or Azure's endpoint; needed only where it is not the same for everybody",
        )
        parser.add_argument("--api-version", default="", help="Azure OpenAI only; empty for its v1 API")
        parser.add_argument("--priority", type=int, default=100, help="the lowest number is asked first (100)")
        parser.add_argument(
            "--weight",
            type=int,
            help="its share of the calls among those of its priority; without: the oldest is asked",
        )
        parser.add_argument(
            "--models", type=comma_separated, default=[], metavar="a,b", help="list these as served by it alone"
        )
        parser.add_argument("--secret-env", metavar="NAME", help="the environment variable that holds the secret")
        parser.add_argument("--no-test", action="store_true", help="do not call the provider")

    def handle(
        self,
        *,
        org: str | None,
        provider: str,
        label: str,
        base_url: str | None,
        api_version: str,
        priority: int,
        weight: int | None,
        models: list[str],
        secret_env: str | None,
        no_test: bool,
        **_options: Any,
    ) -> None:
        """Adds nothing if the test fails."""
        base_url = base_url or kind_of(provider).base_url
        if not base_url:
            raise CommandError(f"{provider} needs --base-url.", returncode=2)
        with transaction.atomic():
            organization = None if org is None else named_organization(org)
            credential = credential_add(
                organization=organization,
                provider=provider,
                label=label,
                base_url=base_url,
                secret=env(secret_env, text) if secret_env else "",
                api_version=api_version,
                priority=priority,
                weight=weight,
                actor=self.actor,
            )
            for name in models:
                model_add(
                    organization=organization,
                    provider=provider,
                    name=name,
                    kind=likely_kind(provider, name),
                    credential=credential,
                    actor=self.actor,
                )
            if not no_test:
                result = credential_test(credential=credential)
                if not result.ok:
                    raise CommandError(f"{result.sentence} Nothing was added; --no-test adds it untested.")
        self.stdout.write(f"Added {credential} for {organization or 'every organization'}.")
        if not no_test:
            self.say(result.sentence)
