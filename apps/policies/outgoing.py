"""Sending what is to be told by webhook: one signed call. Nothing here retries or remembers."""

import base64
import hashlib
import hmac
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.calling import CallFailed, Problem, call
from apps.core.outgoing import NotSentError

TIME_LIMIT = 10.0  # seconds for a webhook's answer
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
_AGENT = "tollgate-webhook/1"

_PROBLEMS = {  # nothing of the answer is read, so none is too long or compressed
    Problem.URL: gettext_lazy("its URL cannot be read"),
    Problem.NAME: gettext_lazy("the name %(host)s cannot be resolved"),
    Problem.EGRESS: gettext_lazy(
        "%(host)s is at %(detail)s, where this installation does not connect to (EGRESS_ALLOW)"
    ),
    Problem.CONNECTION: gettext_lazy("no connection: nothing answers there"),
    Problem.CERTIFICATE: gettext_lazy("no connection: the certificate of %(host)s was refused (%(detail)s)"),
    Problem.TIME: gettext_lazy("no answer within %(limit)d seconds"),
    Problem.BROKEN: gettext_lazy("the conversation broke off (%(detail)s)"),
}


def webhook_send(*, url: str, secret: str, message_id: UUID, body: bytes, at: datetime) -> None:
    """Call a webhook as Standard Webhooks say: id, time and signature in headers. Its answer is not read. Raises NotSentError."""
    timestamp = str(int(at.timestamp()))
    headers = {
        "content-type": "application/json",
        "webhook-id": str(message_id),
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(secret, str(message_id), timestamp, body),
    }
    try:
        status = call("POST", url, agent=_AGENT, seconds=TIME_LIMIT, headers=headers, body=body).status
    except CallFailed as failure:
        words = {"host": failure.host, "detail": failure.detail, "limit": TIME_LIMIT}
        raise NotSentError(_PROBLEMS[failure.problem] % words) from failure
    if not 200 <= status < 300:
        raise NotSentError(_("it answered %(status)d") % {"status": status})


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and body, in base64. `secret`: `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
