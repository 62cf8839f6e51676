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
    """Change a user where the console cannot: the password, the switch, platform staff."""

    help = (
        "Change a user: a new password, switched off or on, platform staff or not. For when nobody who may is able to sign "
        "in to the console. A new password, and switching off, end the user's sessions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", required=True, help="whom")
        parser.add_argument(
            "--password-env", metavar="NAME", help="the environment variable that holds the new password"
        )
        parser.add_argument("--active", action=BooleanOptionalAction, help="whether the user may sign in")
        parser.add_argument(
            "--platform-staff", action=BooleanOptionalAction, help="whether the user runs the installation"
        )

    def handle(
        self, *, email: str, password_env: str | None, active: bool | None, platform_staff: bool | None, **_options: Any
    ) -> None:
        """All or nothing."""
        if password_env is None and active is None and platform_staff is None:
            raise CommandError("Say what to change: --password-env, --active or --platform-staff.", returncode=2)
        user = named_user(email)
        changes = {"is_active": active, "is_superuser": platform_staff}
        with transaction.atomic():
            changed = user_update(
                user=user, actor=self.actor, **{name: value for name, value in changes.items() if value is not None}
            )
            if password_env is not None:
                self._password(changed, password_env)
        said = [
            "active" if changed.is_active else "switched off",
            *(["platform staff"] if changed.is_superuser else []),
            *(["with a new password"] if password_env is not None else []),
        ]
        self.stdout.write(f"User {changed}: {', '.join(said)}.")

    def _password(self, user: User, name: str) -> None:
        try:
            user_password_set(user=user, password=env(name, text), actor=self.actor)
        except ValidationError as error:
            raise CommandError(f"{name}: {' '.join(error.messages)}") from error
