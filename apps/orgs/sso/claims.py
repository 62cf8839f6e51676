"""Who signs in, read from verified claims, and whether such a person may at all. No database here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.orgs.sso.configuration import domain_is_allowed
from apps.orgs.sso.refusals import (
    DOMAIN_REFUSED,
    EMAIL_MISSING,
    EMAIL_UNVERIFIED,
    SUBJECT_DIFFERS,
    SsoRefused,
)


@dataclass(frozen=True, slots=True)
class Person:
    """One who has proved to the provider who they are, with an e-mail that counts."""

    issuer: str
    subject: str
    email: str  # in lower case
    name: str
    groups: tuple[str, ...] | None  # those that give a role; None: the provider says nothing about groups

    def as_json(self) -> dict[str, Any]:
        """For the session."""
        return {
            "issuer": self.issuer,
            "subject": self.subject,
            "email": self.email,
            "name": self.name,
            "groups": self.groups,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """From the session."""
        groups = kept["groups"]
        return cls(**{**kept, "groups": None if groups is None else tuple(groups)})


def person_of(claims: Mapping[str, Any], *, issuer: str) -> Person:
    """Whom the claims describe. Raises SsoRefused if the e-mail is missing, not verified or of a domain not allowed."""
    email = claims.get("email")
    groups = claims.get(settings.OIDC_GROUPS_CLAIM)
    if isinstance(groups, str):
        groups = [groups]  # what some providers make of a list of one
    name, known = claims.get("name"), settings.OIDC_GROUP_ROLES
    person = Person(
        issuer=issuer,
        subject=claims["sub"],
        email=_lowered(email.strip()) if isinstance(email, str) else "",
        name=_plain(name) if isinstance(name, str) else "",
        groups=tuple(group for group in known if group in groups) if isinstance(groups, list) else None,
    )
    if not _is_email(person.email):
        raise SsoRefused(EMAIL_MISSING, person=replace(person, email=""))
    if not _is_verified(claims):
        raise SsoRefused(EMAIL_UNVERIFIED, person=person)
    if not domain_is_allowed(person.email):
        raise SsoRefused(DOMAIN_REFUSED, person=person)
    return person


def joined(token: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ID token's claims with those of the userinfo endpoint where the token is silent. Raises SsoRefused."""
    if more.get("sub") != token["sub"]:
        raise SsoRefused(SUBJECT_DIFFERS, "userinfo speaks of another person than the token")
    found = {**more, **token}
    # That an e-mail is verified was said of the e-mail beside it, and of no other.
    if "email" not in token and _is_yes(token.get("email_verified")):
        found["email_verified"] = more.get("email_verified")
    elif found.get("email") != more.get("email") and "email_verified" not in token:
        found.pop("email_verified", None)
    return found


def _lowered(said: str) -> str:
    """In lower case; empty for letters that only look like plain ones and turn into them there: that is another address."""
    lowered = said.lower()
    return "" if lowered.isascii() and not said.isascii() else lowered


def _is_email(said: str) -> bool:
    """Whether it can be kept and written to."""
    try:
        validate_email(said)
    except ValidationError:
        return False
    return len(said) <= 254 and said.isprintable()


def _plain(name: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:100]


def _is_verified(claims: Mapping[str, Any]) -> bool:
    said = claims.get("email_verified")
    if said is None:
        return bool(settings.OIDC_TRUST_EMAILS)
    return _is_yes(said)


def _is_yes(said: object) -> bool:
    return said is True or said == "true"  # some write it as a word
