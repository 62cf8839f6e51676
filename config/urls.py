"""Control plane URLs. The data plane is mounted before Django, in config.asgi."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView
from django.views.i18n import set_language

from apps.core.web import limited
from apps.orgs.views import OwnPassword


def _account(request: HttpRequest) -> str:
    """Whose password is being guessed, whoever guesses."""
    return request.POST.get("username", "").strip().lower()


# Ten tries a minute from one address, and twenty an hour at one account from wherever.
_login = limited("login-address", "10/m")(limited("login-account", "20/h", by=_account)(admin.site.login))

admin.site.index_title = _("Overview")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
    path("admin/login/", _login),
    path("admin/password_change/", admin.site.admin_view(OwnPassword.as_view())),
    path("admin/", admin.site.urls),
    path("language/", set_language, name="set_language"),
    path("api/", include("apps.api.urls")),
    path("sso/", include("apps.orgs.sso.urls")),
    path("", include("apps.orgs.urls")),
    path("", include("apps.orgs.invitations.urls")),
]
