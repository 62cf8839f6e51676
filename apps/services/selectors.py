"""Named reads of services and tokens."""

from uuid import UUID

from django.db.models import Q

from apps.orgs.models import Organization
from apps.services.models import Service, Token
from apps.services.tokens import token_digest


def service_by_name(organization: Organization, name: str) -> Service | None:
    """The organization's service of this name."""
    return Service.objects.filter(organization=organization, name=name).select_related("organization").first()


def token_by_id(token_id: UUID) -> Token | None:
    """The token with this id, with its service."""
    return Token.objects.select_related("service").filter(pk=token_id).first()


def token_by_plaintext(plaintext: str) -> Token | None:
    """The token that reads so in the clear, or did before its last rotation, with its service."""
    digest = token_digest(plaintext)
    found = Token.objects.select_related("service").filter(Q(digest=digest) | Q(previous_digest=digest))
    return found.first()


def tokens_by_hint(service: Service, hint: str) -> list[Token]:
    """The service's tokens that end so: mostly one, as the last characters are a checksum's."""
    return list(Token.objects.select_related("service").filter(service=service, hint=hint))
