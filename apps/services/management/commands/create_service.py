from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.services.actions import service_create


class Command(OperatorCommand):
    """Create a service."""

    help = "Create a service: a client application of an organization, which tokens are then issued to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--name", required=True, help="the service's name, once in its organization")

    def handle(self, *, org: str, name: str, **_options: Any) -> None:
        """Refuses a name that is taken."""
        service = service_create(organization=named_organization(org), name=name, actor=self.actor)
        self.stdout.write(f"Created service {service} of {service.organization}.")
