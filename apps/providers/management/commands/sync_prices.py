from typing import Any

from apps.core.commands import OperatorCommand
from apps.providers.prices.actions import prices_sync


class Command(OperatorCommand):
    """Bring the shipped list prices up to date."""

    help = (
        "Add the list prices that ship with this release where they are new or have changed. "
        "Prices that you set stay, and what you withdrew stays withdrawn. Safe to repeat."
    )

    def handle(self, **_options: Any) -> None:
        """Migrations do this as well."""
        found = prices_sync(actor=self.actor)
        self.stdout.write(f"Added {found.added} prices.")
        if found.kept:
            self.say(f"{found.kept} models keep the prices that were set here, though this release has others.")
