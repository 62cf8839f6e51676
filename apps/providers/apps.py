from typing import Any

from django.apps import AppConfig
from django.apps import apps as live_apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ProvidersConfig(AppConfig):
    """Providers. After each migration the models and prices that ship with this release are listed."""

    name = "apps.providers"
    verbose_name = _("Providers")

    def ready(self) -> None:
        """Listen for the end of migrations."""
        post_migrate.connect(_list_catalogue, sender=self)


def _list_catalogue(*, apps: Any = live_apps, **_kwargs: Any) -> None:
    # `flush` sends the signal as well, and then without a registry.
    # Imported here: models are not loaded yet when this module is.
    from apps.providers.actions import catalogue_sync  # noqa: PLC0415 - see above
    from apps.providers.prices.actions import prices_sync  # noqa: PLC0415 - see above

    try:
        model = apps.get_model("providers", "ProviderModel")
    except LookupError:
        return  # migrated back to before the table existed
    catalogue_sync(model)
    try:
        table = apps.get_model("providers", "Price")
    except LookupError:
        return
    prices_sync(table=table)
