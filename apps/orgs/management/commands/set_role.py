from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.orgs.actions import member_add, member_update, owner_appoint
from apps.orgs.arguments import named_organization, named_user
from apps.orgs.models import Role
from apps.orgs.selectors import membership_of


class Command(OperatorCommand):
    """Give a user a role in an organization."""

    help = (
        "Give a user a role in an organization, as a new member or instead of the role until now: for an organization "
        "whose owner is gone. Safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--email", required=True, help="the user")
        parser.add_argument("--role", required=True, choices=Role.values, help="what the user may do there")

    def handle(self, *, org: str, email: str, role: str, **_options: Any) -> None:
        """An organization keeps its last owner."""
        organization, user = named_organization(org), named_user(email)
        known = membership_of(user, organization)
        if known is not None and known.role == role:
            self.stdout.write(f"Nothing to do: {user} is {role} of {organization}.")
            return
        if role == Role.OWNER:
            owner_appoint(organization=organization, user=user, actor=self.actor)
        elif known is None:
            member_add(organization=organization, user=user, role=role, actor=self.actor)
        else:
            member_update(membership=known, role=role, actor=self.actor)
        before = f", and was {known.role}" if known is not None else ""
        self.stdout.write(f"{user} is {role} of {organization} now{before}.")
