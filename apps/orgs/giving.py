"""Who may give, change and take which role: asked by every action that does, whichever door it is called through."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.roles import may_give

# Doors through which the installation itself acts, without a person.
_INSTALLATIONS_DOORS = ("command", "up", "system")


def check_may_give(actor: Actor, organization: Organization, *roles: str) -> None:
    """Raises ValidationError, at `role`, unless `actor` may make somebody each of `roles` there, or something else again."""
    own = giver_role(actor, organization)
    if own is None:
        return
    for role in roles:
        if role in Role and not may_give(own, Role(role)):
            raise ValidationError(
                {
                    "role": _("This takes an owner: as %(own)s you may not make anybody %(role)s, or change one.")
                    % {"own": own.label, "role": Role(role).label}
                }
            )


def check_may_open_content(actor: Actor, organization: Organization) -> None:
    """Raises ValidationError unless `actor` may let members see what was asked and answered: owners do."""
    own = giver_role(actor, organization)
    if own not in {None, Role.OWNER}:
        raise ValidationError({"reads_content": _("This takes an owner of %(name)s.") % {"name": organization}})


def giver_role(actor: Actor, organization: Organization) -> Role | None:
    """As what `actor` gives roles there; None: the installation, a key or staff of its, who may give any. Raises ValidationError.

    A key of the organization's gives what an admin may: owners are made by owners.
    """
    if actor.user_id is None:
        return None if actor.is_installation or actor.door in _INSTALLATIONS_DOORS else Role.ADMIN
    if User.objects.filter(pk=actor.user_id, is_active=True, is_superuser=True).exists():
        return None
    return member_giver_role(actor.user_id, organization)


def member_giver_role(user_id: UUID, organization: Organization) -> Role:
    """The role that a member gives others' as. Raises ValidationError if it is not one any more."""
    role = (
        Membership.objects.filter(user=user_id, organization=organization, user__is_active=True)
        .values_list("role", flat=True)
        .first()
    )
    if role is None:
        raise ValidationError(_("Only members of %(organization)s may do this.") % {"organization": organization})
    return Role(role)
