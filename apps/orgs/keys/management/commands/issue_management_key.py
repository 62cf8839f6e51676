from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.commands import OperatorCommand, comma_separated, duration
from apps.orgs.arguments import named_organization
from apps.orgs.keys.actions import key_issue
from apps.orgs.roles import Permission


class Command(OperatorCommand):
    """Issue a management key."""

    help = "Issue a key to the REST API and print it, this once. The key alone goes to stdout."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="the organization that it manages")
        parser.add_argument("--installation", action="store_true", help="instead: it manages every organization")
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument(
            "--permissions",
            type=comma_separated,
            required=True,
            metavar="a,b",
            help=f"what it may do: all, or some of {', '.join(Permission)}",
        )
        parser.add_argument("--expires", type=duration, metavar="90d", help="refuse it after 30m, 12h, 90d, 4w …")
        parser.add_argument(
            "--networks",
            type=comma_separated,
            default=[],
            metavar="a,b",
            help="where it may be used from; all if left out",
        )
        parser.add_argument("--quiet", action="store_true", help="print the key and nothing else, on stderr either")

    def handle(
        self,
        *,
        org: str | None,
        installation: bool,
        name: str,
        permissions: list[str],
        expires: timedelta | None,
        networks: list[str],
        quiet: bool,
        **_options: Any,
    ) -> None:
        """Refuses unknown permissions and networks."""
        if (org is None) != installation:
            raise CommandError("Say for whom: --org SLUG, or --installation.", returncode=2)
        key, plaintext = key_issue(
            organization=None if org is None else named_organization(org),
            name=name,
            permissions=list(Permission) if permissions == ["all"] else permissions,
            most=frozenset(Permission),
            actor=self.actor,
            expires_at=None if expires is None else now() + expires,
            allowed_networks=networks,
        )
        self.stdout.write(plaintext)
        if not quiet:
            until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until it is revoked"
            whose = key.organization or "the installation"
            self.say(f"Management key {key.name} of {whose}, {until}. It is shown this once.")
            self.say(f"Revoke it with: manage.py revoke_management_key {key.pk}")
