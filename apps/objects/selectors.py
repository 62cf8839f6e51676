"""Named reads of objects."""

from django.db.models import Count

from apps.objects.models import OwnedObject
from apps.providers.models import Credential


def objects_held(credential: Credential) -> dict[str, int]:
    """How many objects the credential holds for services, by kind; kinds of which it holds none are left out."""
    mine = OwnedObject.objects.filter(credential=credential, deleted_at=None).order_by()
    return {row["kind"]: row["number"] for row in mine.values("kind").annotate(number=Count("pk"))}
