"""Named reads of identities."""

from collections.abc import Mapping

from django.conf import settings

from apps.orgs.models import Organization, User
from apps.orgs.selectors import organization_by_slug, user_by_email
from apps.orgs.sso.claims import Person
from apps.orgs.sso.models import Identity


def identity_of(person: Person) -> Identity | None:
    """The identity of one who has signed in before, locked, with its user."""
    return (
        Identity.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(issuer=person.issuer, subject=person.subject)
        .first()
    )


def connectable_user(person: Person) -> User | None:
    """The user who has the person's e-mail."""
    return user_by_email(person.email)


def home_organization() -> Organization | None:
    """The organization that people join by signing in: the one that OIDC_ORGANIZATION names, or the only one."""
    if settings.OIDC_ORGANIZATION:
        return organization_by_slug(settings.OIDC_ORGANIZATION)
    only = Organization.objects.order_by("created_at")[:2]
    return only[0] if len(only) == 1 else None


def roles_by_groups(person: Person) -> Mapping[Organization, str]:
    """What the person's groups give: in each organization the role of the first entry of OIDC_GROUP_ROLES that fits.

    An entry's role may name its organization: `acme/admin`.
    """
    found: dict[Organization, str] = {}
    for group, target in settings.OIDC_GROUP_ROLES.items():
        if group in (person.groups or ()):
            slug, _slash, role = target.rpartition("/")
            organization = organization_by_slug(slug) if slug else home_organization()
            if organization is not None:
                found.setdefault(organization, role)
    return found
