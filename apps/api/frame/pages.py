"""Pages of rows, newest first: a cursor is where the last page ended, so that what is added meanwhile moves nothing."""

import base64
import binascii
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from rest_framework import serializers

LIMIT, LIMIT_MOST = 50, 200


def page(rows: QuerySet[Any], *, cursor: str, limit: int) -> tuple[list[Any], str | None]:
    """The rows that follow `cursor` (empty: the first), and the cursor of those after them; None: there are none.

    Raises ValidationError for a cursor that we never gave.
    """
    if cursor:
        rows = rows.filter(pk__lt=_read(cursor))
    found: list[Model] = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], _write(found[limit - 1].pk) if more else None


def _write(key: UUID) -> str:
    return base64.urlsafe_b64encode(key.bytes).decode().rstrip("=")


def _read(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise serializers.ValidationError({"cursor": [_("This is no cursor: take `next_cursor` of a page.")]}) from None
