"""What every page about signing in shows, beside its own."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.orgs.people.mail import mail_is_configured
from apps.orgs.people.passwords import passwords_are_allowed
from apps.orgs.people.signup import may_sign_up


def people(request: HttpRequest) -> dict[str, Any]:
    """The console's look and what is on offer here; nothing for pages of other applications, which have their own."""
    match = request.resolver_match
    if match is None or not match.route.startswith(("sign-in/", "account/", "setup/")):
        return {}
    return {
        **admin.site.each_context(request),
        "passwords_are_allowed": passwords_are_allowed(),
        "mail_is_configured": mail_is_configured(),
        "sign_up_is_open": partial(may_sign_up, request),  # asked by the one page that offers it
    }
