import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from apps.core.bearer import bearer_digest
from apps.core.commands import OperatorCommand
from apps.orgs.keys.actions import key_revoke
from apps.orgs.keys.models import PREFIX, ManagementKey
from apps.orgs.keys.selectors import key_by_id

_STDIN = "-"


class Command(OperatorCommand):
    """Revoke a management key."""

    help = (
        "Refuse a management key from now on, for good. Name it by its id; or write - and give the key itself on standard "
        "input, where no process list shows it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("key", metavar="ID|-", help="its id, or - to read the key itself from stdin")

    def handle(self, *, key: str, **_options: Any) -> None:
        """Says so, and succeeds, if the key was revoked already."""
        found = self._from_stdin() if key == _STDIN else self._by_id(key)
        done = key_revoke(key=found, actor=self.actor)
        what = f"management key {found.name} ({found.masked})"
        self.stdout.write(f"Revoked {what}." if done else f"Nothing to do: {what} was revoked already.")

    def _by_id(self, word: str) -> ManagementKey:
        if word.startswith(PREFIX):
            raise CommandError(
                "A key among the arguments can be read by others on this machine: write - and give it on stdin."
            )
        try:
            found = key_by_id(UUID(word))
        except ValueError:
            raise CommandError(f"{word!r} is not a management key's id.", returncode=2) from None
        if found is None:
            raise CommandError(f"There is no management key with the id {word}.")
        return found

    def _from_stdin(self) -> ManagementKey:
        found = ManagementKey.objects.filter(digest=bearer_digest(sys.stdin.readline().strip())).first()
        if found is None:
            raise CommandError("No such management key was issued here.")
        return found
