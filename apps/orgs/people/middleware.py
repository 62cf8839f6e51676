"""What holds for every request of somebody who is signed in."""

from collections.abc import Callable

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from django.contrib.auth import BACKEND_SESSION_KEY, REDIRECT_FIELD_NAME
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.core.ids import request_id, uuid7
from apps.core.tenancy import at_the_door
from apps.orgs.models import Membership, User
from apps.orgs.people.passwords import PASSWORD_BACKEND
from apps.orgs.people.sessions import session_seen

# Where a second factor is given, and the way out; and where one is set up.
_WHERE_IT_IS_GIVEN = ("/account/confirm/", "/account/sign-out/", "/sign-in/", "/static/", "/admin/logout/")
_WHERE_IT_IS_SET_UP = ("/account/", "/sign-in/", "/static/", "/admin/logout/", "/invitations/", "/sso/")
_API = "/api/"

type Respond = Callable[[HttpRequest], HttpResponseBase]


class PeopleMiddleware:
    """Notes when a session was used, and leads people to the second factor that an organization of theirs requires."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer, or the way to the page that comes first."""
        user = request.user
        if not isinstance(user, User):
            return self._respond(request)
        with at_the_door():
            session_seen(request)
            step = _step_before(request, user)
        if step is None:
            return self._respond(request)
        if not request.path.startswith(_API):
            return HttpResponseRedirect(step)
        if "Authorization" in request.headers:
            # Where a key is sent, nothing else is looked at: this session stands for nobody, whatever view follows.
            request.user = AnonymousUser()
            request.access = None  # type: ignore[attr-defined]  # read by apps.orgs.access.access_of
            return self._respond(request)
        return _refused(step)


def _refused(step: str) -> JsonResponse:
    """In the form of the REST API's errors, which is above this package."""
    shown_id = request_id(uuid7())
    message = _("Your organization requires a second factor: open %(path)s in this browser first.")
    error = {
        "code": "second_factor_required",
        "message": message % {"path": step.partition("?")[0]},
        "fields": {},
        "request_id": shown_id,
    }
    headers = {"X-Request-Id": shown_id, "Cache-Control": "no-store"}
    return JsonResponse({"error": error}, status=403, headers=headers)


def _step_before(request: HttpRequest, user: User) -> str | None:
    """The page that comes before the one that is asked for; None: none does.

    Who signed in at an identity provider is asked there; everybody else here, however they got in.
    """
    if request.session.get(BACKEND_SESSION_KEY) != PASSWORD_BACKEND or not second_factor_is_required(user):
        return None
    factors = factors_of(user)
    if not factors:
        is_free = request.path.startswith(_WHERE_IT_IS_SET_UP)
        return None if is_free else f"{reverse('mfa_index')}?required=1"
    # A session that is older than the factor, or than the rule, has still to give it.
    if _has_given(request, user) or request.path.startswith(_WHERE_IT_IS_GIVEN):
        return None
    by_app = any(factor.type == Authenticator.Type.TOTP for factor in factors)
    page = reverse("mfa_reauthenticate" if by_app else "mfa_reauthenticate_webauthn")
    following = {} if request.path.startswith(_API) else {REDIRECT_FIELD_NAME: request.get_full_path()}
    return f"{page}?{urlencode({'required': '1', **following})}"


def _has_given(request: HttpRequest, user: User) -> bool:
    """Whether this session has given a second factor, as one signed in or later."""
    return any(record.get("method") == "mfa" for record in get_authentication_records(request, user))


def second_factor_is_required(user: User) -> bool:
    """Whether some organization of the user's asks for one."""
    return Membership.objects.filter(user=user, organization__require_second_factor=True).exists()


def has_second_factor(user: User) -> bool:
    """An authenticator app or a passkey."""
    return bool(factors_of(user))


def factors_of(user: User | AnonymousUser) -> list[Authenticator]:
    """A user's authenticator apps and passkeys: recovery codes are no factor of their own."""
    kinds = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    return list(Authenticator.objects.filter(user=user.pk, type__in=kinds))
