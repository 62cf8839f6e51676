"""Sending what is to be told by webhook: one signed call. Nothing here retries or remembers."""

import asyncio
import base64
import hashlib
import hmac
import socket
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.egress import Egress
from apps.core.outgoing import NotSentError

TIME_LIMIT = 10.0  # seconds for a webhook's answer
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
_AGENT = "tollgate-webhook/1"


def webhook_send(*, url: str, secret: str, message_id: UUID, body: bytes, at: datetime) -> None:
    """Call a webhook as Standard Webhooks say: id, time and signature in headers. Raises NotSentError.

    The name is resolved here, and exactly an address that the egress rule allows is connected to. Redirects are not followed.
    """
    timestamp = str(int(at.timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": _AGENT,
        "webhook-id": str(message_id),
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(secret, str(message_id), timestamp, body),
    }
    target = httpx.URL(url)
    addresses = _addresses(target)
    try:
        status = asyncio.run(_post(target, addresses, headers, body))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise NotSentError(_("no answer within %(limit)d seconds") % {"limit": TIME_LIMIT}) from error
    except httpx.ConnectError as error:
        raise NotSentError(_("no connection: nothing answers there, or its certificate is refused")) from error
    except httpx.HTTPError as error:
        raise NotSentError(_("the conversation broke off (%(kind)s)") % {"kind": type(error).__name__}) from error
    if not 200 <= status < 300:
        raise NotSentError(_("it answered %(status)d") % {"status": status})


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and body, in base64. `secret`: `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _addresses(url: httpx.URL) -> list[str]:
    """The addresses behind the URL that may be dialled. Raises NotSentError where there are none."""
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotSentError(_("the name %(host)s cannot be resolved") % {"host": url.host}) from error
    egress = Egress(settings.EGRESS_ALLOW)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [a for a in addresses if egress.address_is_allowed(a, encrypted=url.scheme == "https")]
    if not allowed:
        raise NotSentError(
            _("%(host)s is at %(address)s, where this installation does not connect to (EGRESS_ALLOW)")
            % {"host": url.host, "address": addresses[0]}
        )
    return allowed


async def _post(url: httpx.URL, addresses: Sequence[str], headers: dict[str, str], body: bytes) -> int:
    """The status, from the first of `addresses` that accepts. No redirects, no proxies, no netrc; the answer is not read."""
    async with asyncio.timeout(TIME_LIMIT), httpx.AsyncClient(trust_env=False, timeout=TIME_LIMIT) as client:
        for last, address in zip([*[False] * (len(addresses) - 1), True], addresses, strict=True):
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={"host": url.netloc.decode("ascii"), **headers},
                # The certificate must be the name's, not the address's.
                extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except httpx.ConnectError:
                if last:
                    raise
                continue
            await response.aclose()
            return response.status_code
    raise AssertionError("unreachable: there is at least one address")
