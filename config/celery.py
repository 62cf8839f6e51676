"""Celery: worker and beat over REDIS_URL. Schedules are in settings, tasks in each app's tasks.py."""

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init

from apps.core.embedded.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@beat_embedded_init.connect
def _beat_ends_with_its_worker(**_: Any) -> None:
    # `worker -B` forks the clock; without this, kill -9 of the worker would leave it ticking beside its successor's.
    die_with_parent(signal.SIGKILL)
