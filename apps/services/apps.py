"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ServicesConfig(AppConfig):
    """Services and their tokens, under the heading that the console gives them."""

    name = "apps.services"
    verbose_name = _("Gateway")
