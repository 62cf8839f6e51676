"""When the providers' tasks run, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "providers: refresh listings": {
        "task": "apps.providers.tasks.listings_refresh",
        "schedule": 60.0,
        "options": {"expires": 55},
    },
}
