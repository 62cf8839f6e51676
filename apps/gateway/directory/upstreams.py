"""The heads of the requests that go upstream, made once for each route."""

from collections.abc import Mapping

from apps.gateway.upstream.pool import Origin
from apps.providers.addressing import authentication, targets


def heads_for(
    provider: str, base_url: str, api_version: str, upstream_model: str, secret: str, origin: Origin
) -> Mapping[str, bytes]:
    """How a request's head begins for each endpoint: all but Content-Length and what the call adds.

    The answer is asked for as it is: compressing it would only be undone here.
    """
    headers = {
        "host": origin.authority,
        "content-type": "application/json",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "tollgate",
        **authentication(provider, secret),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return {
        name: f"POST {target} HTTP/1.1\r\n{lines}".encode()
        for name, target in targets(provider, base_url, api_version, upstream_model).items()
    }
