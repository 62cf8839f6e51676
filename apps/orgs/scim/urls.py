"""SCIM's addresses."""

from django.urls import path, re_path

from apps.orgs.scim.views import About, Groups, OneGroup, OneUser, Users, nowhere

_ABOUT = r"^scim/v2/(?P<what>ServiceProviderConfig|ResourceTypes|Schemas)"

urlpatterns = [
    path("scim/v2/Users", Users.as_view(), name="scim_users"),
    path("scim/v2/Users/<str:key>", OneUser.as_view(), name="scim_user"),
    path("scim/v2/Groups", Groups.as_view(), name="scim_groups"),
    path("scim/v2/Groups/<str:key>", OneGroup.as_view(), name="scim_group"),
    re_path(_ABOUT + r"$", About.as_view(), name="scim_about"),
    re_path(_ABOUT + r"/(?P<key>[\w:.]+)$", About.as_view(), name="scim_about_one"),
    re_path(r"^scim/", nowhere),
]
