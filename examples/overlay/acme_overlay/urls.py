"""The overlay's pages."""

from django.urls import path

from acme_overlay.views import plan

urlpatterns = [path("plan/", plan, name="plan")]
