"""Every write to objects but the data plane's own (statements.py)."""

from datetime import datetime

from apps.core.ids import uuid7_floor
from apps.objects.models import ObjectKind, OwnedObject

_AT_ONCE = 5_000


def objects_forget(*, responses_before: datetime, deleted_before: datetime) -> int:
    """Forget responses made before, and objects deleted before, but for those that are still to be paid. Returns how many.

    Leaves no admin event, as no operator did anything. In portions, so that nobody waits for long.
    """
    old = OwnedObject.objects.filter(kind=ObjectKind.RESPONSE, id__lt=uuid7_floor(responses_before), awaited=False)
    gone = OwnedObject.objects.filter(deleted_at__lt=deleted_before, awaited=False)
    forgotten = 0
    for rows in (old, gone):
        while ids := list(rows.order_by("id").values_list("pk", flat=True)[:_AT_ONCE]):
            forgotten += OwnedObject.objects.filter(pk__in=ids).delete()[0]
    return forgotten
