from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.providers.management.commands.set_price import date_argument
from apps.providers.prices.documents import COLUMNS, write_csv, write_json
from apps.providers.prices.selectors import prices_in_force, prices_of


class Command(OperatorCommand):
    """Export prices."""

    help = "Print prices as CSV or JSON that import_prices reads again: the installation's or, with --org, an organization's own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="this organization's own prices")
        parser.add_argument("--format", choices=("csv", "json"), default="csv")
        parser.add_argument(
            "--at", type=date_argument, metavar="DATE", help="only what applies at this time; of all times if left out"
        )

    def handle(self, *, org: str | None, format: str, at: datetime | None, **_options: Any) -> None:  # noqa: A002 - the option
        """Withdrawn prices are left out."""
        organization = None if org is None else named_organization(org)
        found = prices_in_force(organization, at) if at else prices_of(organization)
        place = ("provider", "model", "tier", "above_input_tokens", "effective_from")
        rows = found.order_by(*place).values(*COLUMNS) if not at else found.values(*COLUMNS)
        self.stdout.write((write_csv if format == "csv" else write_json)(rows), ending="")
