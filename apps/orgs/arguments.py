"""What the arguments of commands name."""

from django.core.management.base import CommandError

from apps.orgs.models import Organization, User
from apps.orgs.selectors import organization_by_slug, user_by_email


def named_organization(slug: str) -> Organization:
    """The organization of `--org SLUG`. Raises CommandError with those there are, or how to make one."""
    organization = organization_by_slug(slug)
    if organization is not None:
        return organization
    slugs = list(Organization.objects.order_by("slug").values_list("slug", flat=True)[:10])
    hint = f"there are {', '.join(slugs)}" if slugs else "`manage.py setup` creates one"
    raise CommandError(f"There is no organization {slug!r}: {hint}.")


def named_user(email: str) -> User:
    """The user of `--email EMAIL`. Raises CommandError with how to make one."""
    user = user_by_email(email)
    if user is None:
        raise CommandError(
            f"There is no user {email}: `manage.py invite` invites somebody, `manage.py setup` creates an owner."
        )
    return user
