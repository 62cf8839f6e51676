from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_user
from apps.orgs.people.sessions import sessions_end


class Command(OperatorCommand):
    """Sign a user out everywhere."""

    help = "Sign a user out of every browser, for somebody whose computer or phone is in other hands."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whom")

    def handle(self, *, email: str, **_options: Any) -> None:
        """Who is signed in nowhere is no error."""
        user = named_user(email)
        ended = sessions_end(user=user, actor=self.actor)
        self.stdout.write(f"Ended {ended} sessions of {user}." if ended else f"{user} is signed in nowhere.")
