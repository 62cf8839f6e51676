"""To the identity provider, back from it, and connecting an account that was here before."""

import logging
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve, reverse
from django.utils.crypto import get_random_string
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.generic import View
from mozilla_django_oidc.utils import add_state_and_verifier_and_nonce_to_session, generate_code_challenge
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, get_next_url

from apps.core.console import request_actor
from apps.core.web import limited, outside_page, request_address
from apps.orgs.invitations.selectors import invitation_for
from apps.orgs.models import User
from apps.orgs.sso.actions import identity_connect, refusal_record
from apps.orgs.sso.claims import Person
from apps.orgs.sso.configuration import callback_url, is_configured, provider_name
from apps.orgs.sso.provider import Provider, provider
from apps.orgs.sso.refusals import (
    CANCELLED,
    PROVIDER_REFUSED,
    STATE_UNKNOWN,
    TOKEN_ISSUER,
    UNCONFIRMED,
    SsoRefused,
)

log = logging.getLogger(__name__)

LIFETIME = 900  # seconds from one's leaving for the provider to one's return, and for confirming a connection
STATES = "oidc_states"  # the library's place in the session for sign-ins under way
OTHER = "other"  # in the query: choose another account at the provider
PENDING = "sso_pending"  # ours for a connection that waits to be confirmed

_limit = limited("sso", "200/m", methods=["GET", "POST"])


class Page(View):
    """What the three have in common: they exist where single sign-on does, are never cached, and refuse with a page."""

    next_url: str | None = None  # where the person wants to go, if that is safe

    @method_decorator(never_cache)
    @method_decorator(_limit)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """As the view does, or the page that says why not."""
        if not is_configured():
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except SsoRefused as refusal:
            log.warning("single sign-on: %s", refusal)
            return refused(request, refusal, next_url=self.next_url)


class Start(Page):
    """Send the browser to the provider."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """With a state, a nonce and a PKCE challenge that this session remembers. Raises SsoRefused."""
        self.next_url = get_next_url(request, REDIRECT_FIELD_NAME)
        known = provider()
        state, nonce, verifier = get_random_string(32), get_random_string(32), get_random_string(64)
        params = {
            "response_type": "code",
            "scope": settings.OIDC_SCOPES,
            "client_id": settings.OIDC_CLIENT_ID,
            "redirect_uri": callback_url(),
            "state": state,
            "nonce": nonce,
            "code_challenge": generate_code_challenge(verifier, "S256"),
            "code_challenge_method": "S256",
        }
        if OTHER in request.GET:
            params["prompt"] = "select_account"  # else the provider sends the same account at once
        add_state_and_verifier_and_nonce_to_session(request, state, params, verifier)
        request.session[STATES][state]["next"] = self.next_url
        request.session.modified = True
        joint = "&" if "?" in known.authorization_endpoint else "?"
        return HttpResponseRedirect(f"{known.authorization_endpoint}{joint}{urlencode(params)}")


class Callback(Page, OIDCAuthenticationCallbackView):  # type: ignore[misc] # the library has no types
    """Where the provider sends the browser back to. Ends in a session or in a page that says why not."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """One answer to one sign-in that this browser began. Raises SsoRefused."""
        begun = self._begun(request)
        self.next_url = begun.get("next")
        try:
            if "error" in request.GET:
                raise self._error(request)
            _check_issuer(request, provider())
            # The library uses the state up, loads the session anew and calls SingleSignOn.authenticate.
            answer: HttpResponse = super().get(request)
        except SsoRefused as refusal:
            if refusal.reason is UNCONFIRMED and refusal.person is not None:
                refusal_record(refusal=refusal, address=request_address(request))
                return self._ask(request, refusal.person)
            refusal_record(refusal=refusal, address=request_address(request))
            raise
        except SuspiciousOperation as odd:
            raise SsoRefused(STATE_UNKNOWN) from odd
        else:
            return answer
        finally:
            self._forget(request)

    @property
    def success_url(self) -> str:
        """Where the person wanted to go, if that is here."""
        if self.next_url and url_has_allowed_host_and_scheme(
            self.next_url, {self.request.get_host()}, require_https=self.request.is_secure()
        ):
            return self.next_url if not _is_over(self.next_url) else resolve_url(settings.LOGIN_REDIRECT_URL)
        return resolve_url(settings.LOGIN_REDIRECT_URL)

    def login_success(self) -> HttpResponse:
        """Sign in, until the provider is to be asked again."""
        answer: HttpResponse = super().login_success()
        self.request.session.set_expiry(now() + timedelta(seconds=settings.OIDC_SESSION_AGE))
        return answer

    def login_failure(self) -> HttpResponse:
        """The library's word for a way back that does not fit."""
        raise SsoRefused(STATE_UNKNOWN)

    def _begun(self, request: HttpRequest) -> dict[str, Any]:
        states = request.session.get(STATES)
        begun = states.get(request.GET.get("state", "")) if isinstance(states, dict) else None
        if not isinstance(begun, dict) or time.time() - begun["added_on"] > LIFETIME:
            # No event: anybody can follow a made-up link, as often as they like.
            raise SsoRefused(STATE_UNKNOWN)
        return begun

    def _forget(self, request: HttpRequest) -> None:
        """A state works once, however it ended."""
        states = request.session.get(STATES)
        if isinstance(states, dict) and states.pop(request.GET.get("state", ""), None) is not None:
            request.session.save()  # now: the session of a request that ends in 5xx is not saved

    def _error(self, request: HttpRequest) -> SsoRefused:
        said = request.GET["error"][:60]
        return SsoRefused(CANCELLED if said == "access_denied" else PROVIDER_REFUSED, f"it answered {said!r}")

    def _ask(self, request: HttpRequest, person: Person) -> HttpResponse:
        request.session[PENDING] = {"person": person.as_json(), "at": time.time(), "next": self.success_url}
        return HttpResponseRedirect(reverse("sso:connect"))


class Connect(Page):
    """Connect an account that was here before with the one at the provider, if who owns both wants it."""

    http_method_names = ["get", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask, or say how to get to where one can be asked. Raises SsoRefused."""
        person = self._person(request)
        return outside_page(
            request,
            "sso/connect.html",
            {
                "provider": provider_name(),
                "email": person.email,
                "theirs": _is_theirs(request.user, person),
                "sign_in_url": f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': reverse('sso:connect')})}",
            },
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """Connect. Raises SsoRefused."""
        person = self._person(request)
        user = request.user
        if not isinstance(user, User) or not _is_theirs(user, person):
            return self.get(request)
        identity_connect(user=user, person=person, actor=request_actor(request))
        onwards = request.session.pop(PENDING)["next"]
        return HttpResponseRedirect(onwards)

    def _person(self, request: HttpRequest) -> Person:
        pending = request.session.get(PENDING)
        if not isinstance(pending, dict) or time.time() - pending["at"] > LIFETIME:
            raise SsoRefused(STATE_UNKNOWN)
        return Person.from_json(pending["person"])


def refused(request: HttpRequest, refusal: SsoRefused, *, next_url: str | None = None) -> HttpResponse:
    """The page of a refusal. Whoever tries again goes on to where they wanted to, as somebody else if that may help."""
    reason = refusal.reason
    again = {**({REDIRECT_FIELD_NAME: next_url} if next_url else {}), **({OTHER: "1"} if refusal.person else {})}
    words = {"provider": provider_name(), "email": refusal.person.email if refusal.person else ""}
    return outside_page(
        request,
        "sso/refused.html",
        {
            "heading": str(reason.title) % words,
            "remedy": str(reason.remedy) % words,
            "code": reason.code,
            "again": reverse("sso:start") + (f"?{urlencode(again)}" if again else ""),
            "other": OTHER in again,
            "sign_in_url": resolve_url(settings.LOGIN_URL),
        },
        status=reason.status,
    )


def _is_theirs(user: User | AnonymousUser, person: Person) -> bool:
    return isinstance(user, User) and user.is_active and user.email == person.email


def _is_over(next_url: str) -> bool:
    """Whether that is an invitation which this sign-in has just accepted."""
    try:
        found = resolve(urlsplit(next_url).path)
    except Resolver404:
        return False
    invitation = invitation_for(found.kwargs["signed"]) if "signed" in found.kwargs else None
    return invitation is not None and invitation.accepted_at is not None


def _check_issuer(request: HttpRequest, known: Provider) -> None:
    """That the answer is this provider's (RFC 9207). Raises SsoRefused."""
    said = request.GET.get("iss")
    if (said is None and known.names_itself) or (said is not None and said != known.issuer):
        raise SsoRefused(TOKEN_ISSUER, "the browser brought another provider's answer")
