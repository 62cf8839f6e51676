"""One exchange with the identity provider: bounded in time and size, at addresses that the egress rule allows.

The name is resolved here, and exactly an allowed address is connected to, so that a name that changes its mind gains nothing.
Redirects are not followed; no proxy, no netrc.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import orjson
from django.conf import settings

from apps.core.egress import Egress
from apps.orgs.sso.refusals import BAD_ANSWER, BAD_DISCOVERY, UNREACHABLE, SsoRefused

TIME_LIMIT = 10.0  # seconds for the whole exchange: a person waits
SIZE_LIMIT = 1 << 20  # bytes; the largest in use, a long list of keys, is some 20 KB
_AGENT = "tollgate-sso/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said."""

    url: str
    status: int
    content_type: str
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object that it is. Raises SsoRefused."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            found = None
        if self.status != HTTPStatus.OK or not isinstance(found, dict):
            raise SsoRefused(BAD_ANSWER, f"{self.url} answered {self.status} and no JSON object to go by")
        return found


def fetch(url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """GET `url`, or POST `form` to it. Raises SsoRefused where no whole answer came."""
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise SsoRefused(BAD_DISCOVERY, f"{url[:100]!r} cannot be called") from error
    addresses = _addresses(target)
    try:
        return asyncio.run(_exchange(target, addresses, form, headers or {}))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise SsoRefused(UNREACHABLE, f"{target.host} did not answer within {TIME_LIMIT:.0f} s") from error
    except httpx.ConnectError as error:
        raise SsoRefused(UNREACHABLE, f"no connection to {target.host}: {_cause(error)}") from error
    except httpx.HTTPError as error:
        raise SsoRefused(UNREACHABLE, f"{target.host} broke off ({type(error).__name__})") from error


def _addresses(url: httpx.URL) -> list[str]:
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SsoRefused(UNREACHABLE, f"the name {url.host} cannot be resolved") from error
    egress = Egress(settings.EGRESS_ALLOW)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [a for a in addresses if egress.address_is_allowed(a, encrypted=url.scheme == "https")]
    if not allowed:
        raise SsoRefused(
            UNREACHABLE, f"{url.host} is at {addresses[0]}, where this installation does not connect to (EGRESS_ALLOW)"
        )
    return allowed


async def _exchange(
    url: httpx.URL, addresses: Sequence[str], form: Mapping[str, str] | None, headers: Mapping[str, str]
) -> Answer:
    async with asyncio.timeout(TIME_LIMIT), httpx.AsyncClient(trust_env=False, timeout=TIME_LIMIT) as client:
        for last, address in zip([*[False] * (len(addresses) - 1), True], addresses, strict=True):
            request = client.build_request(
                "GET" if form is None else "POST",
                url.copy_with(host=address),
                data=form,
                headers={
                    "host": url.netloc.decode("ascii"),
                    "accept": "application/json",
                    "accept-encoding": "identity",  # a small answer could become a large one
                    "user-agent": _AGENT,
                    **headers,
                },
                # The certificate must be the name's, not the address's.
                extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except httpx.ConnectError:
                if last:
                    raise
                continue
            return await _read(url, response)
    raise AssertionError("unreachable: there is at least one address")


async def _read(url: httpx.URL, response: httpx.Response) -> Answer:
    body = bytearray()
    try:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise SsoRefused(BAD_ANSWER, f"{url.host} sent a compressed answer that nobody asked for")
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise SsoRefused(BAD_ANSWER, f"{url.host} sent more than {SIZE_LIMIT >> 20} MB")
    finally:
        await response.aclose()
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Answer(url=str(url.copy_with(query=None)), status=response.status_code, content_type=kind, body=bytes(body))


def _cause(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate was refused ({cause.verify_message})"
        cause = cause.__cause__ or cause.__context__
    return "nothing answers there"
