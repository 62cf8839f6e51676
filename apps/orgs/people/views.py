"""Pages about signing in and about oneself, around allauth's."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

import redis
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils.translation import check_for_language, get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django.views.i18n import set_language

from apps.core.tenancy import at_the_door
from apps.core.web import limited, outside_page, request_address
from apps.orgs.actions import SignInRefusedError, sign_in_link_check, sign_in_link_use, user_update
from apps.orgs.models import Membership, User
from apps.orgs.people.adapter import person_actor
from apps.orgs.people.forms import ProfileForm
from apps.orgs.people.middleware import factors_of, has_second_factor
from apps.orgs.people.passwords import passwords_are_allowed
from apps.orgs.people.sessions import session_end, sessions_end, sessions_of
from apps.orgs.selectors import sign_in_link_for
from apps.orgs.signup.selectors import organization_offered

type View = Callable[..., HttpResponseBase]


# --- Around every page ---


def private(view: View) -> View:
    """A page that nobody keeps: not a browser's history, not a proxy. Rendered here, so that what fails is answered here."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
        except redis.RedisError:
            # Codes are good once, and which were used is in Valkey: without it a second factor proves nothing.
            return outside_page(request, "account/store_away.html", {}, status=503)
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


def by_password(view: View) -> View:
    """A page that there is only where people sign in with passwords."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not passwords_are_allowed():
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


def sign_in_page(view: View) -> View:
    """The page itself is always there; what it is sent counts only where passwords are allowed.

    On an empty installation nobody can sign in yet: the first person sets it up.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and not passwords_are_allowed():
            raise Http404
        if request.method != "POST" and not User.objects.exists():
            return HttpResponseRedirect(reverse("setup"))
        return view(request, *args, **kwargs)

    return wrapped


def account_asked(request: HttpRequest) -> str:
    """Whose password is being guessed, whoever guesses."""
    return request.POST.get("login", "").strip().lower()


def email_asked(request: HttpRequest) -> str:
    """Who is to get an e-mail, whoever asks for it."""
    return request.POST.get("email", "").strip().lower()


def person_asked(request: HttpRequest) -> str:
    """Whose code is being guessed: who is half signed in, or signed in."""
    pending = request.session.get("account_login") or {}
    return str(pending.get("user_pk") or request.user.pk or request_address(request) or "local")


def adding_a_factor(view: View) -> View:
    """A page where one is added. Who adds one has just used it: the session has given it, and is not asked for it again."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        before = {factor.pk for factor in factors_of(request.user)}
        response = view(request, *args, **kwargs)
        for factor in factors_of(request.user):
            if factor.pk not in before:
                record_authentication(request, request.user, "mfa", id=factor.pk, type=factor.type)
        return response

    return wrapped


# --- Signing in ---


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """From the console's own address for it, keeping where the person was going.

    Who is signed in and comes here may not open the console; to be led back there would be a circle.
    """
    if request.user.is_authenticated:
        words = {"offered": organization_offered(request.user)}
        return outside_page(request, "account/no_console.html", words, status=403)
    following = request.GET.get(REDIRECT_FIELD_NAME)
    query = f"?{urlencode({REDIRECT_FIELD_NAME: following})}" if following else ""
    return HttpResponseRedirect(reverse("account_login") + query)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limited("sign-in-link", "20/m")
def sign_in_by_link(request: HttpRequest, secret: str) -> HttpResponseBase:
    """Only POST uses the link up, so that a mail scanner or a chat's preview that opens it does no harm.

    It stands for the password; a second factor is asked for as ever.
    """
    try:
        if request.method == "POST":
            user = sign_in_link_use(secret=secret, address=request_address(request))
            return cast("HttpResponse", perform_login(request, user, email_verification="none"))
        link = sign_in_link_check(sign_in_link_for(secret))
    except SignInRefusedError as refusal:
        return outside_page(request, "console/sign_in_refused.html", {"sentence": refusal}, status=410)
    return outside_page(request, "console/sign_in.html", {"link": link})


# --- Oneself ---


def language(request: HttpRequest) -> HttpResponseBase:
    """Keep a choice of language: in this browser, and for e-mails to whoever is signed in."""
    response = set_language(request)
    chosen = request.POST.get("language", "")
    if isinstance(request.user, User) and chosen in dict(settings.LANGUAGES):
        with at_the_door():
            user_update(user=request.user, language=chosen, actor=person_actor(request, request.user))
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Name, language, and where one belongs."""
    user = cast("User", request.user)
    form = ProfileForm(
        request.POST if request.method == "POST" else None, initial={"name": user.name, "language": get_language()}
    )
    if request.method == "POST" and form.is_valid():
        language = form.cleaned_data.get("language")
        chosen = language if language and check_for_language(language) else ""
        changes = {"name": form.cleaned_data["name"], **({"language": chosen} if chosen else {})}
        user_update(user=user, actor=person_actor(request, user), **changes)
        messages.success(request, _("Saved."))
        response = HttpResponseRedirect(reverse("people_profile"))
        if chosen:
            response.set_cookie(
                settings.LANGUAGE_COOKIE_NAME,
                chosen,
                max_age=settings.LANGUAGE_COOKIE_AGE,
                secure=settings.HTTPS,
                httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
                samesite="Lax",  # as LANGUAGE_COOKIE_SAMESITE says
            )
        return response
    memberships = Membership.objects.filter(user=user).select_related("organization").order_by("organization__name")
    return render(
        request,
        "account/profile.html",
        {"form": form, "memberships": memberships, "has_second_factor": has_second_factor(user)},
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Where one is signed in; the button signs out everywhere else."""
    user = cast("User", request.user)
    if request.method == "POST":
        ended = sessions_end(user=user, actor=person_actor(request, user), except_key=request.session.session_key)
        messages.success(request, _("Signed out everywhere else: %(count)d.") % {"count": ended})
        return HttpResponseRedirect(reverse("usersessions_list"))
    return render(request, "usersessions/usersession_list.html", {"sessions": sessions_of(user)})


@login_required
@require_POST
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign one browser out. Somebody else's session is none that is known here."""
    user = cast("User", request.user)
    session = get_object_or_404(UserSession, pk=session_id, user=user)
    session_end(session=session, actor=person_actor(request, user))
    if session.session_key == request.session.session_key:
        request.session.flush()
        return HttpResponseRedirect(reverse("account_login"))
    messages.success(request, _("That browser is signed out."))
    return HttpResponseRedirect(reverse("usersessions_list"))
