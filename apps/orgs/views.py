"""Signing in by link (the page says whose link it is; its one button signs in) and changing one's own password."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import login
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse, reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core.console import request_actor
from apps.core.web import limited, outside_page, request_address
from apps.orgs.actions import SignInRefusedError, sign_in_link_check, sign_in_link_use
from apps.orgs.forms import OwnPasswordForm
from apps.orgs.selectors import sign_in_link_for


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@limited("sign-in-link", "20/m")
def sign_in(request: HttpRequest, secret: str) -> HttpResponse:
    """Only POST uses the link up, so that a mail scanner or a chat's preview that opens it does no harm."""
    try:
        if request.method == "POST":
            user = sign_in_link_use(secret=secret, address=request_address(request))
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return HttpResponseRedirect(reverse("admin:index"))
        link = sign_in_link_check(sign_in_link_for(secret))
    except SignInRefusedError as refusal:
        return outside_page(request, "console/sign_in_refused.html", {"sentence": refusal}, status=410)
    return outside_page(request, "console/sign_in.html", {"link": link})


class OwnPassword(PasswordChangeView):
    """Change one's own password, in the console."""

    form_class = OwnPasswordForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With the console's frame."""
        return {**super().get_context_data(**kwargs), **admin.site.each_context(self.request)}

    def form_valid(self, form: Any) -> HttpResponse:
        """This session goes on; all others end."""
        form.actor = request_actor(self.request)
        return super().form_valid(form)
