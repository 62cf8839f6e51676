"""Control plane URLs. The data plane is mounted before Django, in config.asgi."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from apps.core.web import limited
from apps.orgs.views import OwnPassword


def _account(request: HttpRequest) -> str:
    """Whose password is being guessed, whoever guesses."""
    return request.POST.get("username", "").strip().lower()


# Ten tries a minute from one address, and twenty an hour at one account from wherever.
_login = limited("login-address", "10/m")(limited("login-account", "20/h", by=_account)(admin.site.login))

admin.site.index_title = _("Overview")

urlpatterns = [
    *(path("", include(module)) for module in settings.EXTRA_URLS),
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
    path("admin/login/", _login),
    path("admin/password_change/", admin.site.admin_view(OwnPassword.as_view())),
    path("admin/", admin.site.urls),
    path("api/", include("apps.api.urls")),
    path("sso/", include("apps.orgs.sso.urls")),
    path("", include("apps.orgs.urls")),
    path("", include("apps.orgs.tenancy.urls")),
    path("", include("apps.orgs.invitations.urls")),
]
