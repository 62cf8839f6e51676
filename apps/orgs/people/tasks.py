"""Housekeeping of sessions. The task may run twice, or at the same time as itself."""

from celery import shared_task

from apps.orgs.people.sessions import sessions_forget


@shared_task
def sessions_tidy() -> int:
    """Delete sessions that have expired. Returns how many."""
    return sessions_forget()
