"""Accepting an invitation: signed in already, after signing in, or with an account that is made here.

The page is at the door (apps.orgs.middleware): whoever comes is not a member yet.
"""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core.console import show_in
from apps.core.rows import one_sentence
from apps.core.web import limited, outside_page, request_address
from apps.orgs.access import choose_organization
from apps.orgs.invitations.actions import (
    InvitationRefusedError,
    WrongPersonError,
    invitation_accept,
    invitation_accept_as_new,
    invitation_check,
)
from apps.orgs.invitations.forms import JoinForm
from apps.orgs.invitations.models import Invitation
from apps.orgs.invitations.selectors import invitation_for
from apps.orgs.models import Membership, User
from apps.orgs.people.passwords import PASSWORD_BACKEND


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limited("invitation", "20/m")
def invitation(request: HttpRequest, signed: str) -> HttpResponse:
    """Only POST uses the link up, so that a mail scanner or a chat's preview that opens it does no harm."""
    try:
        found = invitation_check(invitation_for(signed))
        if request.method != "POST":
            return _ask(request, found, None)
        if "sign_out" in request.POST:
            logout(request)
            return HttpResponseRedirect(request.path)
        if isinstance(request.user, User):
            return _joined(
                request, invitation_accept(signed=signed, user=request.user, address=request_address(request))
            )
        return _join(request, found, signed)
    except WrongPersonError as refusal:
        return outside_page(request, "invitations/wrong_person.html", {"sentence": refusal}, status=403)
    except InvitationRefusedError as refusal:
        return outside_page(request, "invitations/refused.html", {"sentence": refusal}, status=410)
    except ValidationError as refusal:
        return outside_page(request, "invitations/refused.html", {"sentence": one_sentence(refusal)}, status=409)


def _join(request: HttpRequest, found: Invitation, signed: str) -> HttpResponse:
    """Make the account, and sign it in."""
    form = JoinForm(request.POST)
    if not _accounts_have_passwords() or not form.is_valid():
        return _ask(request, found, form)
    try:
        user, membership = invitation_accept_as_new(
            signed=signed,
            name=form.cleaned_data["name"],
            password=form.cleaned_data["password"],
            address=request_address(request),
        )
    except ValidationError as refusal:
        refused = show_in(form, refusal)
        return _ask(request, found, form, refused=refused)
    login(request, user, backend=PASSWORD_BACKEND)
    return _joined(request, membership)


def _joined(request: HttpRequest, membership: Membership) -> HttpResponse:
    choose_organization(request, membership.organization)
    return HttpResponseRedirect(resolve_url(settings.LOGIN_REDIRECT_URL))


def _ask(request: HttpRequest, found: Invitation, form: JoinForm | None, *, refused: str = "") -> HttpResponse:
    """What it is about, and the way in that is open to whoever looks at it."""
    words = {
        "invitation": found,
        "role": found.get_role_display(),
        "sign_in_url": f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': request.path})}",
        "next": request.path,
        "refused": refused,
    }
    if isinstance(request.user, User):
        if request.user.email != found.email:
            sentence = _("This invitation is for %(email)s; you are signed in as %(user)s.") % {
                "email": found.email,
                "user": request.user.email,
            }
            return outside_page(request, "invitations/wrong_person.html", {"sentence": sentence})
        return outside_page(request, "invitations/accept.html", words)
    if User.objects.filter(email=found.email).exists():
        return outside_page(request, "invitations/sign_in.html", words)
    extra: dict[str, Any] = {"form": (form or JoinForm()) if _accounts_have_passwords() else None}
    return outside_page(request, "invitations/join.html", words | extra)


def _accounts_have_passwords() -> bool:
    return not getattr(settings, "EMAIL_AUTH_DISABLED", False)
