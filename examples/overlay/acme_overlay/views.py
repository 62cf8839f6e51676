"""Pages of the overlay, in Tollgate's look."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from acme_overlay.models import Plan
from apps.core.web import outside_page
from apps.orgs.access import access_of


@login_required
def plan(request: HttpRequest) -> HttpResponse:
    """The plan of the organization that one works in. No filter by organization is needed here: the database has it."""
    access = access_of(request)
    organization = access.organization if access is not None else None
    found = Plan.objects.first() if organization is not None else None
    return outside_page(request, "acme_overlay/plan.html", {"organization": organization, "plan": found})
