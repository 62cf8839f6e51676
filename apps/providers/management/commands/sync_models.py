from typing import Any

from apps.core.commands import OperatorCommand
from apps.providers.actions import catalogue_sync


class Command(OperatorCommand):
    """List the catalogue's models."""

    help = "List the models that ship with this release. What you disabled stays disabled. Safe to repeat."

    def handle(self, **_options: Any) -> None:
        """Migrations do this as well."""
        self.stdout.write(f"Added {catalogue_sync()} models.")
