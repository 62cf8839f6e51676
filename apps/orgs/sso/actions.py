"""Signing in through the identity provider, and which user that is: the rule, the transaction, the admin event."""

import logging
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.timezone import now

from apps.audit.actions import event_record, facts
from apps.core.actor import Actor
from apps.core.rows import one_sentence, save_valid
from apps.orgs.actions import member_join, member_update, user_create, user_update
from apps.orgs.invitations.actions import invitations_accept_verified
from apps.orgs.invitations.selectors import is_invited
from apps.orgs.models import Membership, Role, User
from apps.orgs.people.passwords import passwords_are_allowed
from apps.orgs.selectors import membership_of, user_by_email
from apps.orgs.signup.actions import SignUpRefusedError, newcomer_join
from apps.orgs.signup.selectors import has_left, organization_open_to
from apps.orgs.sso.claims import Person
from apps.orgs.sso.models import Identity
from apps.orgs.sso.refusals import (
    CONNECTED_ELSEWHERE,
    EMAIL_MISSING,
    NO_ORGANIZATION,
    NOT_ADMITTED,
    NOT_INVITED,
    SWITCHED_OFF,
    UNCONFIRMED,
    SsoRefused,
)
from apps.orgs.sso.selectors import home_organization, identity_of, roles_by_groups

log = logging.getLogger(__name__)

_FIRST_SIGN_IN = 0x55_50_0001  # an advisory lock: first sign-ins go one after the other


@transaction.atomic
def identity_sign_in(*, person: Person, address: str | None) -> User:
    """The user whom `person` is, made or connected if this is the first time; starting the session is the caller's.

    Raises SsoRefused, and then nothing has changed.
    """
    identity = identity_of(person) or _first_sign_in(person, address)
    user = identity.user
    if not user.is_active:
        raise SsoRefused(SWITCHED_OFF, person=person)
    _follow_email(identity, person, address)
    _follow_groups(identity, person, address)
    identity.last_used_at = now()
    identity.save(update_fields=["email", "roles_given", "last_used_at"])
    event_record(
        "sso.signed_in",
        actor=_as(user, address),
        target=user,
        organization_id=_belongs_to(user),
        after={"issuer": person.issuer, "subject": person.subject, "email": person.email},
    )
    return user


@transaction.atomic
def identity_connect(*, user: User, person: Person, actor: Actor) -> Identity:
    """Connect `user`, who is signed in and has agreed, with `person`. Raises SsoRefused."""
    _one_first_sign_in_at_a_time()
    known = identity_of(person)
    if known is not None and known.user_id == user.pk:
        return known
    if known is not None or user.email != person.email:
        raise SsoRefused(CONNECTED_ELSEWHERE, person=person)
    return _connected(user, person, actor)


@transaction.atomic
def identity_disconnect(*, identity: Identity, actor: Actor) -> None:
    """Forget an identity. Its user stays; whoever signs in with it next is somebody new."""
    locked = Identity.objects.select_for_update(of=("self",)).select_related("user").get(pk=identity.pk)
    event_record(
        "sso.disconnected",
        actor=actor,
        target=locked.user,
        organization_id=_belongs_to(locked.user),
        before=facts(locked),
    )
    locked.delete()


@transaction.atomic
def refusal_record(*, refusal: SsoRefused, address: str | None) -> None:
    """Leave an event of a sign-in that was begun here and refused."""
    person = refusal.person
    # Nobody is signed in, so nothing of ours is meant but the identity that was shown, which is not kept.
    shown = Identity(
        id=None,
        issuer=person.issuer if person else settings.OIDC_ISSUER,
        subject=person.subject if person else "",
        email=person.email if person else "",
    )
    event_record(
        "sso.refused",
        actor=Actor(door="admin", label=(person.email if person else "") or "(nobody)", address=address),
        target=shown,
        organization_id=None,
        after={"code": refusal.reason.code, "detail": refusal.detail, "issuer": shown.issuer, "subject": shown.subject},
    )


def must_confirm(user: User) -> bool:
    """Whether `user` has a way in, a password or a passkey, that a like e-mail at the provider must not be enough to replace.

    Where nobody signs in that way any more (EMAIL_AUTH_DISABLED), the provider's word is all there is.
    """
    if not passwords_are_allowed():
        return False
    return user.has_usable_password() or Authenticator.objects.filter(user=user).exists()


# --- The first time ---


def _first_sign_in(person: Person, address: str | None) -> Identity:
    _one_first_sign_in_at_a_time()
    if (identity := identity_of(person)) is not None:
        return identity
    user = user_by_email(person.email)
    if user is None:
        return _newcomer(person, address)
    if Identity.objects.filter(user=user, issuer=person.issuer).exists():
        raise SsoRefused(CONNECTED_ELSEWHERE, person=person)
    if not user.is_active:
        raise SsoRefused(SWITCHED_OFF, person=person)
    if must_confirm(user):
        raise SsoRefused(UNCONFIRMED, person=person)
    return _connected(user, person, _as(user, address))


def _newcomer(person: Person, address: str | None) -> Identity:
    """A user who belongs where invitations for the e-mail, its domain and OIDC_AUTO_JOIN say, and nowhere else."""
    home, roles = home_organization(), roles_by_groups(person)
    expected = is_invited(person.email) or organization_open_to(person.email) is not None
    if not expected and not settings.OIDC_AUTO_JOIN:
        raise SsoRefused(NOT_INVITED, person=person)
    if not expected and home is None and not roles:
        raise SsoRefused(NO_ORGANIZATION, "OIDC_ORGANIZATION names none", person=person)
    if home is not None and has_left(home, person.email):
        home = None  # a new account brings nobody back
    actor = _installation(address)
    try:
        user = user_create(email=person.email, name=person.name, password=None, actor=actor)
    except ValidationError as error:
        raise SsoRefused(EMAIL_MISSING, one_sentence(error), person=person) from error
    joined = bool(invitations_accept_verified(user=user, address=address))
    joined |= _join_by_domain(user, address)
    if settings.OIDC_AUTO_JOIN and home is not None and home not in roles:
        try:
            member_join(organization=home, user=user, role=Role.MEMBER, actor=actor)
        except ValidationError as error:
            raise SsoRefused(NOT_ADMITTED, one_sentence(error), person=person) from error
    elif not joined and not (settings.OIDC_AUTO_JOIN and roles):
        raise SsoRefused(
            NOT_INVITED, "whoever invited them no longer may, there is no room, or they left", person=person
        )
    return _connected(user, person, _as(user, address))


def _join_by_domain(user: User, address: str | None) -> bool:
    """By the sign-up rule of an organization, if one names the domain of the e-mail, which the provider vouches for."""
    try:
        return newcomer_join(user=user, address=address) is not None
    except (SignUpRefusedError, ValidationError):  # somebody who has left, or there is no room
        return False


def _connected(user: User, person: Person, actor: Actor) -> Identity:
    identity = Identity(user=user, issuer=person.issuer, subject=person.subject, email=person.email)
    try:
        save_valid(identity)
    except ValidationError as error:
        raise SsoRefused(CONNECTED_ELSEWHERE, one_sentence(error), person=person) from error
    event_record("sso.connected", actor=actor, target=user, organization_id=_belongs_to(user), after=facts(identity))
    return identity


def _one_first_sign_in_at_a_time() -> None:
    """Until the transaction's end. First sign-ins are rare, and two of one person must make one user."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_SIGN_IN])


# --- Every time ---


def _follow_email(identity: Identity, person: Person, address: str | None) -> None:
    """Who is renamed at the provider is renamed here: unless the e-mail is another user's, or a password goes with the old one."""
    identity.email = person.email
    user = identity.user
    if user.email == person.email or must_confirm(user):
        return
    try:
        identity.user = user_update(user=user, email=person.email, actor=_installation(address))
    except ValidationError as refusal:
        log.warning("single sign-on: %s keeps that e-mail: %s", user.email, one_sentence(refusal))


def _follow_groups(identity: Identity, person: Person, address: str | None) -> None:
    """Give the roles that the person's groups give, and take back those that they gave and no longer do."""
    if person.groups is None or not settings.OIDC_GROUP_ROLES:
        return  # silence is not "none": roles stay as they are
    actor = _installation(address)
    wanted = roles_by_groups(person)
    given = dict(identity.roles_given)
    for organization, role in wanted.items():
        membership = membership_of(identity.user, organization)
        if membership is None:
            if not settings.OIDC_AUTO_JOIN:
                continue
            try:
                membership = member_join(organization=organization, user=identity.user, role=role, actor=actor)
            except ValidationError as refusal:
                log.warning("single sign-on: %s does not join %s: %s", identity.user, organization, refusal)
                continue
        if _set_role(membership, role, actor):
            given[str(organization.pk)] = role
    for key in given.keys() - {str(organization.pk) for organization in wanted}:
        membership = Membership.objects.filter(user=identity.user, organization=UUID(key)).first()
        if membership is None or membership.role != given[key] or _set_role(membership, Role.MEMBER, actor):
            del given[key]
    identity.roles_given = given


def _set_role(membership: Membership, role: str, actor: Actor) -> bool:
    """False if that would leave an organization without an owner: then the role stays."""
    if membership.role == role:
        return True
    try:
        member_update(membership=membership, role=role, actor=actor)
    except ValidationError as refusal:
        log.warning("single sign-on: %s stays %s: %s", membership.user, membership.role, one_sentence(refusal))
        return False
    return True


# --- Who acts ---


def _as(user: User, address: str | None) -> Actor:
    return Actor(door="admin", label=str(user), user_id=user.pk, address=address)


def _installation(address: str | None) -> Actor:
    """Groups and first sign-ins change things by the installation's settings, not by the person's wish."""
    return Actor(door="system", label="(single sign-on)", address=address)


def _belongs_to(user: User) -> UUID | None:
    """The organization whose people may read of it: the user's only one."""
    found = list(Membership.objects.filter(user=user).values_list("organization_id", flat=True)[:2])
    return found[0] if len(found) == 1 else None
