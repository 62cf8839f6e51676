from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from apps.core.commands import OperatorCommand
from apps.core.env import env, text
from apps.orgs.actions import user_password_set, user_update
from apps.orgs.arguments import named_user
from apps.orgs.models import User


class Command(OperatorCommand):
    """Change a user where the console cannot: the password, and whether the user may sign in."""

    help = (
        "Give a user a new password, or switch a user off or on: for when nobody who may is able to sign in to the console. "
        "A new password, and switching off, end the user's sessions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whom")
        parser.add_argument(
            "--password-env", metavar="NAME", help="the environment variable that holds the new password"
        )
        parser.add_argument("--active", action=BooleanOptionalAction, help="whether the user may sign in")

    def handle(self, *, email: str, password_env: str | None, active: bool | None, **_options: Any) -> None:
        """All or nothing."""
        if password_env is None and active is None:
            raise CommandError("Say what to change: --password-env, --active or --no-active.", returncode=2)
        user = named_user(email)
        with transaction.atomic():
            if active is not None:
                user = user_update(user=user, is_active=active, actor=self.actor)
            if password_env is not None:
                self._password(user, password_env)
        state = "active" if user.is_active else "switched off"
        self.stdout.write(f"User {user}: {state}{', with a new password' if password_env is not None else ''}.")

    def _password(self, user: User, name: str) -> None:
        try:
            user_password_set(user=user, password=env(name, text), actor=self.actor)
        except ValidationError as error:
            raise CommandError(f"{name}: {' '.join(error.messages)}") from error
