"""The application's name, and the checks that it brings."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class SsoConfig(AppConfig):
    """Single sign-on."""

    name = "apps.orgs.sso"
    label = "sso"
    verbose_name = _("Single sign-on")

    def ready(self) -> None:
        """Hold the settings against each other at every start."""
        from apps.orgs.sso.checks import check_settings  # noqa: PLC0415 - reads settings

        register(check_settings)
