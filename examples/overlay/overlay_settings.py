"""The same without environment variables: a settings module that begins with Tollgate's."""

from config.settings import *  # noqa: F403 - everything that is not said here is Tollgate's
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "acme_overlay"]
TENANCY = "acme_overlay.tenancy.Plans"
EXTRA_URLS = ["acme_overlay.urls"]
