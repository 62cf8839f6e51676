"""Control plane URLs. The data plane is mounted before Django, in config.asgi."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("apps.orgs.urls")),
]
