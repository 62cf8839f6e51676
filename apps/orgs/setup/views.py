"""The page that sets an empty installation up."""

from allauth.account.utils import perform_login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.core.actor import Actor
from apps.core.rows import add_errors
from apps.core.web import limited, request_address
from apps.orgs.people.passwords import passwords_are_allowed
from apps.orgs.people.views import private
from apps.orgs.setup.actions import SetUpAlreadyError, installation_set_up, is_set_up
from apps.orgs.setup.forms import SetupForm
from apps.orgs.sso.configuration import is_configured


@private
@limited("setup", "10/m")
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest) -> HttpResponseBase:
    """Once; from then on there is no such page."""
    if is_set_up():
        if request.method == "POST":
            return _too_late(request)
        raise Http404
    form = SetupForm(
        request.POST if request.method == "POST" else None, sso=is_configured(), passwords=passwords_are_allowed()
    )
    if request.method == "POST" and form.is_valid():
        try:
            return _set_up(request, form)
        except SetUpAlreadyError:
            return _too_late(request)
        except ValidationError as refusal:
            add_errors(form, refusal, {"slug": "organization"})
    return render(request, "setup/setup.html", {"form": form}, status=400 if form.errors else 200)


def _set_up(request: HttpRequest, form: SetupForm) -> HttpResponseBase:
    values = form.cleaned_data
    password = values.get("password") or None
    _organization, owner = installation_set_up(
        code=values["code"],
        organization=values["organization"],
        email=values["email"],
        name=values["name"],
        password=password,
        actor=Actor(door="admin", label=_("(setup)"), address=request_address(request)),
    )
    perform_login(request, owner, email_verification="none")
    if password is None:
        # A page and not a redirect: what leads from a form to an identity provider, browsers refuse (form-action).
        return render(request, "setup/done.html", {"owner": owner})
    return HttpResponseRedirect(reverse("admin:index"))


def _too_late(request: HttpRequest) -> HttpResponse:
    return render(request, "setup/too_late.html", status=409)
