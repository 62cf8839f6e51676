"""Sending an invitation by e-mail. Its link is in the e-mail and nowhere else, so that accepting it proves the address."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.core.ids import uuid7
from apps.core.outgoing import email_send
from apps.orgs.invitations.actions import invitation_sent
from apps.orgs.invitations.models import Invitation


def invitation_mail(*, invitation: Invitation, path: str) -> None:
    """Hand the e-mail to the mail server, once the invitation is committed. Raises NotSentError: then nobody has the link."""
    organization = invitation.organization
    words = {
        "organization": organization,
        "role": invitation.get_role_display(),
        "email": invitation.email,
        "inviter": _inviter(invitation),
        "link": settings.PUBLIC_URL + path,
        "until": f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC",
    }
    email_send(
        to=invitation.email,
        subject=_("Invitation to %(organization)s on Tollgate") % words,
        body=_(
            "%(inviter)s invites you to join %(organization)s on Tollgate, as %(role)s.\n\n"
            "Accept until %(until)s, with this address (%(email)s):\n\n"
            "%(link)s\n\n"
            "The link works once and is for you alone. If you do not know what this is about, ignore it: nothing happens then.\n"
        )
        % words,
        message_id=uuid7(),
    )
    with transaction.atomic():
        invitation_sent(invitation=invitation)


def _inviter(invitation: Invitation) -> str:
    user = invitation.invited_by
    if user is None:
        return _("Whoever runs this installation")
    return f"{user.name} ({user.email})" if user.name else user.email
