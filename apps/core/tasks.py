"""Housekeeping of what all rooms share. Every task may run twice, or at the same time as itself."""

from datetime import timedelta

from celery import shared_task
from django.utils.timezone import now

from apps.core.models import Change

CHANGES_KEPT = timedelta(days=1)


@shared_task
def changes_forget() -> int:
    """Delete changes that every gateway has long since followed. Returns how many."""
    deleted, _ = Change.objects.filter(at__lt=now() - CHANGES_KEPT).delete()
    return deleted
