"""The budgets' scheduled work. Every task may run twice, or at the same time as itself."""

from celery import shared_task

from apps.policies import alerts


@shared_task
def budgets_watch() -> int:
    """Raise the alerts of budgets that have reached a level, and send them off. Returns how many."""
    raised = alerts.budgets_watch()
    if raised:
        alerts_deliver.delay()
    return raised


@shared_task
def alerts_deliver() -> int:
    """Send what is due of the alerts. Returns how many have arrived."""
    return alerts.alerts_deliver()
