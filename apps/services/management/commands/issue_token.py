from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils.timezone import now

from apps.core.commands import OperatorCommand, comma_separated, duration
from apps.core.endpoints import SCOPES
from apps.services.actions import token_issue
from apps.services.arguments import named_service


class Command(OperatorCommand):
    """Issue a token."""

    help = "Issue a token to a service and print it, this once. The token alone goes to stdout."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--service", required=True, metavar="NAME", help="the service that will call with it")
        parser.add_argument("--name", required=True, help="what the token is for")
        parser.add_argument("--expires", type=duration, metavar="90d", help="refuse it after 30m, 12h, 90d, 4w …")
        parser.add_argument(
            "--scopes",
            type=comma_separated,
            default=[],
            metavar="a,b",
            help=f"the endpoints it may call, among {', '.join(SCOPES)}; all if left out",
        )
        parser.add_argument("--quiet", action="store_true", help="print the token and nothing else, on stderr either")

    def handle(
        self,
        *,
        org: str,
        service: str,
        name: str,
        expires: timedelta | None,
        scopes: list[str],
        quiet: bool,
        **_options: Any,
    ) -> None:
        """Refuses a disabled service and unknown scopes."""
        token, plaintext = token_issue(
            service=named_service(org, service),
            name=name,
            actor=self.actor,
            expires_at=None if expires is None else now() + expires,
            scopes=scopes,
        )
        self.stdout.write(plaintext)
        if not quiet:
            until = f"until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else "until it is revoked"
            what = ", ".join(token.scopes) or "all endpoints"
            self.say(f"Token {token.name} of service {service}, for {what}, {until}. It is shown this once.")
            self.say(f"Revoke it with: manage.py revoke_token {token.pk}")
