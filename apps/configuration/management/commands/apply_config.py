import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.configuration.actions import configuration_apply
from apps.configuration.document import MAX_BYTES, ConfigurationRefused
from apps.configuration.layout import read_configuration
from apps.core.commands import OperatorCommand, file_content

WOULD_CHANGE = 2


class Command(OperatorCommand):
    """Apply a configuration."""

    help = (
        "Make everything as a YAML file states it, as export_config writes them: all of it, or nothing if anything is refused. "
        "Prints what changes. What the file does not speak of stays; --prune removes what its sections do not list. "
        "--dry-run changes nothing, and exits with 2 if there is something to change."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("file", metavar="FILE", help="the file, or - to read it from standard input")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
        parser.add_argument(
            "--prune", action="store_true", help="remove what there is and a section of the file does not list"
        )

    def handle(self, *, file: str, dry_run: bool, prune: bool, **_options: Any) -> None:
        """Exit code 0: applied, or nothing to do; 1: refused; 2: a dry run that would change something."""
        try:
            parts = read_configuration(file_content(file, MAX_BYTES))
            report = configuration_apply(parts, actor=self.actor, prune=prune, dry_run=dry_run)
        except ConfigurationRefused as refused:
            shown = "standard input" if file == "-" else file
            raise CommandError(f"{refused.text(shown)}\nNothing was applied.") from refused
        self.stdout.write(report.text())
        for remark in report.remarks:
            self.say(remark)
        if dry_run:
            self.say("Nothing was applied: this was a dry run.")
            if report.changes:
                sys.exit(WOULD_CHANGE)
