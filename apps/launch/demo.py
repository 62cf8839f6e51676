"""What a first start creates, so that the first call works: an organization, its owner, the sandbox, a service and a token."""

from urllib.parse import urlsplit

from django.db import transaction

from apps.core.actor import Actor
from apps.orgs.actions import organization_create, owner_create, sign_in_link_issue
from apps.orgs.models import Membership, Organization, Role, User
from apps.providers.actions import credential_add, credential_update
from apps.providers.models import Credential, Provider
from apps.services.actions import service_create, token_issue
from apps.services.models import Service

SLUG = "demo"
OWNER_EMAIL = "owner@demo.example"
SANDBOX_LABEL = "Sandbox"
SERVICE = "demo"

_actor = Actor.system(door="up")


@transaction.atomic
def demo_create(*, sandbox_url: str) -> Organization | None:
    """Create it all, on an installation without any organization; None where there is one already.

    The sandbox belongs to the installation, so that organizations made later can try it as well.
    """
    if Organization.objects.exists():
        return None
    organization = organization_create(name="Demo", slug=SLUG, actor=_actor)
    owner_create(organization=organization, email=OWNER_EMAIL, password=None, actor=_actor)
    if sandbox_credential() is None:
        credential_add(
            organization=None,
            provider=Provider.SANDBOX,
            label=SANDBOX_LABEL,
            base_url=sandbox_url,
            secret="",
            actor=_actor,
        )
    service_create(organization=organization, name=SERVICE, actor=_actor)
    return organization


def demo_token() -> str | None:
    """The demo service's first token, in the clear; None where it had one before, or where there is no such service.

    Issued last, when everything answers: a first start that was interrupted shows it the next time.
    """
    service = Service.objects.filter(organization__slug=SLUG, name=SERVICE, disabled_at=None).first()
    if service is None or service.tokens.exists():
        return None
    _, plaintext = token_issue(service=service, name="first", actor=_actor)
    return plaintext


def demo_sign_in_path() -> str | None:
    """A fresh one-time link for the demo organization's owner; None where that account is gone or switched off."""
    owner = (
        User.objects.filter(
            is_active=True,
            is_staff=True,
            memberships__in=Membership.objects.filter(organization__slug=SLUG, role=Role.OWNER),
            email=OWNER_EMAIL,
        )
    ).first()
    return sign_in_link_issue(user=owner, actor=_actor) if owner else None


def sandbox_credential() -> Credential | None:
    """The credential of the sandbox that `up` runs."""
    return Credential.objects.filter(organization=None, provider=Provider.SANDBOX, label=SANDBOX_LABEL).first()


def sandbox_port() -> int | None:
    """The loopback port that its credential names; None if there is no such credential or it leads elsewhere."""
    credential = sandbox_credential()
    if credential is None:
        return None
    parts = urlsplit(credential.base_url)
    return parts.port if parts.hostname == "127.0.0.1" else None


def sandbox_moved(port: int) -> None:
    """Have its credential name another port."""
    credential = sandbox_credential()
    if credential is not None and sandbox_port() != port:
        credential_update(credential=credential, actor=_actor, base_url=sandbox_url(port), secret="")


def sandbox_url(port: int) -> str:
    """The base URL of a sandbox on this machine."""
    return f"http://127.0.0.1:{port}/v1"
