"""What every operator's command shares: one sentence on stderr and exit code 1 when it refuses, 2 for wrong usage."""

import argparse
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from apps.core.actor import Actor
from apps.core.rows import one_sentence

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class OperatorCommand(BaseCommand):
    """A command that is a door to actions. The result goes to stdout alone; `say` tells the person, on stderr."""

    requires_system_checks = []
    actor = Actor.system(door="command")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and turn refusals into sentences."""
        try:
            return self._execute(*args, **options)
        except CommandError as refusal:
            # Called from Python, the caller gets the exception; from a shell, the sentence without its class name.
            if not getattr(self, "_called_from_command_line", False) or options.get("traceback"):
                raise
            self.stderr.write(str(refusal))
            sys.exit(refusal.returncode)

    def _execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ValidationError as refusal:
            raise CommandError(one_sentence(refusal)) from refusal
        except ImproperlyConfigured as refusal:
            raise CommandError(str(refusal)) from refusal
        except OperationalError as error:
            raise CommandError(f"PostgreSQL cannot be reached: {str(error).splitlines()[0]}") from error
        except ProgrammingError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
                raise CommandError("The database is not up to date: run `manage.py migrate` first.") from error
            raise

    def say(self, sentence: str) -> None:
        """Tell the person at the terminal, apart from the result."""
        self.stderr.write(sentence, self.style.NOTICE if self.stderr.isatty() else None)


def duration(word: str) -> timedelta:
    """30m, 12h, 90d or 4w: an argument's type."""
    match = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", word)
    if match is None:
        raise argparse.ArgumentTypeError(f"{word!r} is not a length of time: write it as 30m, 12h, 90d or 4w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def file_content(name: str, most: int) -> bytes:
    """The first `most` bytes of a file, and one more if there are more; of standard input for `-`. Raises CommandError."""
    if name == "-":
        try:
            return sys.stdin.read(most + 1).encode()
        except UnicodeError:
            raise CommandError("Standard input is not UTF-8.") from None
    try:
        with Path(name).open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None


def comma_separated(word: str) -> list[str]:
    """a,b,c: an argument's type."""
    return [part.strip() for part in word.split(",") if part.strip()]
