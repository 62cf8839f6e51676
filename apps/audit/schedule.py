"""When the record's tasks run, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "audit: make partitions ahead": {
        "task": "apps.audit.tasks.partitions_ensure",
        "schedule": crontab(hour=1, minute=17),
        "options": {"expires": 12 * 3600},
    },
    "audit: adopt spools of dead processes": {
        "task": "apps.audit.tasks.spools_adopt",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
}
