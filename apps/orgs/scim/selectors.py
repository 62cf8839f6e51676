"""Named reads of what the directory has told."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.timezone import now

from apps.core.bearer import bearer_digest, bearer_is_well_formed
from apps.orgs.models import Organization, User
from apps.orgs.scim.models import PREFIX, DirectoryGroup, DirectoryToken

_USED_EVERY = timedelta(minutes=1)


def directory_token(plaintext: str) -> DirectoryToken | None:
    """The live token with this plaintext; notes, to the minute, that it was used. Call it at the door."""
    if not bearer_is_well_formed(plaintext, PREFIX):
        return None
    found = DirectoryToken.objects.select_related("organization").filter(
        digest=bearer_digest(plaintext), revoked_at=None
    )
    token = found.first()
    if token is not None:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now() - _USED_EVERY)
        DirectoryToken.objects.filter(stale, pk=token.pk).update(last_used_at=now())
    return token


def directory_users(organization: Organization, asked: tuple[str, str] | None = None) -> "QuerySet[User]":
    """An organization's people as the directory sees them: its members, and those that it has deactivated."""
    people = User.objects.filter(
        Q(memberships__organization=organization)
        | Q(directory_users__organization=organization, directory_users__forgotten=False)
    )
    if asked is not None:
        attribute, value = asked
        match attribute:
            case "username" | "emails.value" | "emails":
                people = people.filter(email=value.strip().lower())
            case "externalid":
                people = people.filter(directory_users__organization=organization, directory_users__external_id=value)
            case "id":
                people = people.filter(pk=key) if (key := _uuid(value)) else people.none()
            case "active":
                active = Q(memberships__organization=organization, is_active=True)
                ids = User.objects.filter(active).values("pk")
                people = people.filter(pk__in=ids) if value == "true" else people.exclude(pk__in=ids)
            case _:
                raise LookupError(attribute)
    return people.distinct().order_by("created_at", "id")


def directory_user(organization: Organization, key: str) -> User | None:
    """One of them."""
    return directory_users(organization, ("id", key)).first()


def directory_groups(organization: Organization, asked: tuple[str, str] | None = None) -> "QuerySet[DirectoryGroup]":
    """An organization's groups."""
    groups = DirectoryGroup.objects.filter(organization=organization).select_related("organization")
    if asked is not None:
        attribute, value = asked
        match attribute:
            case "displayname":
                groups = groups.filter(display_name__iexact=value)
            case "externalid":
                groups = groups.filter(external_id=value)
            case "id":
                groups = groups.filter(pk=key) if (key := _uuid(value)) else groups.none()
            case "members" | "members.value":
                groups = groups.filter(members=key) if (key := _uuid(value)) else groups.none()
            case _:
                raise LookupError(attribute)
    return groups.order_by("created_at", "id")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def directory_group_of(organization: Organization, key: str) -> DirectoryGroup | None:
    """One of them."""
    return directory_groups(organization, ("id", key)).first()
