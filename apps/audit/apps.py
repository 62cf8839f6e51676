from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    """What happened: request records and admin events."""

    name = "apps.audit"
    verbose_name = _("Record")
