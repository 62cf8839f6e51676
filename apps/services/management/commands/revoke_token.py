import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.services.actions import token_revoke
from apps.services.arguments import named_service
from apps.services.models import Token
from apps.services.selectors import token_by_id, token_by_plaintext, tokens_by_hint
from apps.services.tokens import PREFIX, token_is_well_formed

_STDIN = "-"


class Command(OperatorCommand):
    """Revoke a token."""

    help = (
        "Refuse a token from now on, for good. Name it by its id; by its last four characters with --org and --service; "
        "or write - and give the token itself on standard input, where no process list shows it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("token", nargs="?", metavar="ID|-", help="its id, or - to read the token itself from stdin")
        parser.add_argument("--org", metavar="SLUG", help="the organization, with --hint")
        parser.add_argument("--service", metavar="NAME", help="the service, with --hint")
        parser.add_argument("--hint", metavar="WXYZ", help="the token's last four characters")

    def handle(
        self, *, token: str | None, org: str | None, service: str | None, hint: str | None, **_options: Any
    ) -> None:
        """Says so, and succeeds, if the token was revoked already."""
        if token is not None and hint is None:
            found = self._by_id(token) if token != _STDIN else self._from_stdin()
        elif token is None and hint is not None and org is not None and service is not None:
            found = self._by_hint(org, service, hint)
        else:
            raise CommandError("Name one token: by ID, by - , or by --org, --service and --hint.", returncode=2)
        done = token_revoke(token=found, actor=self.actor)
        what = f"token {found.name} ({found.masked}) of service {found.service}"
        self.stdout.write(f"Revoked {what}." if done else f"Nothing to do: {what} was revoked already.")

    def _by_id(self, word: str) -> Token:
        if word.startswith(PREFIX):
            raise CommandError(
                "A token among the arguments can be read by others on this machine: write - and give it on stdin."
            )
        try:
            token = token_by_id(UUID(word))
        except ValueError:
            raise CommandError(f"{word!r} is not a token's id.", returncode=2) from None
        if token is None:
            raise CommandError(f"There is no token with the id {word}.")
        return token

    def _from_stdin(self) -> Token:
        plaintext = sys.stdin.readline().strip()
        if not token_is_well_formed(plaintext):
            raise CommandError("Standard input does not begin with a token: its form or its checksum is wrong.")
        token = token_by_plaintext(plaintext)
        if token is None:
            raise CommandError("No such token was issued here.")
        return token

    def _by_hint(self, org: str, service: str, hint: str) -> Token:
        tokens = tokens_by_hint(named_service(org, service), hint)
        if not tokens:
            raise CommandError(f"Service {service} has no token that ends in {hint}.")
        if len(tokens) > 1:
            ids = ", ".join(str(token.pk) for token in tokens)
            raise CommandError(f"{len(tokens)} tokens of {service} end in {hint}: name one by its id ({ids}).")
        return tokens[0]
