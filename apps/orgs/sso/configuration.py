"""What the OIDC_ settings say, read in one place. Nothing here calls the provider."""

import json
from collections.abc import Mapping

from django.conf import settings
from django.urls import reverse

ANY_DOMAIN = "*"


def is_configured() -> bool:
    """Whether people may sign in through an identity provider."""
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID)


def provider_name() -> str:
    """What people call the identity provider."""
    return str(settings.OIDC_PROVIDER_NAME)


def callback_url() -> str:
    """Where the provider sends people back to; what its operator must register."""
    return f"{settings.PUBLIC_URL}{reverse('sso:callback')}"


def domain_is_allowed(email: str) -> bool:
    """Whether OIDC_ALLOWED_DOMAINS has the e-mail's domain, exactly: a subdomain is another one. None set: any."""
    allowed = {domain.strip().lower().removeprefix("@") for domain in settings.OIDC_ALLOWED_DOMAINS}
    return not allowed or ANY_DOMAIN in allowed or email.rpartition("@")[2].lower() in allowed


def group_roles(raw: str) -> Mapping[str, str]:
    """group=role pairs separated by commas, or a JSON object of them."""
    if raw.lstrip().startswith("{"):
        found = json.loads(raw)
        pairs = list(found.items())
    else:
        pairs = [(*pair.rpartition("=")[::2],) for pair in raw.split(",") if pair.strip()]
    roles = {str(group).strip(): role.strip() for group, role in pairs if isinstance(role, str)}
    if len(roles) != len(pairs) or not all(group and role for group, role in roles.items()):
        raise ValueError
    return roles
