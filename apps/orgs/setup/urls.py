"""The page that sets an empty installation up."""

from django.urls import path

from apps.orgs.setup.views import setup

urlpatterns = [path("setup/", setup, name="setup")]
