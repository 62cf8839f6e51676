"""Sign-in pages."""

from django.urls import path

from apps.orgs.views import sign_in

urlpatterns = [path("sign-in/<str:secret>/", sign_in, name="sign_in")]
