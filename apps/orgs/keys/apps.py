"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KeysConfig(AppConfig):
    """Management keys, under the heading that the console gives people."""

    name = "apps.orgs.keys"
    label = "keys"
    verbose_name = _("People")
