from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.actions import sign_in_link_issue
from apps.orgs.selectors import user_by_email


class Command(OperatorCommand):
    """Print a one-time sign-in link."""

    help = "Print a link that signs a user in to the console, once, within an hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whom the link signs in")

    def handle(self, *, email: str, **_options: Any) -> None:
        """The link alone goes to stdout."""
        user = user_by_email(email)
        if user is None:
            raise CommandError(f"There is no user {email}: `manage.py setup` creates one.")
        self.stdout.write(settings.PUBLIC_URL + sign_in_link_issue(user=user, actor=self.actor))
