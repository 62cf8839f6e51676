"""Creates that may be repeated: the first answer to an Idempotency-Key is kept for a day and given again."""

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.frame.errors import AnswerLost, KeyReused
from apps.api.frame.rates import holder_of
from apps.api.models import KeptAnswer
from apps.core.sealing import SealingError
from apps.orgs.access import Access

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
_LONGEST = 255
_HEADERS = ("ETag", "Location")


def once(request: Request, access: Access, create: Callable[[], Response]) -> Response:
    """What `create` answers, or answered before to the same key and request. Within the transaction of the create.

    Two that come at the same moment wait for each other: the second finds the first's answer, or creates if that failed.
    Raises KeyReused, AnswerLost; ValidationError for a key that is none.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return create()
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        raise serializers.ValidationError(
            {HEADER: [_("Use 1 to %(most)d printable ASCII characters.") % {"most": _LONGEST}]}
        )
    kept = KeptAnswer(
        organization=access.organization,
        holder=holder_of(access),
        key=key,
        fingerprint=_fingerprint(request),
    )
    try:
        with transaction.atomic():
            kept.save(force_insert=True)
    except IntegrityError:
        return _again(KeptAnswer.objects.get(organization=kept.organization, holder=kept.holder, key=key), kept)
    answer = create()
    told = {
        "status": answer.status_code,
        "headers": {name: answer[name] for name in _HEADERS if name in answer},
        "body": base64.b64encode(orjson.dumps(answer.data, default=str)).decode(),
    }
    kept.sealed_answer = settings.SEALING_KEYS.seal(orjson.dumps(told).decode(), kept.answer_place())
    kept.save(update_fields=["sealed_answer"])
    return answer


def answers_forget() -> int:
    """Forget what nobody may ask for again. Returns how many."""
    deleted, _by_model = KeptAnswer.objects.filter(created_at__lt=now() - KEPT).delete()
    return deleted


def _again(kept: KeptAnswer, asked: KeptAnswer) -> Response:
    if bytes(kept.fingerprint) != bytes(asked.fingerprint):
        raise KeyReused(_("This Idempotency-Key came with another request before: use a new one."))
    try:
        told: dict[str, Any] = orjson.loads(
            settings.SEALING_KEYS.open(bytes(kept.sealed_answer or b""), kept.answer_place())
        )
    except SealingError as error:
        raise AnswerLost(
            _("It was created, and its answer cannot be read any more: look for it in the list.")
        ) from error
    body = orjson.loads(base64.b64decode(told["body"]))
    return Response(body, status=told["status"], headers={**told["headers"], "Idempotency-Replayed": "true"})


def _fingerprint(request: Request) -> bytes:
    content: Any = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(
        b"\0".join(((request.method or "").encode(), request.get_full_path().encode(), content))
    ).digest()
