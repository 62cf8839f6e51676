"""The application's name, and what it listens to."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PeopleConfig(AppConfig):
    """How people sign in."""

    name = "apps.orgs.people"
    label = "people"
    verbose_name = _("Sign-in")

    def ready(self) -> None:
        """Connect what leaves admin events, and the system checks."""
        from apps.orgs.people import checks, events  # noqa: F401, PLC0415 - both need the models of other applications
