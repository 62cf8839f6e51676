"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InvitationsConfig(AppConfig):
    """Invitations of people into organizations."""

    name = "apps.orgs.invitations"
    label = "invitations"
    verbose_name = _("Invitations")
