"""What holds for every request of somebody who is signed in."""

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.contrib.auth import BACKEND_SESSION_KEY
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.tenancy import at_the_door
from apps.orgs.models import Membership, User
from apps.orgs.people.passwords import PASSWORD_BACKEND
from apps.orgs.people.sessions import session_seen

# Where a second factor is set up, and the way out.
_FREE = ("/account/", "/sign-in/", "/static/", "/admin/logout/", "/invitations/", "/sso/")

type Respond = Callable[[HttpRequest], HttpResponseBase]


class PeopleMiddleware:
    """Notes when a session was used, and leads people to set up the second factor that an organization of theirs requires."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer, or the way to the page that comes first."""
        user = request.user
        if not isinstance(user, User):
            return self._respond(request)
        with at_the_door():
            session_seen(request)
            lacking = not request.path.startswith(_FREE) and _lacks_second_factor(request, user)
        if not lacking:
            return self._respond(request)
        if request.path.startswith("/api/"):
            message = _("Your organization requires a second factor: set one up at /account/security/ first.")
            return JsonResponse({"error": {"code": "second_factor_required", "message": message}}, status=403)
        return HttpResponseRedirect(f"{reverse('mfa_index')}?required=1")


def second_factor_is_required(user: User) -> bool:
    """Whether some organization of the user's asks for one."""
    return Membership.objects.filter(user=user, organization__require_second_factor=True).exists()


def _lacks_second_factor(request: HttpRequest, user: User) -> bool:
    """Who signed in at an identity provider is asked there; everybody else here, however they got in."""
    if request.session.get(BACKEND_SESSION_KEY) != PASSWORD_BACKEND:
        return False
    return second_factor_is_required(user) and not has_second_factor(user)


def has_second_factor(user: User) -> bool:
    """An authenticator app or a passkey."""
    found: bool = Authenticator.objects.filter(
        user=user, type__in=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    ).exists()
    return found
