"""Every write that a company's directory causes: the rule, the transaction, the admin event.

They are called at the door (apps.core.tenancy): accounts are not an organization's, so each names its organization.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.bearer import bearer_digest, bearer_generate
from apps.core.rows import save_valid
from apps.orgs.actions import (
    former_member_note,
    member_end,
    member_join,
    member_set_role,
    user_create,
    user_update,
)
from apps.orgs.giving import check_may_give, giver_role
from apps.orgs.keys.actions import keys_revoke_of
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.people.sessions import sessions_end
from apps.orgs.scim.models import PREFIX, DirectoryGroup, DirectoryGroupMember, DirectoryToken, DirectoryUser
from apps.orgs.tenancy.chosen import tenancy

# Of several groups' roles a member gets the first of these.
_STRONGEST = (Role.ADMIN, Role.AUDITOR, Role.MEMBER, Role.BILLING)


@dataclass(frozen=True, slots=True)
class Account:
    """What the directory says of a user; None: nothing."""

    email: str | None = None
    name: str | None = None
    external_id: str | None = None
    active: bool | None = None


class TakenError(Exception):
    """Another of the organization's has this name or id already."""


# --- Tokens ---


@transaction.atomic
def directory_token_issue(*, organization: Organization, name: str, actor: Actor) -> tuple[DirectoryToken, str]:
    """Create a token for the organization's directory. Its plaintext exists only in this return value.

    It ends memberships, owners' too, so an owner issues it. Raises ValidationError to others.
    """
    if giver_role(actor, organization) not in {None, Role.OWNER}:
        raise ValidationError(_("This takes an owner of %(name)s.") % {"name": organization})
    plaintext = bearer_generate(PREFIX)
    token = DirectoryToken(
        organization=organization,
        name=name.strip(),
        digest=bearer_digest(plaintext),
        hint=plaintext[-4:],
        created_by_id=actor.user_id,
    )
    save_valid(token)
    event_record(
        "directory_token.issued", actor=actor, target=token, organization_id=organization.pk, after=facts(token)
    )
    return token, plaintext


@transaction.atomic
def directory_token_revoke(*, token: DirectoryToken, actor: Actor) -> bool:
    """Refuse it from now on, for good. False if it was revoked already."""
    locked = DirectoryToken.objects.select_for_update().get(pk=token.pk)
    if locked.revoked_at is not None:
        return False
    locked.revoked_at = now()
    locked.save(update_fields=["revoked_at"])
    event_record(
        "directory_token.revoked",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before={"revoked_at": None},
        after={"revoked_at": locked.revoked_at},
    )
    return True


# --- Users ---


@transaction.atomic
def directory_user_create(*, organization: Organization, account: Account, actor: Actor) -> DirectoryUser:
    """A user of the directory's: a new account, or the one with this e-mail. Raises TakenError, ValidationError."""
    directory_take_turns(organization)
    email = (account.email or "").strip().lower()
    user = User.objects.filter(email=email).first()
    if user is not None and (_belongs(user, organization) or _known(user, organization) is not None):
        raise TakenError(_("%(email)s belongs to this organization already.") % {"email": email})
    if user is not None:
        _check_may_bring(user)
    _check_external_id(organization, account.external_id, None)
    provisioned = user is None
    if user is None:
        user = user_create(email=email, password=None, name=(account.name or "")[:100], actor=actor)
    known = _known_from_now_on(user, organization)
    known.provisioned = known.provisioned or provisioned
    known.external_id = account.external_id or ""
    known.active = False
    save_valid(known)
    event_record(
        "directory_user.created", actor=actor, target=known, organization_id=organization.pk, after=facts(known)
    )
    if account.active is not False:
        _activate(known, actor)
    else:
        former_member_note(organization=organization, user=user)  # no sign-up domain lets them in meanwhile
    return known


@transaction.atomic
def directory_user_update(*, organization: Organization, user: User, account: Account, actor: Actor) -> DirectoryUser:
    """Change what the directory says of a user. Raises TakenError, ValidationError.

    Name and e-mail are the directory's to change only of accounts that it has made, and that belong nowhere else.
    """
    directory_take_turns(organization)
    known = _known(user, organization) or _known_from_now_on(user, organization)
    before = facts(known)
    if account.external_id is not None:
        _check_external_id(organization, account.external_id, user)
        known.external_id = account.external_id
    save_valid(known)
    event_of_change("directory_user.updated", actor=actor, target=known, organization_id=organization.pk, before=before)
    _rename(known, account, actor)
    # Since it said so last, somebody here may have removed the person, or let them in again.
    belongs = _belongs(user, organization)
    if account.active is True and not (known.active and belongs):
        _activate(known, actor)
    elif account.active is False and (known.active or belongs):
        _deactivate(known, actor)
    return known


@transaction.atomic
def directory_user_delete(*, organization: Organization, user: User, actor: Actor) -> None:
    """Deactivate it, and forget what the directory said. The account and its past stay. Raises ValidationError.

    What stays is whose account it is: should the directory create the user again, it may switch the account on again.
    """
    known = directory_user_update(organization=organization, user=user, account=Account(active=False), actor=actor)
    DirectoryGroupMember.objects.filter(organization=organization, user=user).delete()
    event_record(
        "directory_user.deleted", actor=actor, target=known, organization_id=organization.pk, before=facts(known)
    )
    known.external_id, known.forgotten = "", True
    known.save(update_fields=["external_id", "forgotten", "updated_at"])


# --- Groups ---


@transaction.atomic
def directory_group_create(
    *, organization: Organization, display_name: str, external_id: str, members: Iterable[UUID], actor: Actor
) -> DirectoryGroup:
    """A group of the directory's. One that is called as a role gives it. Raises TakenError, ValidationError."""
    directory_take_turns(organization)
    _check_group_name(organization, display_name, None)
    named = display_name.strip().lower()
    group = DirectoryGroup(
        organization=organization,
        display_name=display_name,
        external_id=external_id,
        role=named if named in Role.values and named != Role.OWNER else "",
    )
    save_valid(group)
    event_record(
        "directory_group.created", actor=actor, target=group, organization_id=organization.pk, after=facts(group)
    )
    _set_members(group, set(members), actor)
    return group


@transaction.atomic
def directory_group_update(
    *,
    group: DirectoryGroup,
    actor: Actor,
    display_name: str | None = None,
    external_id: str | None = None,
    role: str | None = None,
    members: set[UUID] | None = None,
) -> DirectoryGroup:
    """Change a group's name, its role or who is in it; None leaves each as it is. Raises TakenError, ValidationError."""
    directory_take_turns(group.organization)
    locked = DirectoryGroup.objects.select_for_update(of=("self",)).select_related("organization").get(pk=group.pk)
    before = facts(locked)
    if display_name is not None:
        _check_group_name(locked.organization, display_name, locked)
        locked.display_name = display_name
    locked.external_id = locked.external_id if external_id is None else external_id
    locked.role = locked.role if role is None else role
    save_valid(locked)
    event_of_change(
        "directory_group.updated",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
    )
    if members is not None:
        _set_members(locked, members, actor)
    elif locked.role != before["role"]:
        for user in locked.members.all():
            _follow_groups(user, locked.organization, actor)
    return locked


def directory_group_role(*, group: DirectoryGroup, role: str, actor: Actor) -> DirectoryGroup:
    """Say which role a group gives. Raises ValidationError, also to an actor who may not give it."""
    if role:
        check_may_give(actor, group.organization, role)
    return directory_group_update(group=group, role=role, actor=actor)


@transaction.atomic
def directory_group_delete(*, group: DirectoryGroup, actor: Actor) -> None:
    """Forget a group; the roles that it gave go with it."""
    directory_take_turns(group.organization)
    _set_members(group, set(), actor)
    event_record(
        "directory_group.deleted",
        actor=actor,
        target=group,
        organization_id=group.organization_id,
        before=facts(group),
    )
    group.delete()


# --- Shared ---


def directory_take_turns(organization: Organization) -> None:
    """Until the transaction's end. Directories send much at once; what they say of one organization is taken in in turn."""
    Organization.objects.select_for_update().get(pk=organization.pk)


def _known(user: User, organization: Organization) -> DirectoryUser | None:
    found = DirectoryUser.objects.filter(user=user, organization=organization, forgotten=False)
    return found.select_related("user").first()


def _known_from_now_on(user: User, organization: Organization) -> DirectoryUser:
    """What the directory says of a user of whom it has said nothing yet, or deleted what it had said."""
    found = DirectoryUser.objects.filter(user=user, organization=organization).select_related("user").first()
    known = found or DirectoryUser(organization=organization, user=user)
    known.forgotten = False
    return known


def _belongs(user: User, organization: Organization) -> bool:
    return Membership.objects.filter(user=user, organization=organization).exists()


def _is_the_directorys(known: DirectoryUser) -> bool:
    """Whether the account is its to rename and to switch off: made for it, nobody's besides, and not platform staff's."""
    elsewhere = Membership.objects.filter(user=known.user).exclude(organization=known.organization_id).exists()
    return known.provisioned and not elsewhere and not known.user.is_superuser


def _check_may_bring(user: User) -> None:
    """Where anybody may start an organization (TENANCY), nobody who belongs to another is drawn into it without being asked."""
    if tenancy().owners_run_the_installation:
        return
    if user.is_superuser or (_is_used(user) and Membership.objects.filter(user=user).exists()):
        raise TakenError(_("%(email)s has an account here that is not the directory's: invite them.") % {"email": user})


def _may_rename(user: User) -> bool:
    """Where anybody may start an organization (TENANCY), only before anybody has used the account.

    Else one who has a password there could have it carry somebody else's address, for whoever trusts that.
    """
    return tenancy().owners_run_the_installation or not _is_used(user)


def _is_used(user: User) -> bool:
    """Whether somebody has signed in to the account, or could with a password."""
    return user.last_login is not None or user.has_usable_password()


def _activate(known: DirectoryUser, actor: Actor) -> None:
    was_off, known.active, known.switched_off = known.switched_off, True, False
    known.save(update_fields=["active", "switched_off", "updated_at"])
    if was_off and not known.user.is_active and _is_the_directorys(known):
        known.user = user_update(user=known.user, is_active=True, actor=actor)
    member_join(organization=known.organization, user=known.user, role=Role.MEMBER, actor=actor)
    _follow_groups(known.user, known.organization, actor)


def _deactivate(known: DirectoryUser, actor: Actor) -> None:
    """All that lets the person in ends with the transaction: membership, keys, sessions, and the account if it is nobody else's."""
    membership = Membership.objects.filter(user=known.user, organization=known.organization_id).first()
    if membership is not None:
        member_end(membership=membership, actor=actor)
    keys_revoke_of(user=known.user, organization=known.organization, actor=actor)  # also of who was no member any more
    former_member_note(organization=known.organization, user=known.user)
    known.active = False
    known.role_given = ""
    known.switched_off = known.user.is_active and _is_the_directorys(known)
    known.save(update_fields=["active", "role_given", "switched_off", "updated_at"])
    if known.switched_off:
        known.user = user_update(user=known.user, is_active=False, actor=actor)
    sessions_end(user=known.user, actor=actor)


def _rename(known: DirectoryUser, account: Account, actor: Actor) -> None:
    email = None if account.email is None else account.email.strip().lower()
    changes = {}
    if email is not None and email != known.user.email:
        if not _is_the_directorys(known) or not _may_rename(known.user):
            raise ValidationError({"email": _("This account is not the directory's alone: its e-mail stays.")})
        if User.objects.filter(email=email).exists():
            raise TakenError(_("Another account has the e-mail %(email)s.") % {"email": email})
        changes["email"] = email
    if account.name is not None and account.name[:100] != known.user.name and _is_the_directorys(known):
        changes["name"] = account.name[:100]
    if changes:
        known.user = user_update(user=known.user, actor=actor, **changes)


def _follow_groups(user: User, organization: Organization, actor: Actor) -> None:
    """Give the role of the user's groups, and take back what they gave and no longer do. Owners stay owners."""
    membership = Membership.objects.filter(user=user, organization=organization).first()
    known = _known(user, organization)
    if membership is None or known is None or membership.role == Role.OWNER:
        return
    roles = set(
        DirectoryGroupMember.objects.filter(user=user, organization=organization)
        .exclude(group__role="")
        .values_list("group__role", flat=True)
    )
    wanted = next((role for role in _STRONGEST if role in roles), None)
    if wanted is None and known.role_given and membership.role == known.role_given:
        member_set_role(membership=membership, role=Role.MEMBER, actor=actor)
    elif wanted is not None:
        member_set_role(membership=membership, role=wanted, actor=actor)
    given = wanted or ""
    if given != known.role_given:
        known.role_given = given
        known.save(update_fields=["role_given", "updated_at"])


def _set_members(group: DirectoryGroup, wanted: set[UUID], actor: Actor) -> None:
    rows = DirectoryGroupMember.objects.filter(group=group)
    there = set(rows.values_list("user_id", flat=True))
    people = {user.pk: user for user in User.objects.filter(pk__in=wanted | there)}
    strangers = [key for key in wanted - there if key not in people or not _is_ours(people[key], group.organization)]
    if strangers:
        raise ValidationError({"members": _("No such user: %(id)s.") % {"id": strangers[0]}})
    rows.filter(user_id__in=there - wanted).delete()
    DirectoryGroupMember.objects.bulk_create(
        [DirectoryGroupMember(organization=group.organization, group=group, user_id=key) for key in wanted - there]
    )
    changed = (there - wanted) | (wanted - there)
    if changed:
        event_record(
            "directory_group.members_changed",
            actor=actor,
            target=group,
            organization_id=group.organization_id,
            before={"members": sorted(people[key].email for key in there - wanted)},
            after={"members": sorted(people[key].email for key in wanted - there)},
        )
        DirectoryGroup.objects.filter(pk=group.pk).update(updated_at=now())
    for key in changed:
        if _known(people[key], group.organization) is None:
            _known_from_now_on(people[key], group.organization).save()
        _follow_groups(people[key], group.organization, actor)


def _is_ours(user: User, organization: Organization) -> bool:
    return _belongs(user, organization) or _known(user, organization) is not None


def _check_external_id(organization: Organization, external_id: str | None, user: User | None) -> None:
    if not external_id:
        return
    others = DirectoryUser.objects.filter(organization=organization, external_id=external_id)
    if user is not None:
        others = others.exclude(user=user)
    if others.exists():
        raise TakenError(_("Another user has the externalId %(id)s.") % {"id": external_id})


def _check_group_name(organization: Organization, name: str, group: DirectoryGroup | None) -> None:
    others = DirectoryGroup.objects.filter(organization=organization, display_name=name)
    if group is not None:
        others = others.exclude(pk=group.pk)
    if others.exists():
        raise TakenError(_("Another group is called %(name)s.") % {"name": name})
