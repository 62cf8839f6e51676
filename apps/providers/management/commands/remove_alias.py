from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.providers.aliases.actions import alias_remove
from apps.providers.aliases.selectors import alias_named
from apps.providers.arguments import add_owner_arguments, named_owner


class Command(OperatorCommand):
    """Remove an alias."""

    help = "Forget an alias: its name means again what it meant without it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        add_owner_arguments(parser, "the alias")
        parser.add_argument("--name", required=True, help="the alias, as `manage.py aliases` lists it")

    def handle(self, *, org: str | None, name: str, **_options: Any) -> None:
        """Refuses a name that is no alias."""
        organization = named_owner(org)
        alias = alias_named(organization, name.strip())
        if alias is None:
            raise CommandError(
                f"{organization or 'The installation'} has no alias {name!r}: `manage.py aliases` lists them."
            )
        alias_remove(alias=alias, actor=self.actor)
        self.stdout.write(f"Removed alias {name}.")
