from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_user
from apps.orgs.people.factors import second_factors_remove


class Command(OperatorCommand):
    """Help somebody who has lost a phone."""

    help = "Forget a user's second factors and recovery codes, for somebody who has lost them all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whose")

    def handle(self, *, email: str, **_options: Any) -> None:
        """Exit code 1 if there is no such user."""
        user = named_user(email)
        count = second_factors_remove(user=user, actor=self.actor)
        self.stdout.write(f"Removed {count} second factors of {user}." if count else f"{user} has no second factor.")
