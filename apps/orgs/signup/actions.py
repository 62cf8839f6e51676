"""Who may join an organization by themselves, and joining: the rule, the transaction, the admin event."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.audit.actions import event_record
from apps.core.actor import Actor
from apps.orgs.actions import member_join, user_create
from apps.orgs.domains import check_domain, domain_of, plain_domain
from apps.orgs.giving import giver_role
from apps.orgs.models import Membership, Organization, SignUpDomain, User
from apps.orgs.signup.selectors import has_left, has_verified, organization_offered, organization_open_to

_MOST = 20


class SignUpRefusedError(Exception):
    """Nobody joins. The message is a sentence for whoever wanted to."""


# --- The rule ---


@transaction.atomic
def sign_up_domains_set(
    *, organization: Organization, domains: Iterable[str], actor: Actor, vouched: bool = False
) -> bool:
    """Let people join by themselves whose e-mail is of one of `domains`: these, and no others. False if that is so already.

    A domain is one organization's. An organization's own people name a domain where they have a verified e-mail themselves; any
    other those who run the installation do, or vouch for (`vouched`). Raises ValidationError.
    """
    wanted = sorted({plain_domain(each) for each in domains} - {""})
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    before = sorted(SignUpDomain.objects.filter(organization=locked).values_list("domain", flat=True))
    if wanted == before:
        return False
    if len(wanted) > _MOST:
        raise _at_domains(_("An organization names %(most)d domains at most.") % {"most": _MOST})
    added = [domain for domain in wanted if domain not in before]
    _check_names(added)
    if not vouched and giver_role(actor, locked) is not None:
        _check_theirs(added, actor)
    SignUpDomain.objects.filter(organization=locked).exclude(domain__in=wanted).delete()
    for domain in added:
        _add(locked, domain)
    event_record(
        "organization.updated",
        actor=actor,
        target=locked,
        organization_id=locked.pk,
        before={"sign_up_domains": before},
        after={"sign_up_domains": wanted},
    )
    return True


def _check_names(domains: Iterable[str]) -> None:
    wrong: list[ValidationError] = []
    for domain in domains:
        try:
            check_domain(domain)
        except ValidationError as error:
            wrong.append(error)
    if wrong:
        raise ValidationError({"sign_up_domains": wrong})


def _check_theirs(domains: Iterable[str], actor: Actor) -> None:
    """Else anybody could have another company's people join them, and keep that company from naming its own domain."""
    user = User.objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    own = domain_of(user.email) if user is not None and has_verified(user) else ""
    for domain in domains:
        if domain != own:
            raise _at_domains(
                _(
                    "Only a person with a verified e-mail at %(domain)s, or whoever runs the installation, may name it: ask one."
                )
                % {"domain": domain}
            )


def _add(organization: Organization, domain: str) -> None:
    try:
        with transaction.atomic():
            SignUpDomain.objects.create(organization=organization, domain=domain)
    except IntegrityError as taken:  # by an organization that who asks may not see, so that no query finds it
        raise _at_domains(
            _("%(domain)s is another organization's here: ask those who run the installation.") % {"domain": domain}
        ) from taken


def _at_domains(message: str) -> ValidationError:
    return ValidationError({"sign_up_domains": message})


# --- Joining ---


@transaction.atomic
def sign_up(*, email: str, name: str, password: str | None, address: str | None) -> tuple[User, Membership | None]:
    """Make an account for whoever has just shown that `email` is theirs, a member of the organization that names its domain.

    None: a rule of somebody else's lets them in (apps.orgs.people.signup), and they belong nowhere yet. Raises SignUpRefusedError,
    also where there is an account already; ValidationError for what was entered.
    """
    organization = organization_open_to(email)
    check_sign_up(email, organization)
    user = user_create(
        email=email, name=name, password=password, actor=Actor(door="admin", label=email, address=address)
    )
    return user, None if organization is None else _joined(organization, user, address)


def check_sign_up(email: str, organization: Organization | None) -> None:
    """Raises SignUpRefusedError where there is an account already, or there was one that has left `organization`."""
    if User.objects.filter(email=email).exists():
        raise SignUpRefusedError(_("%(email)s has an account here already: sign in.") % {"email": email})
    if organization is not None and has_left(organization, email):
        raise SignUpRefusedError(_left(organization))


@transaction.atomic
def organization_join(*, organization: Organization, user: User, address: str | None) -> Membership:
    """Make `user`, who is signed in and wants it, a member of what they are offered. Raises SignUpRefusedError, ValidationError."""
    if organization_offered(user) != organization:
        raise SignUpRefusedError(_closed(organization))
    return _joined(organization, user, address)


@transaction.atomic
def newcomer_join(*, user: User, address: str | None) -> Membership | None:
    """Make `user`, whose account was made this moment for an e-mail that somebody trusted vouches for, a member by its domain.

    None: nowhere. Raises SignUpRefusedError, ValidationError.
    """
    organization = organization_open_to(user.email)
    return None if organization is None else _joined(organization, user, address)


def _joined(organization: Organization, user: User, address: str | None) -> Membership:
    """With the rule as it is now: who changes it, or removes a member, holds the organization's row meanwhile."""
    locked = Organization.objects.select_for_update().get(pk=organization.pk)
    domain = SignUpDomain.objects.filter(organization=locked, domain=domain_of(user.email)).first()
    if domain is None or locked.suspended_at is not None:
        raise SignUpRefusedError(_closed(locked))
    if has_left(locked, user.email, user):
        raise SignUpRefusedError(_left(locked))
    actor = Actor(door="admin", label=user.email, user_id=user.pk, address=address)
    membership = member_join(organization=locked, user=user, role=locked.sign_up_role, actor=actor)
    event_record(
        "sign_up_domain.used",
        actor=actor,
        target=domain,
        organization_id=locked.pk,
        after={"user": user.email, "role": membership.role},
    )
    return membership


def _closed(organization: Organization) -> str:
    return _("Nobody joins %(organization)s this way any more: ask for an invitation.") % {"organization": organization}


def _left(organization: Organization) -> str:
    return _("You have left %(organization)s, or were removed: only an invitation brings you back.") % {
        "organization": organization
    }
