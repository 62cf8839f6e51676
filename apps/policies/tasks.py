"""The scheduled work of budgets and of alerts. Every task may run twice, or at the same time as itself."""

from celery import shared_task

from apps.policies import alerts, credential_alerts


@shared_task
def budgets_watch() -> int:
    """Raise the alerts of budgets that have reached a level, and send them off. Returns how many."""
    raised = alerts.budgets_watch()
    if raised:
        alerts_deliver.delay()
    return raised


@shared_task
def credentials_watch() -> int:
    """Note what gateways have told of credentials, and send alerts off. Returns how many."""
    raised = credential_alerts.credentials_watch()
    if raised:
        alerts_deliver.delay()
    return raised


@shared_task
def alerts_deliver() -> int:
    """Send what is due of the alerts. Returns how many have arrived."""
    return alerts.alerts_deliver()
