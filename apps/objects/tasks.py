"""Housekeeping of objects. Every task may run twice, or at the same time as itself."""

from datetime import timedelta

from celery import shared_task
from django.utils.timezone import now

from apps.objects.actions import objects_forget

# Providers keep responses for 30 days, or until their conversation ends.
RESPONSES_KEPT = timedelta(days=90)
DELETED_KEPT = timedelta(days=30)


@shared_task
def objects_tidy() -> int:
    """Forget what nobody can ask for any more. Returns how many."""
    return objects_forget(responses_before=now() - RESPONSES_KEPT, deleted_before=now() - DELETED_KEPT)
