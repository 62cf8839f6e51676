from django.apps import AppConfig


class AcmeOverlayConfig(AppConfig):
    """Plans for organizations, on top of Tollgate."""

    name = "acme_overlay"

    def ready(self) -> None:
        """Follow what happens to organizations."""
        from acme_overlay import followers  # noqa: F401, PLC0415 - connects itself; models are loaded only now
