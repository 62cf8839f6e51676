"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrgsConfig(AppConfig):
    """Organizations and people."""

    name = "apps.orgs"
    verbose_name = _("People")

    def ready(self) -> None:
        """Have its system check known."""
        from apps.orgs import checks  # noqa: F401, PLC0415 - registers itself; settings are loaded only now
        from apps.orgs.tenancy.chosen import tenancy  # noqa: PLC0415 - models are loaded only now

        tenancy()  # one that cannot be imported stops the start, not the first request
