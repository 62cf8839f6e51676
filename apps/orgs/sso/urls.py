"""Single sign-on's three addresses."""

from django.urls import path

from apps.orgs.sso.views import Callback, Connect, Start

app_name = "sso"

urlpatterns = [
    path("start/", Start.as_view(), name="start"),
    path("callback/", Callback.as_view(), name="callback"),
    path("connect/", Connect.as_view(), name="connect"),
]
