"""What the sign-in page needs to offer single sign-on."""

from typing import Any

from django.http import HttpRequest

from apps.orgs.sso.configuration import is_configured, provider_name


def single_sign_on(_request: HttpRequest) -> dict[str, Any]:
    """`sso_provider`: what to call the identity provider; empty where there is none."""
    return {"sso_provider": provider_name() if is_configured() else ""}
