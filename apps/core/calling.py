"""One HTTP exchange with a place that an operator, or somebody whom an operator trusts, has named.

The name is resolved here, an address that the egress rule allows is chosen, and exactly it is connected to, so that a name that
changes its mind (DNS rebinding) gains nothing. The certificate must be the name's. Bounded in time and size; no redirects, no
proxies, no netrc. For the control plane, where nobody waits for a first token: the gateway has connections of its own.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import httpx
from django.conf import settings

from apps.core.egress import Egress


class Problem(StrEnum):
    """Why no answer came. What `CallFailed.detail` is stands behind each."""

    URL = "url"  # it cannot be read; nothing
    NAME = "name"  # it does not resolve; nothing
    EGRESS = "egress"  # none of its addresses may be called; the first of them
    CONNECTION = "connection"  # nothing answers there; host and port
    CERTIFICATE = "certificate"  # it is not the name's, or nobody vouches for it; what is wrong with it
    TIME = "time"  # it took longer than the limit; nothing
    SIZE = "size"  # the answer is longer than the limit; nothing
    COMPRESSED = "compressed"  # nobody asked for that: a small answer could become a large one; nothing
    BROKEN = "broken"  # the conversation ended early; the kind of error


class CallFailed(Exception):
    """No whole answer came. Whoever calls says it in their own words: `host` and `detail` go into them."""

    def __init__(self, problem: Problem, host: str, detail: str = "") -> None:
        super().__init__(f"{problem}: {host} {detail}".rstrip())
        self.problem, self.host, self.detail = problem, host, detail


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of `headers` are found whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def call(
    method: str,
    url: str,
    *,
    agent: str,
    seconds: float,
    most: int = 0,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Ask `url` once. Raises CallFailed.

    `agent`: as whom we come (User-Agent). `seconds`: for the whole exchange, once the name is resolved. `most`: bytes of the
    answer that are read; 0: none is, and `Answer.body` is empty.
    """
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise CallFailed(Problem.URL, url[:100]) from error
    addresses = _addresses(target)
    sent = {
        "host": target.netloc.decode("ascii"),
        "accept-encoding": "identity",
        "user-agent": agent,
        **(headers or {}),
    }
    try:
        return asyncio.run(_exchange(method, target, addresses, sent, body, seconds, most))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise CallFailed(Problem.TIME, target.host) from error
    except httpx.ConnectError as error:
        certificate = _certificate_error(error)
        if certificate is None:
            raise CallFailed(Problem.CONNECTION, target.host, sent["host"]) from error
        raise CallFailed(Problem.CERTIFICATE, target.host, certificate.verify_message) from error
    except httpx.HTTPError as error:
        raise CallFailed(Problem.BROKEN, target.host, type(error).__name__) from error


def _addresses(url: httpx.URL) -> list[str]:
    """The addresses behind the URL that may be connected to: one at least."""
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CallFailed(Problem.NAME, url.host) from error
    addresses = [str(entry[4][0]) for entry in found]
    allowed = Egress(settings.EGRESS_ALLOW).dialled(addresses, encrypted=url.scheme == "https")
    if not allowed:
        raise CallFailed(Problem.EGRESS, url.host, addresses[0])
    return allowed


async def _exchange(
    method: str,
    url: httpx.URL,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes | None,
    seconds: float,
    most: int,
) -> Answer:
    """The answer of the first of `addresses` that accepts."""
    async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
        for last, address in zip([*[False] * (len(addresses) - 1), True], addresses, strict=True):
            request = client.build_request(
                method,
                url.copy_with(host=address),
                content=body,
                headers=headers,
                # The certificate must be the name's, not the address's.
                extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except httpx.ConnectError:
                if last:
                    raise
                continue
            try:
                return Answer(response.status_code, response.headers, await _read(url.host, response, most))
            finally:
                await response.aclose()
    raise AssertionError("unreachable: there is at least one address")


async def _read(host: str, response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    if most == 0:
        return b""
    if response.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
        raise CallFailed(Problem.COMPRESSED, host)
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise CallFailed(Problem.SIZE, host)
    return bytes(body)


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """What was wrong with the certificate, if that is why no connection came to be."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
