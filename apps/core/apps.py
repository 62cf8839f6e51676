"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    """Django's handle on this room."""

    name = "apps.core"
    verbose_name = _("Core")
