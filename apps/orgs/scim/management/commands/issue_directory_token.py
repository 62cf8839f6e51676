from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.scim.actions import directory_token_issue
from apps.orgs.scim.resources import BASE


class Command(OperatorCommand):
    """Issue a token for a company's directory."""

    help = (
        "Issue a token for an organization's directory (SCIM) and print it, this once. The token alone goes to stdout."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization whose people it says")
        parser.add_argument("--name", required=True, help="the directory's name, such as Okta")

    def handle(self, *, org: str, name: str, **_options: Any) -> None:
        """Says where the directory calls."""
        token, plaintext = directory_token_issue(organization=named_organization(org), name=name, actor=self.actor)
        self.stdout.write(plaintext)
        self.say(f"The directory calls {settings.PUBLIC_URL}{BASE} with it. It is shown this once.")
        self.say(f"Revoke it with: manage.py revoke_directory_token {token.pk}")
