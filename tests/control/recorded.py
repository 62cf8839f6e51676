"""What the actions under test have left behind."""

from apps.audit.models import AdminEvent


def events(action: str | None = None) -> list[AdminEvent]:
    """Admin events of what these tests' actor did, or of one action by anybody; oldest first."""
    found = AdminEvent.objects.order_by("id")
    return list(found.filter(action=action) if action else found.filter(actor_label="ana@acme.test"))
