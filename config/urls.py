"""Control plane URLs. The data plane is mounted before Django, in config.asgi."""

from allauth.account.views import logout
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from apps.orgs.people.views import language, to_sign_in

admin.site.index_title = _("Overview")

urlpatterns = [
    *(path("", include(module)) for module in settings.EXTRA_URLS),
    path("", RedirectView.as_view(pattern_name="admin:index", permanent=False)),
    # The console's own ways in and out lead to everybody's.
    path("admin/login/", to_sign_in),
    path("admin/logout/", logout),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password", permanent=False)),
    path("admin/", admin.site.urls),
    path("language/", language, name="set_language"),
    path("", include("apps.orgs.setup.urls")),
    path("", include("apps.orgs.people.urls")),
    path("api/", include("apps.api.urls")),
    path("sso/", include("apps.orgs.sso.urls")),
    path("", include("apps.orgs.tenancy.urls")),
    path("", include("apps.orgs.invitations.urls")),
    path("", include("apps.orgs.scim.urls")),
]

handler500 = "apps.api.frame.errors.unforeseen"
