"""When the shared housekeeping runs; config.settings puts it into CELERY_BEAT_SCHEDULE."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "core: forget old changes": {
        "task": "apps.core.tasks.changes_forget",
        "schedule": 3600.0,
        "options": {"expires": 3000},
    },
}
