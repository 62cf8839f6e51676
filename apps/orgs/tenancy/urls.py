"""Pages about one's organizations."""

from django.urls import path

from apps.orgs.signup.views import join
from apps.orgs.tenancy.views import organizations, start, switch

urlpatterns = [
    path("organizations/", organizations, name="organizations"),
    path("organizations/start/", start, name="organization_start"),
    path("organizations/<uuid:organization_id>/join/", join, name="organization_join"),
    path("organizations/<uuid:organization_id>/switch/", switch, name="organization_switch"),
]
