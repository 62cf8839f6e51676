"""Every request of the control plane begins as nobody, and goes on as whoever is signed in."""

from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase

from apps.core.tenancy import DOOR, NOBODY, Scope, at_the_door, scoped
from apps.orgs.access import person_access

# Where people are let in: their pages look for whoever is not known yet, and for a person's own account.
DOORS = ("/sign-in/", "/account/", "/setup/", "/sso/", "/invitations/", "/admin/login/", "/admin/logout/")
_READING = ("GET", "HEAD", "OPTIONS")

type Respond = Callable[[HttpRequest], HttpResponseBase]


class BoundaryMiddleware:
    """The outermost: no query before it is known who asks sees a tenant's row."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The whole request, as nobody."""
        with scoped(NOBODY):
            return self._respond(request)


class AccessMiddleware:
    """After authentication: sets `request.access`, and has the database show what it may see."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view, in the scope of whoever asks."""
        with at_the_door():
            access = person_access(request)  # reads the session and the user now, as both are looked up when first used
        request.access = access  # type: ignore[attr-defined]  # read by apps.orgs.access.access_of
        with scoped(self._scope(request)):
            # Doors write on GET too, and wait for identity providers meanwhile: no transaction waits with them.
            if request.method not in _READING or request.path.startswith(DOORS):
                return self._respond(request)
            # One transaction for all that a page reads: it is told its scope once, and what it shows is of one moment.
            with transaction.atomic():
                return self._respond(request)

    @staticmethod
    def _scope(request: HttpRequest) -> Scope:
        access = request.access  # type: ignore[attr-defined]  # set above
        if request.path.startswith(DOORS):
            return DOOR
        scope: Scope = access.scope if access is not None else NOBODY
        return scope
