from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from apps.core.commands import OperatorCommand
from apps.orgs.actions import sign_in_link_issue
from apps.orgs.arguments import named_user


class Command(OperatorCommand):
    """Print a one-time sign-in link."""

    help = "Print a link that signs a user in to the console, once, within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whom the link signs in")

    def handle(self, *, email: str, **_options: Any) -> None:
        """The link alone goes to stdout."""
        self.stdout.write(settings.PUBLIC_URL + sign_in_link_issue(user=named_user(email), actor=self.actor))
