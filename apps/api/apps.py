"""The application's name."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApiConfig(AppConfig):
    """The REST API."""

    name = "apps.api"
    verbose_name = _("REST API")
