"""When the objects' tasks run, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "objects: forget what is gone": {
        "task": "apps.objects.tasks.objects_tidy",
        "schedule": crontab(hour=2, minute=41),
        "options": {"expires": 12 * 3600},
    },
}
