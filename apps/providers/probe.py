"""Asking a provider for its models: how a credential is tested, and where an import comes from.

This is the control plane's one call to a provider. It follows the same egress rule as the gateway's, on the address
that is dialled: the name is resolved here, an allowed address is chosen, and exactly that address is connected to.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.egress import Egress
from apps.core.endpoints import MODELS
from apps.providers.addressing import authentication, targets
from apps.providers.kinds import kind_of
from apps.providers.models import Credential
from apps.providers.names import model_name_is_valid

TIME_LIMIT = 10.0  # seconds for the whole exchange
SIZE_LIMIT = (
    8 << 20
)  # bytes; the longest listing in use (an aggregator's 500 models, described at length) is below 1 MB


@dataclass(frozen=True, slots=True)
class CredentialTest:
    """What a live call showed. `sentence` is for the operator and never holds the secret."""

    ok: bool
    sentence: str
    status: int | None = None  # HTTP; None if no answer came
    latency_ms: int | None = None
    models: Sequence[str] = field(default=())


def probe(credential: Credential, secret: str) -> CredentialTest:
    """List the provider's models with `secret`. What provider, network or operator did wrong is in the result."""
    url = httpx.URL(models_url(credential))
    addresses, refused = _addresses(url)
    if not addresses:
        return CredentialTest(ok=False, sentence=refused)
    started = time.monotonic()
    try:
        status, headers, body = asyncio.run(_get(url, addresses, _headers(credential.provider, secret)))
    except (TimeoutError, httpx.TimeoutException):
        return CredentialTest(
            ok=False,
            sentence=_("%(host)s did not answer within %(limit)d seconds.") % {"host": url.host, "limit": TIME_LIMIT},
        )
    except httpx.ConnectError as error:
        return CredentialTest(ok=False, sentence=_connect_sentence(url, error))
    except _TooLongError:
        return CredentialTest(
            ok=False,
            sentence=_("%(host)s sent more than %(size)d MB where a list of models was expected.")
            % {"host": url.host, "size": SIZE_LIMIT >> 20},
        )
    except httpx.HTTPError as error:
        return CredentialTest(
            ok=False,
            sentence=_("%(host)s broke off the conversation (%(kind)s).")
            % {"host": url.host, "kind": type(error).__name__},
        )
    latency_ms = round((time.monotonic() - started) * 1000)
    ok, sentence, models = _verdict(credential, url, status, headers, body)
    return CredentialTest(ok=ok, sentence=sentence, status=status, latency_ms=latency_ms, models=models)


def models_url(credential: Credential) -> str:
    """Where this credential's provider lists its models."""
    target = targets(credential.provider, credential.base_url, credential.api_version, "")[MODELS]
    return str(httpx.URL(credential.base_url).join(target))


def _headers(provider: str, secret: str) -> Mapping[str, str]:
    return {**authentication(provider, secret), **kind_of(provider).listing_headers}


def _addresses(url: httpx.URL) -> tuple[list[str], str]:
    """The addresses behind the URL that may be dialled; if none, the sentence that says why."""
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [], _("The name %(host)s cannot be resolved: check the base URL.") % {"host": url.host}
    egress = Egress(settings.EGRESS_ALLOW)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [a for a in addresses if egress.address_is_allowed(a, encrypted=url.scheme == "https")]
    refused = _(
        "%(host)s is at %(address)s, where this installation does not connect to: add its range to EGRESS_ALLOW."
    )
    return allowed, refused % {"host": url.host, "address": addresses[0]}


class _TooLongError(Exception):
    """The answer exceeds SIZE_LIMIT."""


async def _get(
    url: httpx.URL, addresses: Sequence[str], headers: Mapping[str, str]
) -> tuple[int, httpx.Headers, bytes]:
    """Status, headers and body, from the first of `addresses` that accepts. No redirects, no proxies, no netrc."""
    async with asyncio.timeout(TIME_LIMIT), httpx.AsyncClient(trust_env=False, timeout=TIME_LIMIT) as client:
        for last, address in zip([*[False] * (len(addresses) - 1), True], addresses, strict=True):
            try:
                return await _get_from(client, url, address, headers)
            except httpx.ConnectError:
                if last:
                    raise
    raise AssertionError("unreachable: there is at least one address")


async def _get_from(
    client: httpx.AsyncClient, url: httpx.URL, address: str, headers: Mapping[str, str]
) -> tuple[int, httpx.Headers, bytes]:
    request = client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"host": url.netloc.decode("ascii"), "accept": "application/json", **headers},
        # The certificate must be the name's, not the address's.
        extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
    )
    body = bytearray()
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise _TooLongError
    finally:
        await response.aclose()
    return response.status_code, response.headers, bytes(body)


def _connect_sentence(url: httpx.URL, error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _("The certificate of %(host)s was refused: %(reason)s.") % {
                "host": url.host,
                "reason": cause.verify_message,
            }
        cause = cause.__cause__ or cause.__context__
    return _("No connection to %(host)s: nothing answers there. Check the base URL and the network.") % {
        "host": url.netloc.decode("ascii")
    }


def _verdict(
    credential: Credential, url: httpx.URL, status: int, headers: httpx.Headers, body: bytes
) -> tuple[bool, str, Sequence[str]]:
    words: dict[str, Any] = {
        "host": url.host,
        "status": status,
        "url": str(url),
        "provider": credential.get_provider_display(),
    }
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return (
            False,
            _("%(host)s refused the secret (%(status)d): check it, and rotate it here if it changed.") % words,
            (),
        )
    if status == HTTPStatus.NOT_FOUND:
        return False, _("There is no list of models at %(url)s (404): check the path of the base URL.") % words, ()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return False, _("%(host)s answered, but is limiting this account now (429): try again later.") % words, ()
    if 300 <= status < 400:
        words["where"] = headers.get("location", "?")[:200]
        return (
            False,
            _("%(host)s redirects to %(where)s; redirects are not followed: use the final base URL.") % words,
            (),
        )
    if status >= 500:
        return False, _("%(host)s has a problem of its own (%(status)d): try again later.") % words, ()
    if status != HTTPStatus.OK:
        return False, _("%(host)s answered %(status)d where a list of models was expected.") % words, ()
    models = _listing(body)
    if models is None:
        return False, _("%(url)s answered, but not with a list of models: check the path of the base URL.") % words, ()
    return True, _("%(host)s accepted the secret and lists %(count)d models.") % {**words, "count": len(models)}, models


def _listing(body: bytes) -> list[str] | None:
    """The names in a listing, in order; None if this is none. OpenAI and Anthropic list ids, Gemini and Cohere names."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    key = "id"
    if isinstance(data, dict):
        key = "id" if "data" in data else "name"
        data = data.get("data") if "data" in data else data.get("models")
    # Some compatible servers answer with the bare list.
    if not isinstance(data, list):
        return None
    names = [entry.get(key) for entry in data if isinstance(entry, dict)]
    plain = [name.removeprefix("models/") for name in names if isinstance(name, str)]
    return list(dict.fromkeys(name for name in plain if model_name_is_valid(name)))
