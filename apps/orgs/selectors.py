"""Named reads of organizations and people."""

from django.conf import settings
from django.db.models import QuerySet

from apps.core.bearer import bearer_digest
from apps.orgs.models import Membership, Organization, SignInLink, User


def organization_by_slug(slug: str) -> Organization | None:
    """The organization that commands and URLs call `slug`."""
    return Organization.objects.filter(slug=slug).first()


def user_by_email(email: str) -> User | None:
    """The user with this e-mail, whatever its case."""
    return User.objects.filter(email=email.strip().lower()).first()


def language_of(email: str) -> str:
    """In which language to write to this e-mail: the one that its user has chosen, or the installation's."""
    user = user_by_email(email)
    return user.language if user is not None and user.language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def users_of(organization: Organization | None) -> QuerySet[User]:
    """Members of `organization`, or everybody for None, by e-mail, with where they belong."""
    users = User.objects.all() if organization is None else User.objects.filter(memberships__organization=organization)
    return users.order_by("email").prefetch_related("memberships__organization")


def platform_staff() -> QuerySet[User]:
    """Those who run the installation, by e-mail, also if they are switched off."""
    return User.objects.filter(is_superuser=True).order_by("email")


def membership_of(user: User, organization: Organization) -> Membership | None:
    """How `user` belongs to `organization`, if at all."""
    return Membership.objects.filter(user=user, organization=organization).select_related("user").first()


def sign_in_link_for(secret: str) -> SignInLink | None:
    """The link with this secret, used or not, with its user."""
    return SignInLink.objects.filter(digest=bearer_digest(secret)).select_related("user").first()
