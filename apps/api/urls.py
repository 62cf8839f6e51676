"""The paths of the REST API. Each names at most one row, by an `…_id`."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.api.frame.errors import no_such_path
from apps.api.resources import keys, me, services, tokens

resources = [
    path("me", me.Me.as_view()),
    path("services", services.Services.as_view()),
    path("services/<uuid:service_id>", services.OneService.as_view()),
    path("tokens", tokens.Tokens.as_view()),
    path("tokens/<uuid:token_id>", tokens.OneToken.as_view()),
    path("tokens/<uuid:token_id>/rotate", tokens.TokenRotation.as_view()),
    path("tokens/<uuid:token_id>/revoke", tokens.TokenRevocation.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<uuid:key_id>", keys.OneKey.as_view()),
    path("keys/<uuid:key_id>/revoke", keys.KeyRevocation.as_view()),
]

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    *resources,
    re_path(".*", no_such_path),
]
