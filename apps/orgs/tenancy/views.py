"""The organizations that one belongs to: which they are, in which one works, and starting another."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.console import request_actor
from apps.core.rows import add_errors
from apps.core.tenancy import as_installation, at_the_door
from apps.core.web import limited, outside_page
from apps.orgs.access import access_of, choose_organization, memberships_of, organizations_of
from apps.orgs.models import User
from apps.orgs.signup.selectors import organization_offered
from apps.orgs.tenancy.actions import organization_start
from apps.orgs.tenancy.chosen import tenancy
from apps.orgs.tenancy.forms import StartForm


@never_cache
@login_required
@require_http_methods(["GET", "HEAD"])
def organizations(request: HttpRequest) -> HttpResponse:
    """One's organizations, what one may join, and a form for another where the installation lets one start it."""
    return _page(request, StartForm())


@never_cache
@login_required
@require_POST
def switch(request: HttpRequest, organization_id: UUID) -> HttpResponse:
    """Work in this one from now on. One that is not one's own is not found, whether there is such a one or not."""
    found = next((each for each in organizations_of(_person(request)) if each.pk == organization_id), None)
    if found is None:
        raise Http404
    choose_organization(request, found)
    return HttpResponseRedirect(reverse("admin:index"))


@never_cache
@login_required
@require_POST
@limited("organization-start", "10/h", by=lambda request: str(request.user.pk))
def start(request: HttpRequest) -> HttpResponse:
    """Start another, own it, and work in it."""
    person = _person(request)
    if not _may_start(request):
        raise PermissionDenied
    form = StartForm(request.POST)
    if form.is_valid():
        try:
            made = organization_start(user=person, actor=request_actor(request), **form.cleaned_data)
        except ValidationError as refusal:
            add_errors(form, refusal)
        else:
            choose_organization(request, made)
            messages.success(request, _("%(organization)s is yours.") % {"organization": made})
            return HttpResponseRedirect(reverse("admin:index"))
    return _page(request, form, status=422)


def _page(request: HttpRequest, form: StartForm, *, status: int = 200) -> HttpResponse:
    access, person = access_of(request), _person(request)
    with at_the_door():  # whoever may join is not a member yet
        offered = organization_offered(person)
    context = {
        "memberships": memberships_of(person),
        "offered": offered,
        "current": access.organization if access is not None else None,
        "is_platform_staff": access is not None and access.is_platform_staff,
        "form": form if _may_start(request) else None,
    }
    return outside_page(request, "organizations/organizations.html", context, status=status)


def _may_start(request: HttpRequest) -> bool:
    with as_installation():  # whether there is an organization yet is a question about all of them
        return tenancy().may_create_organization(_person(request))


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
