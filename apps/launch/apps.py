"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LaunchConfig(AppConfig):
    """Django's handle on this room."""

    name = "apps.launch"
    verbose_name = _("Launch")
