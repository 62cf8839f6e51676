"""manage.py sandbox: the same as `python -m apps.providers.sandbox`."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.providers.sandbox import command


class Command(BaseCommand):
    """Serve the sandbox until told to stop."""

    """Serve the sandbox until told to stop."""

    help = command.SUMMARY
    requires_system_checks = ()  # it uses neither settings nor database

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the sandbox's own options to Django's."""
        command.add_arguments(parser)

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until told to stop."""
        if status := command.run(argparse.Namespace(**options)):
            sys.exit(status)
