"""The application's name and how the console calls it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScimConfig(AppConfig):
    """A company's directory, which says who belongs to an organization (SCIM 2.0)."""

    name = "apps.orgs.scim"
    label = "scim"
    verbose_name = _("Directory")
