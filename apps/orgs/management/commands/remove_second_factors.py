from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.people.factors import second_factors_remove
from apps.orgs.selectors import user_by_email


class Command(OperatorCommand):
    """Help somebody who has lost a phone."""

    help = "Forget a user's second factors and recovery codes, for somebody who has lost them all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whose")

    def handle(self, *, email: str, **_options: Any) -> None:
        """Exit code 1 if there is no such user."""
        user = user_by_email(email)
        if user is None:
            raise CommandError(f"There is no user {email}.")
        count = second_factors_remove(user=user, actor=self.actor)
        self.stdout.write(f"Removed {count} second factors of {user}." if count else f"{user} has no second factor.")
