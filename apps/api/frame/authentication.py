"""Who asks: somebody who is signed in, with CSRF protection, or a management key. A gateway's token opens nothing here."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from apps.core.tenancy import at_the_door
from apps.core.web import request_address
from apps.orgs.access import Access, access_of
from apps.orgs.keys.models import PREFIX
from apps.orgs.keys.selectors import KeyRefusedError, key_access

_GATEWAY_PREFIX = "tg_live_"


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer tg_admin_…`. Where the header is there, nothing else is looked at."""

    def authenticate(self, request: Request) -> tuple[Any, Access] | None:
        """The key's access. Raises AuthenticationFailed; None without the header."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _space, plaintext = header.partition(" ")
        plaintext = plaintext.strip()
        if scheme.lower() != "bearer":
            raise exceptions.AuthenticationFailed(_("Send Authorization: Bearer tg_admin_…"))
        if plaintext.startswith(_GATEWAY_PREFIX):
            raise exceptions.AuthenticationFailed(
                _("This is a token, which opens the gateway alone: the API takes a management key (tg_admin_…).")
            )
        if not plaintext.startswith(PREFIX):
            raise exceptions.AuthenticationFailed(_("Send Authorization: Bearer tg_admin_…"))
        with at_the_door():
            try:
                access = key_access(plaintext, address=request_address(request._request))
            except KeyRefusedError as refusal:
                raise exceptions.AuthenticationFailed(str(refusal)) from refusal
        return None, access

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's signature
        """What a 401 asks for."""
        return 'Bearer realm="Tollgate"'


class PersonAuthentication(SessionAuthentication):
    """Somebody who is signed in to the console, with the CSRF token in a header for everything but reading."""

    def authenticate(self, request: Request) -> tuple[Any, Access] | None:
        """The access that the middleware found; None if nobody is signed in."""
        found = super().authenticate(request)
        access = access_of(request._request)
        return None if found is None or access is None else (found[0], access)
