from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.commands import OperatorCommand, file_content
from apps.orgs.arguments import named_organization
from apps.providers.management.commands.set_price import date_argument
from apps.providers.prices.actions import ImportRefused, prices_import
from apps.providers.prices.documents import MAX_BYTES, UNITS, UnreadableFile, read_prices
from apps.providers.prices.selectors import prices_review
from apps.providers.prices.tables import review_table


class Command(OperatorCommand):
    """Import prices."""

    help = (
        "Import prices from a CSV or JSON file, as export_prices writes them: everything, or nothing if a row is refused. "
        "Shows what is added and changed; --dry-run shows it alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("file", metavar="FILE", help="the file, or - to read it from standard input")
        parser.add_argument("--org", metavar="SLUG", help="for this organization alone")
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, and change nothing")
        parser.add_argument(
            "--unit",
            choices=UNITS,
            default="per_million",
            help="what its numbers are for, unless a row says (per_million)",
        )
        parser.add_argument(
            "--from",
            dest="effective_from",
            type=date_argument,
            metavar="DATE",
            help="from when rows apply that do not say: 2026-12-01, UTC; now if left out",
        )
        parser.add_argument(
            "--trust", action="store_true", help="import what looks unusual, or like another unit, as well"
        )
        parser.add_argument("--replace", action="store_true", help="withdraw prices of the very same time that differ")

    def handle(
        self,
        *,
        file: str,
        org: str | None,
        dry_run: bool,
        unit: str,
        effective_from: datetime | None,
        trust: bool,
        replace: bool,
        **_options: Any,
    ) -> None:
        """Exit code 1 if anything in the file speaks against it, also of a dry run."""
        organization = None if org is None else named_organization(org)
        try:
            lines = read_prices(file_content(file, MAX_BYTES), unit=unit, effective_from=effective_from or now())
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        if dry_run:
            found = prices_review(organization, lines, trust=trust, replace=replace)
        else:
            try:
                found = prices_import(
                    organization=organization, lines=lines, actor=self.actor, trust=trust, replace=replace
                )
            except ImportRefused as refused:
                found = refused.review
        self.stdout.write(review_table(found))
        if found.refusal:
            raise CommandError(f"{found.refusal} Nothing was imported.")
        if dry_run:
            self.say("Nothing was imported: this was a dry run.")
