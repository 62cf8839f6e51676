from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.secrets import secrets_reseal


class Command(OperatorCommand):
    """Finish a rotation of SEALING_KEYS."""

    help = "Seal every secret with the first of SEALING_KEYS, so that the others can be taken out. Safe to repeat."

    def handle(self, **_options: Any) -> None:
        """Exit code 1 if a secret does not open with any key."""
        resealed, closed = secrets_reseal(actor=self.actor)
        self.stdout.write(f"Sealed {resealed} secrets anew.")
        if closed:
            labels = ", ".join(str(row) for row in closed)
            raise CommandError(f"Not opened by any of SEALING_KEYS, enter these secrets again: {labels}.")
