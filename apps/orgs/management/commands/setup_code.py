from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.setup.actions import is_set_up, setup_code


class Command(OperatorCommand):
    """Print the code that the setup page asks for."""

    help = "Print the code with which /setup/ lets an empty installation be set up, once."

    def handle(self, **_options: Any) -> None:
        """The code alone goes to stdout."""
        if is_set_up():
            raise CommandError("This installation is set up already: `manage.py sign_in_link` lets its people in.")
        self.say(f"Enter it at {settings.PUBLIC_URL}/setup/")
        self.stdout.write(setup_code())
