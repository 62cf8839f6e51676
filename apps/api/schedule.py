"""When the API's tasks run, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "api: forget kept answers": {
        "task": "apps.api.tasks.answers_tidy",
        "schedule": crontab(minute=23),
        "options": {"expires": 3600},
    },
}
