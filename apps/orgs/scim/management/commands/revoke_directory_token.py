from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.scim.actions import directory_token_revoke
from apps.orgs.scim.models import DirectoryToken


class Command(OperatorCommand):
    """Revoke a directory's token."""

    help = "Refuse a directory's token from now on. The people that the directory has brought stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("id", type=UUID, help="the token's id, as it was said when it was issued")

    def handle(self, *, id: UUID, **_options: Any) -> None:  # noqa: A002 - the argument's name, as it is shown
        """Says so, and succeeds, if it was revoked already."""
        token = DirectoryToken.objects.filter(pk=id).first()
        if token is None:
            raise CommandError(f"There is no directory token {id}: the console lists them.")
        done = directory_token_revoke(token=token, actor=self.actor)
        self.say(f"{token} {'is' if done else 'was'} revoked{'' if done else ' already'}.")
