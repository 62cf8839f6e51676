"""Settings of single sign-on that cannot work, or would let in whom nobody meant."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error

from apps.orgs.models import Role
from apps.orgs.sso.configuration import ANY_DOMAIN


def check_settings(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Every contradiction, each with what to do."""
    if not settings.OIDC_ISSUER:
        return []
    return [Error(said, hint=hint, id=f"sso.E{number:03}") for number, said, hint in _contradictions()]


def _contradictions() -> list[tuple[int, str, str]]:
    found = []
    issuer = urlsplit(settings.OIDC_ISSUER)
    if issuer.scheme not in {"https", "http"} or not issuer.hostname or issuer.query or issuer.fragment:
        found.append((1, "OIDC_ISSUER is no address.", "Write it as the provider does: https://host/path."))
    elif issuer.scheme == "http" and not settings.EGRESS_ALLOW:
        found.append((1, "OIDC_ISSUER is not https.", "Plain http is for ranges of EGRESS_ALLOW only."))
    if not settings.OIDC_CLIENT_ID:
        found.append((2, "OIDC_ISSUER is set and OIDC_CLIENT_ID is not.", "Register Tollgate at the provider."))
    if not {"openid", "email"} <= set(settings.OIDC_SCOPES.split()):
        found.append((3, "OIDC_SCOPES must have openid and email.", "Leave it unset for openid, email and profile."))
    unknown = sorted({target.rpartition("/")[2] for target in settings.OIDC_GROUP_ROLES.values()} - set(Role.values))
    if unknown:
        found.append(
            (4, f"OIDC_GROUP_ROLES: no such role: {', '.join(unknown)}.", f"There are {', '.join(Role.values)}.")
        )
    open_to_all = not settings.OIDC_ALLOWED_DOMAINS
    if settings.OIDC_AUTO_JOIN and open_to_all:
        hint = f"Name your domains, or {ANY_DOMAIN} if everybody whom the provider knows may join."
        found.append((5, "OIDC_AUTO_JOIN needs OIDC_ALLOWED_DOMAINS.", hint))
    if settings.OIDC_TRUST_EMAILS and (open_to_all or ANY_DOMAIN in settings.OIDC_ALLOWED_DOMAINS):
        hint = "Name the domains whose e-mails only the provider gives out."
        found.append((6, "OIDC_TRUST_EMAILS needs OIDC_ALLOWED_DOMAINS.", hint))
    return found
