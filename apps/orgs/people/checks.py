"""What `manage.py check` says about signing in."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from apps.orgs.people.passwords import passwords_are_allowed
from apps.orgs.sso.configuration import is_configured


@register()
def somebody_can_sign_in(**_options: Any) -> list[CheckMessage]:
    """Passwords may be turned off only where there is single sign-on instead."""
    if passwords_are_allowed() or is_configured():
        return []
    return [
        Error(
            "EMAIL_AUTH_DISABLED is true and there is no single sign-on: nobody could sign in.",
            hint="Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or leave EMAIL_AUTH_DISABLED out.",
            id="people.E001",
        )
    ]
