"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ObjectsConfig(AppConfig):
    """What services keep with providers, under the heading that the console gives it."""

    name = "apps.objects"
    verbose_name = _("Gateway")
