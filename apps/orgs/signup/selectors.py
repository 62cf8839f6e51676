"""Named reads of who may join what by themselves. They are asked at the door (apps.core.tenancy): whoever asks is no member yet."""

from allauth.account.models import EmailAddress

from apps.orgs.domains import domain_of, plain_address
from apps.orgs.models import FormerMember, Membership, Organization, SignUpDomain, User
from apps.orgs.scim.models import DirectoryUser


def sign_up_is_open() -> bool:
    """Whether any organization lets people join by themselves."""
    return SignUpDomain.objects.filter(organization__suspended_at=None).exists()


def organization_open_to(email: str) -> Organization | None:
    """The organization that people with such an e-mail may join, unless it is suspended."""
    named = SignUpDomain.objects.select_related("organization")
    found = named.filter(domain=domain_of(email), organization__suspended_at=None).first()
    return found.organization if found is not None else None


def has_left(organization: Organization, email: str, user: User | None = None) -> bool:
    """Whether `user`, or somebody with this e-mail, was a member before, or was never to be one."""
    before = FormerMember.objects.filter(organization=organization)
    by_address = before.filter(address=plain_address(email)).exists()
    return by_address or (user is not None and before.filter(user=user).exists())


def organization_offered(user: User) -> Organization | None:
    """The organization that somebody with an account may join: by the e-mail of the account, which must be verified.

    Not with an account that another organization's directory has made: it renames the account and may know its ways in.
    """
    organization = organization_open_to(user.email)
    if organization is None or user.is_superuser or not user.is_active:
        return None
    if not has_verified(user) or Membership.objects.filter(organization=organization, user=user).exists():
        return None
    if DirectoryUser.objects.filter(user=user, provisioned=True).exclude(organization=organization).exists():
        return None
    return None if has_left(organization, user.email, user) else organization


def has_verified(user: User) -> bool:
    """Whether the e-mail of the account was shown to be its owner's, or somebody who may has vouched for it."""
    found: bool = EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()
    return found
