"""Making an account without an invitation, and joining an organization that is offered to one's e-mail."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.console import show_in
from apps.core.rows import one_sentence
from apps.core.tenancy import at_the_door
from apps.core.web import outside_page, request_address
from apps.orgs.access import choose_organization
from apps.orgs.domains import plain_address
from apps.orgs.models import Organization, User
from apps.orgs.people.passwords import PASSWORD_BACKEND
from apps.orgs.people.signup import may_sign_up
from apps.orgs.signup.actions import SignUpRefusedError, check_sign_up, organization_join, sign_up
from apps.orgs.signup.forms import FinishForm, SignUpForm
from apps.orgs.signup.links import sign_up_email, sign_up_mail
from apps.orgs.signup.selectors import organization_offered, organization_open_to


def address_asked(request: HttpRequest) -> str:
    """To whom an e-mail is asked for, by however many spellings of one mailbox."""
    return plain_address(request.POST.get("email", ""))


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for the e-mail, and send a link there. Nothing is made yet, and what is answered depends on the domain alone."""
    if isinstance(request.user, User):
        return HttpResponseRedirect(reverse("organizations"))
    if not may_sign_up(request):
        return outside_page(request, "account/signup_closed.html", {})
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        if may_sign_up(request, email):
            sign_up_mail(email)
            return HttpResponseRedirect(reverse("sign_up_sent"))
        form.add_error("email", _("This e-mail may not sign up here: ask for an invitation."))
    return outside_page(request, "account/signup.html", {"form": form})


@require_http_methods(["GET", "HEAD"])
def sent(request: HttpRequest) -> HttpResponse:
    """What to do now; the same for everybody."""
    return outside_page(request, "account/signup_sent.html", {})


@require_http_methods(["GET", "HEAD", "POST"])
def finish(request: HttpRequest, signed: str) -> HttpResponse:
    """Behind the link: ask for name and password, make the account and sign it in."""
    try:
        email = _email(request, signed)
        organization = organization_open_to(email)
        check_sign_up(email, organization)
        form = FinishForm(request.POST if request.method == "POST" else None)
        refused = ""
        if request.method == "POST" and form.is_valid():
            try:
                return _made(request, email, form.cleaned_data)
            except ValidationError as refusal:
                refused = show_in(form, refusal)
    except SignUpRefusedError as refusal:
        return outside_page(request, "account/signup_refused.html", {"sentence": refusal}, status=410)
    words = {"form": form, "email": email, "organization": organization, "refused": refused}
    if organization is not None:
        words["role"] = organization.get_sign_up_role_display()
    return outside_page(request, "account/signup_finish.html", words)


def _email(request: HttpRequest, signed: str) -> str:
    """The e-mail that the link was sent to. Raises SignUpRefusedError if it makes no account in this browser now."""
    email = sign_up_email(signed)
    if email is None:
        raise SignUpRefusedError(_("This link is not valid any more: make an account anew."))
    if isinstance(request.user, User):
        raise SignUpRefusedError(
            _("You are signed in as %(user)s: sign out first, or join under Organizations.") % {"user": request.user}
        )
    if not may_sign_up(request, email):
        raise SignUpRefusedError(_("This e-mail may not sign up here: ask for an invitation."))
    return email


def _made(request: HttpRequest, email: str, values: dict[str, Any]) -> HttpResponse:
    user, membership = sign_up(
        email=email, name=values["name"], password=values["password"], address=request_address(request)
    )
    login(request, user, backend=PASSWORD_BACKEND)
    if membership is None:
        return HttpResponseRedirect(reverse("organizations"))
    choose_organization(request, membership.organization)
    return HttpResponseRedirect(resolve_url(settings.LOGIN_REDIRECT_URL))


@never_cache
@login_required
@require_POST
def join(request: HttpRequest, organization_id: UUID) -> HttpResponse:
    """Join what one is offered, and work in it. What one is not offered is not found, whether there is such a one or not."""
    person = request.user
    if not isinstance(person, User):
        raise PermissionDenied
    with at_the_door():  # whoever joins is not a member yet
        offered: Organization | None = organization_offered(person)
        if offered is None or offered.pk != organization_id:
            raise Http404
        try:
            organization_join(organization=offered, user=person, address=request_address(request))
        except SignUpRefusedError as refusal:
            messages.error(request, str(refusal))
        except ValidationError as refusal:
            messages.error(request, one_sentence(refusal))
        else:
            choose_organization(request, offered)
            messages.success(request, _("You belong to %(organization)s now.") % {"organization": offered})
            return HttpResponseRedirect(reverse("admin:index"))
    return HttpResponseRedirect(reverse("organizations"))
