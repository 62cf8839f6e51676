from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand, duration
from apps.core.outgoing import NotSentError
from apps.orgs.arguments import named_organization
from apps.orgs.invitations.actions import INVITATION_LIFETIME, invitation_create, invitation_renew
from apps.orgs.invitations.delivering import invitation_mail
from apps.orgs.invitations.models import Delivery, Invitation
from apps.orgs.models import Organization, Role


class Command(OperatorCommand):
    """Invite somebody into an organization."""

    help = (
        "Invite somebody into an organization and print the link, this once; or, with --mail, have it sent. "
        "The link works once, for that address alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--email", required=True, help="whom to invite")
        parser.add_argument("--role", choices=Role.values, default=Role.MEMBER, help="as what; member if left out")
        parser.add_argument(
            "--expires", type=duration, metavar="7d", default=INVITATION_LIFETIME, help="after 7d if left out"
        )
        parser.add_argument("--mail", action="store_true", help="send the link by e-mail instead of printing it")
        parser.add_argument("--again", action="store_true", help="renew an open invitation: the link before dies")

    def handle(
        self, *, org: str, email: str, role: str, expires: timedelta, mail: bool, again: bool, **_options: Any
    ) -> None:
        """The link alone goes to stdout."""
        organization = named_organization(org)
        delivery = Delivery.EMAIL if mail else Delivery.LINK
        if again:
            invitation, path = invitation_renew(
                invitation=_open_invitation(organization, email), actor=self.actor, delivery=delivery, lifetime=expires
            )
        else:
            invitation, path = invitation_create(
                organization=organization, email=email, role=role, actor=self.actor, delivery=delivery, lifetime=expires
            )
        until = f"until {invitation.expires_at:%Y-%m-%d %H:%M} UTC"
        if not mail:
            self.stdout.write(settings.PUBLIC_URL + path)
            self.say(
                f"{invitation.email} may join {organization} as {invitation.role}, {until}. It is shown this once."
            )
            return
        try:
            invitation_mail(invitation=invitation, path=path)
        except NotSentError as error:
            raise CommandError(
                f"{invitation.email} is invited, but the e-mail was not sent: {error}. Try again with --again."
            ) from error
        self.say(f"{invitation.email} may join {organization} as {invitation.role}, {until}: the e-mail is sent.")


def _open_invitation(organization: Organization, email: str) -> Invitation:
    found = Invitation.objects.filter(
        organization=organization, email=email.strip().lower(), accepted_at=None, revoked_at=None
    ).first()
    if found is None:
        raise CommandError(f"There is no invitation of {email} to {organization} that could be renewed.")
    return found
