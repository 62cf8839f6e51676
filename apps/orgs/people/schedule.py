"""When sessions are tidied, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "people: delete expired sessions": {
        "task": "apps.orgs.people.tasks.sessions_tidy",
        "schedule": crontab(minute=41),
        "options": {"expires": 3600},
    },
}
