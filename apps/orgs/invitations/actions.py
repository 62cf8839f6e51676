"""Every write to invitations: the rule, the transaction, the admin event."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_record, facts
from apps.core.actor import Actor
from apps.core.bearer import bearer_digest
from apps.core.rows import save_valid
from apps.orgs.actions import member_join, user_create
from apps.orgs.giving import check_may_give
from apps.orgs.invitations.models import Delivery, Invitation
from apps.orgs.models import Membership, Organization, User

INVITATION_LIFETIME = timedelta(days=7)
_LONGEST = timedelta(days=90)
_SALT = "tollgate.invitation"


class InvitationRefusedError(Exception):
    """An invitation that lets nobody in. The message is a sentence for the person who followed it."""


class WrongPersonError(InvitationRefusedError):
    """It is for somebody else than who is signed in."""


# --- Inviting ---


@transaction.atomic
def invitation_create(
    *,
    organization: Organization,
    email: str,
    role: str,
    actor: Actor,
    delivery: str = Delivery.EMAIL,
    lifetime: timedelta = INVITATION_LIFETIME,
) -> tuple[Invitation, str]:
    """Invite `email` to join as `role`. Returns the invitation and the path of its link, which exists nowhere else.

    Delivering it is the caller's (`invitations.delivering`). Raises ValidationError, also to who may not give that role.
    """
    check_may_give(actor, organization, role)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        organization=organization,
        email=email.strip().lower(),
        role=role,
        delivery=delivery,
        digest=bearer_digest(secret),
        expires_at=_expiry(lifetime),
        invited_by_id=actor.user_id or actor.issuer_id,
    )
    _check_not_member(invitation)
    save_valid(invitation)
    event_record(
        "invitation.created",
        actor=actor,
        target=invitation,
        organization_id=organization.pk,
        after=facts(invitation),
    )
    return invitation, _path(secret)


@transaction.atomic
def invitation_renew(
    *, invitation: Invitation, actor: Actor, delivery: str = "", lifetime: timedelta = INVITATION_LIFETIME
) -> tuple[Invitation, str]:
    """Send it again, also after it expired: a new link, and the one before is refused. Raises ValidationError.

    From then on it is the invitation of whoever sends it again. Empty `delivery`: as before.
    """
    locked = _locked(invitation)
    if locked.accepted_at is not None or locked.revoked_at is not None:
        raise ValidationError(_("This invitation is over: invite the address anew."))
    check_may_give(actor, locked.organization, locked.role)
    before = facts(locked)
    secret = secrets.token_urlsafe(32)
    locked.digest = bearer_digest(secret)
    locked.expires_at = _expiry(lifetime)
    locked.delivery = delivery or locked.delivery
    locked.sent_at = None
    locked.invited_by_id = actor.user_id or actor.issuer_id
    _check_not_member(locked)
    save_valid(locked)
    event_record(
        "invitation.renewed",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
        after=facts(locked),
    )
    return locked, _path(secret)


@transaction.atomic
def invitation_revoke(*, invitation: Invitation, actor: Actor) -> bool:
    """Refuse its link from now on. False if it is revoked already. Raises ValidationError once it was accepted."""
    locked = _locked(invitation)
    if locked.revoked_at is not None:
        return False
    if locked.accepted_at is not None:
        raise ValidationError(_("It was accepted already: remove the member instead."))
    check_may_give(actor, locked.organization, locked.role)
    locked.revoked_at = now()
    save_valid(locked)
    event_record(
        "invitation.revoked",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before={"revoked_at": None},
        after={"revoked_at": locked.revoked_at},
    )
    return True


def invitation_sent(*, invitation: Invitation) -> None:
    """Note that the mail server took its e-mail: no decision of anybody's, so no event."""
    Invitation.objects.filter(pk=invitation.pk, digest=invitation.digest).update(sent_at=now())


# --- Accepting ---


@transaction.atomic
def invitation_accept(*, signed: str, user: User, address: str | None) -> Membership:
    """Use it up, and make `user`, who is signed in with the invited address, a member. Raises InvitationRefusedError.

    Raises ValidationError where the organization has no room for more, which leaves the invitation as it was.
    Of two who do at the same moment, one gets in. Who belongs there already stays what they are.
    """
    invitation = invitation_check(_locked_by_secret(signed))
    if user.email != invitation.email:
        raise WrongPersonError(
            _("This invitation is for %(email)s; you are signed in as %(user)s.")
            % {"email": invitation.email, "user": user.email}
        )
    return _let_in(invitation, user, address)


@transaction.atomic
def invitation_accept_as_new(
    *, signed: str, name: str, password: str | None, address: str | None
) -> tuple[User, Membership]:
    """Use it up, and make an account for the invited address, and a member of it.

    Raises InvitationRefusedError, also when that account exists (it signs in, then accepts); ValidationError for what was
    entered, which leaves the invitation as it was.
    """
    invitation = invitation_check(_locked_by_secret(signed))
    if User.objects.filter(email=invitation.email).exists():
        raise InvitationRefusedError(
            _("%(email)s has an account here: sign in, then accept the invitation.") % {"email": invitation.email}
        )
    actor = Actor(door="admin", label=invitation.email, address=address)
    user = user_create(
        email=invitation.email,
        password=password,
        name=name,
        actor=actor,
        email_verified=invitation.delivery == Delivery.EMAIL,
    )
    return user, _let_in(invitation, user, address)


@transaction.atomic
def invitations_accept_verified(*, user: User, address: str | None) -> list[Membership]:
    """Accept every open invitation of an address that somebody trusted has just vouched for (single sign-on)."""
    open_ones = Invitation.objects.select_for_update(of=("self",)).select_related("organization", "invited_by")
    joined = []
    for invitation in open_ones.filter(email=user.email, accepted_at=None, revoked_at=None, expires_at__gt=now()):
        try:
            joined.append(_let_in(invitation_check(invitation), user, address))
        except (InvitationRefusedError, ValidationError):
            continue  # who invited may not any more, or there is no room: as if there were no invitation
    return joined


def invitation_check(invitation: Invitation | None) -> Invitation:
    """The invitation itself. Raises InvitationRefusedError if it would let nobody in now."""
    if invitation is None:
        raise InvitationRefusedError(_("This invitation is not known here, or another was sent since."))
    if invitation.accepted_at is not None:
        raise InvitationRefusedError(_("This invitation was accepted already: each works once."))
    if invitation.revoked_at is not None:
        raise InvitationRefusedError(_("This invitation was revoked."))
    if invitation.expires_at <= now():
        raise InvitationRefusedError(_("This invitation has expired."))
    if not _inviter_still_may(invitation):
        raise InvitationRefusedError(_("Whoever invited you may no longer do so: ask for another invitation."))
    return invitation


# --- Secrets ---


def invitation_secret(signed: str) -> str | None:
    """The secret within a link, if this installation has signed it: what was mistyped or made up is told without a query."""
    try:
        return signing.Signer(salt=_SALT, sep=".").unsign(signed)
    except signing.BadSignature:
        return None


def _path(secret: str) -> str:
    return f"/invitations/{signing.Signer(salt=_SALT, sep='.').sign(secret)}/"


# --- Shared ---


def _let_in(invitation: Invitation, user: User, address: str | None) -> Membership:
    actor = Actor(door="admin", label=user.email, user_id=user.pk, address=address)
    membership = member_join(organization=invitation.organization, user=user, role=invitation.role, actor=actor)
    invitation.accepted_at = now()
    invitation.accepted_by = user
    save_valid(invitation)
    event_record(
        "invitation.accepted",
        actor=actor,
        target=invitation,
        organization_id=invitation.organization_id,
        before={"accepted_at": None, "accepted_by_id": None},
        after={"accepted_at": invitation.accepted_at, "accepted_by_id": user.pk},
    )
    return membership


def _locked(invitation: Invitation) -> Invitation:
    found = Invitation.objects.select_for_update(of=("self",)).select_related("organization")
    return found.get(pk=invitation.pk)


def _locked_by_secret(signed: str) -> Invitation | None:
    secret = invitation_secret(signed)
    if secret is None:
        return None
    found = Invitation.objects.select_for_update(of=("self",)).select_related("organization", "invited_by")
    return found.filter(digest=bearer_digest(secret)).first()


def _inviter_still_may(invitation: Invitation) -> bool:
    """Whoever was made less, switched off or removed since, lets nobody in by what they sent before."""
    inviter: UUID | None = invitation.invited_by_id
    if inviter is None:
        return True
    actor = Actor(door="admin", label="", user_id=inviter, address=None)
    try:
        check_may_give(actor, invitation.organization, invitation.role)
    except ValidationError:
        return False
    return True


def _check_not_member(invitation: Invitation) -> None:
    if Membership.objects.filter(organization=invitation.organization, user__email=invitation.email).exists():
        raise ValidationError(
            {"email": _("%(email)s is a member already: change the role there.") % {"email": invitation.email}}
        )


def _expiry(lifetime: timedelta) -> datetime:
    if not timedelta(0) < lifetime <= _LONGEST:
        raise ValidationError({"expires_at": _("An invitation holds for 90 days at most.")})
    return now() + lifetime
