from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    """What an installation is meant to look like, as a file: written by one command, applied by another."""

    name = "apps.configuration"
