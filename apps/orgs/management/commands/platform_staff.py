from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction

from apps.core.commands import OperatorCommand
from apps.orgs.actions import sign_in_link_issue, user_create, user_update
from apps.orgs.models import User
from apps.orgs.selectors import platform_staff, user_by_email


class Command(OperatorCommand):
    """Say who runs the installation."""

    help = (
        "Make somebody platform staff, who run the installation and see every organization. Who has no account gets one, and a "
        "one-time sign-in link is printed. Without --email, lists them. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--email", help="whom; left out: list them")
        parser.add_argument("--undo", action="store_true", help="make them a user like others again")

    def handle(self, *, email: str | None, undo: bool, **_options: Any) -> None:
        """Exit code 1 where there is nobody to make less."""
        if email is None:
            if undo:
                raise CommandError("--undo needs --email: whom?")
            for each in platform_staff():
                self.stdout.write(each.email + ("" if each.is_active else " (switched off)"))
            return
        with transaction.atomic():
            lines = self._less(email) if undo else self._staff(email)
        for line in lines:
            self.stdout.write(line)

    def _staff(self, email: str) -> list[str]:
        user = user_by_email(email)
        if user is None:
            user = user_create(email=email, password=None, is_platform_staff=True, actor=self.actor)
            return [f"Created {user}, who is platform staff.", f"Sign in, once, within an hour: {self._link(user)}"]
        if user.is_superuser:
            return [f"{user} is platform staff already."]
        user_update(user=user, is_superuser=True, actor=self.actor)
        return [f"{user} is platform staff now."]

    def _less(self, email: str) -> list[str]:
        user = user_by_email(email)
        if user is None:
            raise CommandError(f"There is no user {email}.")
        if not user.is_superuser:
            return [f"{user} is not platform staff."]
        user_update(user=user, is_superuser=False, actor=self.actor)
        return [f"{user} is not platform staff any more."]

    def _link(self, user: User) -> str:
        return settings.PUBLIC_URL + sign_in_link_issue(user=user, actor=self.actor)
