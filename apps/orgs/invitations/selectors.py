"""Named reads of invitations."""

from django.db.models import QuerySet
from django.utils.timezone import now

from apps.core.bearer import bearer_digest
from apps.orgs.invitations.actions import invitation_secret
from apps.orgs.invitations.models import Invitation
from apps.orgs.models import Organization


def invitation_for(signed: str) -> Invitation | None:
    """The invitation that this link's last part belongs to, whatever became of it."""
    secret = invitation_secret(signed)
    if secret is None:
        return None
    found = Invitation.objects.select_related("organization", "invited_by")
    return found.filter(digest=bearer_digest(secret)).first()


def invitations_of(organization: Organization, *, all_of_them: bool = False) -> QuerySet[Invitation]:
    """An organization's invitations, newest first: those that are neither accepted nor revoked, or all."""
    found = Invitation.objects.filter(organization=organization).select_related("organization", "invited_by")
    return found.order_by("-id") if all_of_them else found.filter(accepted_at=None, revoked_at=None).order_by("-id")


def is_invited(email: str) -> bool:
    """Whether some organization's open invitation is for this address."""
    return Invitation.objects.filter(
        email=email.strip().lower(), accepted_at=None, revoked_at=None, expires_at__gt=now()
    ).exists()
