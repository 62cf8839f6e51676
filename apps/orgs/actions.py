"""Every write to organizations and people: the rule, the transaction, the admin event."""

import secrets
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.bearer import bearer_digest
from apps.core.rows import save_valid
from apps.orgs.domains import plain_address
from apps.orgs.giving import check_may_give, check_may_open_content, giver_role
from apps.orgs.keys.actions import keys_revoke_of
from apps.orgs.models import FormerMember, Membership, Organization, Role, SignInLink, User
from apps.orgs.people.sessions import sessions_end
from apps.orgs.tenancy.chosen import check_room, tenancy
from apps.orgs.tenancy.signals import (
    member_joined,
    member_left,
    organization_created,
    organization_resumed,
    organization_suspended,
)

_ORGANIZATION_FIELDS = {
    "name",
    "slug",
    "timezone",
    "members_manage_services",
    "members_manage_tokens",
    "require_second_factor",
    "sign_up_role",
}
SIGN_IN_LINK_LIFETIME = timedelta(hours=1)


class SignInRefusedError(Exception):
    """A sign-in link that signs nobody in. The message is a sentence for the person who followed it."""


# --- Organizations ---


@transaction.atomic
def organization_create(*, name: str, slug: str, actor: Actor, timezone: str = "UTC") -> Organization:
    """Create an organization. `timezone` is an IANA name. Raises ValidationError, also to a person who may not (TENANCY)."""
    founder = None if actor.user_id is None else User.objects.get(pk=actor.user_id)
    if founder is not None and not tenancy().may_create_organization(founder):
        raise ValidationError(_("This installation has one organization: TENANCY=multi lets it have several."))
    entitlements = tenancy().entitlements_at_first(founder)
    organization = Organization(
        name=name, slug=slug, timezone=timezone, hosted_credentials=entitlements.hosted_credentials
    )
    save_valid(organization)
    event_record(
        "organization.created",
        actor=actor,
        target=organization,
        organization_id=organization.pk,
        after=facts(organization),
    )
    organization_created.send(Organization, organization=organization, actor=actor)
    return organization


@transaction.atomic
def organization_update(*, organization: Organization, actor: Actor, **changes: Any) -> Organization:
    """Change its name, slug, time zone or what its members may. Raises ValidationError; TypeError for anything else."""
    _only(changes, _ORGANIZATION_FIELDS)
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    before = facts(locked)
    for field, value in changes.items():
        setattr(locked, field, value)
    save_valid(locked)
    event_of_change("organization.updated", actor=actor, target=locked, organization_id=locked.pk, before=before)
    return locked


@transaction.atomic
def organization_entitle(*, organization: Organization, hosted_credentials: bool, actor: Actor) -> bool:
    """Let it use the installation's credentials, or not. False if that is so already.

    The installation and its staff decide that, never the organization itself: raises ValidationError to anybody else.
    """
    if giver_role(actor, organization) is not None:
        raise ValidationError({"hosted_credentials": _("Those who run the installation decide this: ask them.")})
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    if locked.hosted_credentials == hosted_credentials:
        return False
    before = facts(locked)
    locked.hosted_credentials = hosted_credentials
    save_valid(locked)
    event_of_change("organization.entitled", actor=actor, target=locked, organization_id=locked.pk, before=before)
    return True


@transaction.atomic
def organization_suspend(*, organization: Organization, actor: Actor) -> bool:
    """Refuse all its tokens from now on. False if it is suspended already."""
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    if locked.suspended_at is not None:
        return False
    before = facts(locked)
    locked.suspended_at = now()
    save_valid(locked)
    event_of_change("organization.suspended", actor=actor, target=locked, organization_id=locked.pk, before=before)
    organization_suspended.send(Organization, organization=locked, actor=actor)
    return True


@transaction.atomic
def organization_resume(*, organization: Organization, actor: Actor) -> bool:
    """Accept its tokens again. False if it is not suspended."""
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    if locked.suspended_at is None:
        return False
    before = facts(locked)
    locked.suspended_at = None
    save_valid(locked)
    event_of_change("organization.resumed", actor=actor, target=locked, organization_id=locked.pk, before=before)
    organization_resumed.send(Organization, organization=locked, actor=actor)
    return True


# --- People ---


@transaction.atomic
def owner_create(*, organization: Organization, email: str, password: str | None, actor: Actor, name: str = "") -> User:
    """Create a user who owns `organization`; without a password, one who signs in by link only. See `owner_appoint`.

    Raises ValidationError, also when a user with this e-mail exists.
    """
    is_staff = tenancy().owners_run_the_installation
    user = user_create(email=email, name=name, password=password, actor=actor, is_platform_staff=is_staff)
    owner_appoint(organization=organization, user=user, actor=actor)
    return user


@transaction.atomic
def owner_appoint(*, organization: Organization, user: User, actor: Actor) -> Membership:
    """Make `user` an owner, member or not, as the installation itself decides: by its setup, a command or a file.

    Where there is one organization alone (TENANCY), such an owner runs the installation: platform staff too. An owner whom
    another person makes (`member_add`, `member_update`) is not: people hand on what they have there, and no more.
    """
    if tenancy().owners_run_the_installation and not user.is_superuser:
        user_update(user=user, is_superuser=True, actor=actor)
    membership = member_join(organization=organization, user=user, role=Role.OWNER, actor=actor)
    return member_set_role(membership=membership, role=Role.OWNER, actor=actor)


@transaction.atomic
def user_create(
    *,
    email: str,
    password: str | None,
    actor: Actor,
    name: str = "",
    is_platform_staff: bool = False,
    email_verified: bool = True,
) -> User:
    """Create a user, who belongs nowhere yet and sees nothing: memberships say what the user may do. Raises ValidationError.

    `email_verified`: whoever creates the user vouches for the address; False: its owner has yet to show that it is theirs.
    """
    user = User(email=email.strip().lower(), name=name, is_staff=True, is_superuser=is_platform_staff)
    _set_password(user, password)
    save_valid(user)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=email_verified)
    event_record("user.created", actor=actor, target=user, organization_id=None, after=facts(user))
    return user


@transaction.atomic
def user_update(*, user: User, actor: Actor, **changes: Any) -> User:
    """Change `email`, `name`, `language`, `is_active` or `is_superuser`. Raises ValidationError; TypeError for anything else.

    Whoever is switched off, or gets another e-mail, can use none of the sign-in links issued before. Sessions and management keys
    of whoever is switched off end for good: to be switched on again brings none of them back.
    """
    _only(changes, {"email", "name", "language", "is_active", "is_superuser"})
    locked = User.objects.select_for_update().get(pk=user.pk)
    before = facts(locked)
    for field, value in changes.items():
        setattr(locked, field, value)
    if before["is_superuser"] != locked.is_superuser and actor.user_id == locked.pk:
        raise ValidationError({"is_superuser": _("Nobody changes what they may do themselves: ask another user to.")})
    if before["is_active"] and not locked.is_active:
        if actor.user_id == locked.pk:
            raise ValidationError({"is_active": _("You cannot switch yourself off: ask another user to.")})
        for membership in Membership.objects.filter(user=locked, role=Role.OWNER).select_related("organization"):
            _check_not_last_owner(membership)
    save_valid(locked)
    if before["email"] != locked.email:
        # Others who claim the address without having shown that it is theirs have lost.
        EmailAddress.objects.filter(Q(user=locked) | Q(email=locked.email)).delete()
        EmailAddress.objects.create(user=locked, email=locked.email, primary=True, verified=True)
    if before["email"] != locked.email or not locked.is_active:
        SignInLink.objects.filter(user=locked, used_at=None).delete()
    event_of_change("user.updated", actor=actor, target=locked, organization_id=None, before=before)
    if before["is_active"] and not locked.is_active:
        keys_revoke_of(user=locked, actor=actor)
        sessions_end(user=locked, actor=actor)
    return locked


@transaction.atomic
def user_password_set(*, user: User, password: str | None, actor: Actor) -> User:
    """Replace the password, which ends the user's sessions; None leaves sign-in links only. Raises ValidationError."""
    locked = User.objects.select_for_update().get(pk=user.pk)
    had_one = locked.has_usable_password()
    _set_password(locked, password)
    save_valid(locked)
    event_record(
        "user.password_set",
        actor=actor,
        target=locked,
        organization_id=None,
        before={"has_password": had_one},
        after={"has_password": password is not None, "secret_replaced": True},
    )
    return locked


@transaction.atomic
def member_add(*, organization: Organization, user: User, role: str, actor: Actor) -> Membership:
    """Make `user` a member of `organization`.

    Raises ValidationError if the user is one already, and to an actor who may not give that role.
    """
    check_may_give(actor, organization, role)
    return _membership_create(organization, user, role, actor)


@transaction.atomic
def member_join(*, organization: Organization, user: User, role: str, actor: Actor) -> Membership:
    """Make `user` a member, as somebody who may give that role has decided before: an invitation, or a rule of sign-in.

    Who is a member already stays what they are.
    """
    Organization.objects.select_for_update().get(pk=organization.pk)
    known = Membership.objects.filter(organization=organization, user=user).first()
    return known if known is not None else _membership_create(organization, user, role, actor)


@transaction.atomic
def member_update(
    *, membership: Membership, actor: Actor, role: str | None = None, reads_content: bool | None = None
) -> Membership:
    """Change the role, or whether the member sees what was asked and answered; None leaves it as it is.

    Raises ValidationError if the organization would be left without an owner, to an actor who may not give or take that role,
    and to everybody about themselves.
    """
    locked = _locked_membership(membership)
    before = facts(locked)
    if role is not None and role != locked.role:
        _check_not_oneself(locked, actor, "role")
        check_may_give(actor, locked.organization, locked.role, role)
        if locked.role == Role.OWNER:
            _check_not_last_owner(locked)
        locked.role = role
    if reads_content is not None and reads_content != locked.reads_content:
        _check_not_oneself(locked, actor, "reads_content")
        check_may_open_content(actor, locked.organization)
        locked.reads_content = reads_content
    save_valid(locked)
    event_of_change(
        "membership.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before
    )
    return locked


@transaction.atomic
def member_set_role(*, membership: Membership, role: str, actor: Actor) -> Membership:
    """Change the role, as decides who stands above its people: the installation, or the directory that they come from.

    Raises ValidationError if the organization would be left without an owner.
    """
    locked = _locked_membership(membership)
    before = facts(locked)
    if locked.role == Role.OWNER and role != Role.OWNER:
        _check_not_last_owner(locked)
    locked.role = role
    save_valid(locked)
    event_of_change(
        "membership.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before
    )
    return locked


@transaction.atomic
def member_remove(*, membership: Membership, actor: Actor) -> None:
    """End a membership, one's own too.

    Raises ValidationError if the organization would be left without an owner, and to an actor who may not take that role.
    """
    locked = _locked_membership(membership)
    if actor.user_id != locked.user_id:
        check_may_give(actor, locked.organization, locked.role)
    member_end(membership=locked, actor=actor)


@transaction.atomic
def member_end(*, membership: Membership, actor: Actor) -> None:
    """End a membership, as the directory decides that the organization's people come from (SCIM, single sign-on).

    The person's sessions show nothing of the organization from the next request on, and the management keys that the person issued
    there are revoked: to come back brings none of them back. No sign-up domain brings the person back.

    Raises ValidationError if the organization would be left without an owner.
    """
    locked = _locked_membership(membership)
    if locked.role == Role.OWNER:
        _check_not_last_owner(locked)
    event_record(
        "membership.removed",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=facts(locked),
    )
    keys_revoke_of(user=locked.user, organization=locked.organization, actor=actor)
    member_left.send(Membership, membership=locked, actor=actor)
    former_member_note(organization=locked.organization, user=locked.user)
    locked.delete()


@transaction.atomic
def former_member_note(*, organization: Organization, user: User) -> None:
    """Remember that no sign-up domain lets `user` in: who does not belong there any more, or is not to.

    The event is the caller's.
    """
    FormerMember.objects.get_or_create(organization=organization, user=user, address=plain_address(user.email))


# --- Sign-in links ---


@transaction.atomic
def sign_in_link_issue(*, user: User, actor: Actor, lifetime: timedelta = SIGN_IN_LINK_LIFETIME) -> str:
    """The path of a link that signs `user` in, once, within `lifetime`: `/sign-in/<secret>/`. Raises ValidationError.

    The secret (256 random bits) exists only in this return value; its digest is stored.
    """
    if not user.is_active:
        raise ValidationError(_("%(user)s is switched off: switch the user on first.") % {"user": user})
    secret = secrets.token_urlsafe(32)
    link = SignInLink.objects.create(user=user, digest=bearer_digest(secret), expires_at=now() + lifetime)
    event_record(
        "sign_in_link.issued",
        actor=actor,
        target=user,
        organization_id=None,
        after={"expires_at": link.expires_at},
    )
    return f"/sign-in/{secret}/"


@transaction.atomic
def sign_in_link_use(*, secret: str, address: str | None) -> User:
    """Use a link up and return whom it signs in; starting the session is the caller's. Raises SignInRefusedError.

    Of two who use it at the same moment, one gets in. `address` is the client's, for the admin event.
    """
    link = SignInLink.objects.select_for_update().filter(digest=bearer_digest(secret)).first()
    link = sign_in_link_check(link)
    link.used_at = now()
    link.save(update_fields=["used_at"])
    event_record(
        "sign_in_link.used",
        actor=Actor(door="admin", label=str(link.user), user_id=link.user.pk, address=address),
        target=link.user,
        organization_id=None,
        before={"used_at": None},
        after={"used_at": link.used_at},
    )
    return link.user


def sign_in_link_check(link: SignInLink | None) -> SignInLink:
    """The link itself. Raises SignInRefusedError if it would sign nobody in now."""
    if link is None:
        raise SignInRefusedError(_("This sign-in link is not known here."))
    if link.used_at is not None:
        raise SignInRefusedError(_("This sign-in link was used already: each works once."))
    if link.expires_at <= now():
        raise SignInRefusedError(_("This sign-in link has expired."))
    if not link.user.is_active:
        raise SignInRefusedError(_("The account behind this sign-in link is switched off."))
    return link


# --- Shared ---


def _set_password(user: User, password: str | None) -> None:
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise ValidationError({"password": error.messages}) from error
    user.set_password(password)


def _membership_create(organization: Organization, user: User, role: str, actor: Actor) -> Membership:
    check_room(organization, "members_most", Membership.objects.filter(organization=organization).count())
    membership = Membership(organization=organization, user=user, role=role)
    save_valid(membership)
    event_record(
        "membership.created",
        actor=actor,
        target=membership,
        organization_id=organization.pk,
        after=facts(membership),
    )
    member_joined.send(Membership, membership=membership, actor=actor)
    return membership


def _check_not_oneself(membership: Membership, actor: Actor, field: str) -> None:
    if actor.user_id == membership.user_id:
        raise ValidationError({field: _("Nobody changes what they may do themselves: ask another owner or admin to.")})


def _locked_membership(membership: Membership) -> Membership:
    """The membership as it is now, with its organization locked: who owns it changes one at a time."""
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    return (
        Membership.objects.select_for_update(of=("self",)).select_related("user", "organization").get(pk=membership.pk)
    )


def _check_not_last_owner(membership: Membership) -> None:
    Organization.objects.select_for_update().get(pk=membership.organization_id)
    others = Membership.objects.filter(
        organization=membership.organization_id, role=Role.OWNER, user__is_active=True
    ).exclude(user=membership.user_id)
    if not others.exists():
        raise ValidationError(
            _("%(organization)s would be left without an owner: make somebody else one first.")
            % {"organization": membership.organization}
        )


def _only(changes: dict[str, Any], allowed: set[str]) -> None:
    if unknown := changes.keys() - allowed:
        raise TypeError(f"cannot change {', '.join(sorted(unknown))}")
