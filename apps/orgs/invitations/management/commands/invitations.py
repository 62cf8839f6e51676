import json
from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.invitations.models import Invitation
from apps.orgs.invitations.selectors import invitations_of


class Command(OperatorCommand):
    """List an organization's invitations."""

    help = "List an organization's invitations that are neither accepted nor revoked, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--all", action="store_true", dest="all_of_them", help="those that are over as well")
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object on each line")

    def handle(self, *, org: str, all_of_them: bool, as_json: bool, **_options: Any) -> None:
        """Links are shown once, and not here."""
        for invitation in invitations_of(named_organization(org), all_of_them=all_of_them):
            facts = _facts(invitation)
            self.stdout.write(json.dumps(facts) if as_json else "  ".join(str(value) for value in facts.values()))


def _facts(invitation: Invitation) -> dict[str, str]:
    return {
        "id": str(invitation.pk),
        "email": invitation.email,
        "role": invitation.role,
        "state": invitation.state,
        "delivery": invitation.delivery,
        "expires_at": f"{invitation.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
