from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PoliciesConfig(AppConfig):
    """Policies, limits and budgets."""

    name = "apps.policies"
    verbose_name = _("Governance")
