from argparse import ArgumentParser
from typing import Any

from apps.configuration.selectors import configuration_of
from apps.configuration.writing import written
from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization

_HEAD = "# Tollgate's configuration. Secrets are not in it: credentials name the variables that hold theirs.\n"


class Command(OperatorCommand):
    """Export the configuration."""

    help = (
        "Print the configuration as YAML that apply_config reads: the installation's own and every organization's, or with "
        "--org one organization's. Secrets and tokens are not in it. The same rows always give the same text."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", "--organization", metavar="SLUG", help="this organization alone")

    def handle(self, *, org: str | None, **_options: Any) -> None:
        """Changes nothing."""
        organizations = list(Organization.objects.order_by("slug")) if org is None else [named_organization(org)]
        document = configuration_of(organizations, installation=org is None)
        self.stdout.write(_HEAD + written(document), ending="")
