from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.invitations.actions import invitation_revoke
from apps.orgs.invitations.models import Invitation


class Command(OperatorCommand):
    """Revoke an invitation."""

    help = "Refuse an invitation's link from now on. `invitations` lists the ids."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("id", type=UUID, help="the invitation's id")

    def handle(self, *, id: UUID, **_options: Any) -> None:  # noqa: A002 - the argument's name, as it is shown
        """Refuses one that was accepted already."""
        invitation = Invitation.objects.filter(pk=id).first()
        if invitation is None:
            raise CommandError(f"There is no invitation {id}: `manage.py invitations --org SLUG` lists them.")
        if invitation_revoke(invitation=invitation, actor=self.actor):
            self.say(f"The invitation of {invitation.email} is revoked.")
        else:
            self.say(f"The invitation of {invitation.email} was revoked already.")
