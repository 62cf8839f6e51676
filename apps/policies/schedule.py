"""When the budgets' tasks run, for CELERY_BEAT_SCHEDULE. A run that nobody took in time is dropped."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "policies: watch budgets": {
        "task": "apps.policies.tasks.budgets_watch",
        "schedule": 15.0,
        "options": {"expires": 14},
    },
    "policies: watch credentials": {
        "task": "apps.policies.tasks.credentials_watch",
        "schedule": 5.0,
        "options": {"expires": 4},
    },
    "policies: deliver alerts": {
        "task": "apps.policies.tasks.alerts_deliver",
        "schedule": 15.0,
        "options": {"expires": 14},
    },
}
