"""Housekeeping of the API. Every task may run twice, or at the same time as itself."""

from celery import shared_task

from apps.api.frame.repeats import answers_forget


@shared_task
def answers_tidy() -> int:
    """Forget the answers that nobody may ask for again. Returns how many."""
    return answers_forget()
