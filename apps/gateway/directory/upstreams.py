"""The heads of the requests that go upstream, made once for each route."""

from collections.abc import Mapping

from apps.core.endpoints import FORMS
from apps.gateway.upstream.pool import Origin
from apps.providers.addressing import authentication, targets


def heads_for(
    provider: str, base_url: str, api_version: str, upstream_model: str, authenticated: str, origin: Origin
) -> Mapping[str, bytes]:
    """How a request's head begins for each endpoint: all but Content-Length and what the call adds, as a form's Content-Type."""
    lines, of_forms = (head_lines(origin, authenticated, kind) for kind in ("application/json", ""))
    return {
        name: f"POST {target} HTTP/1.1\r\n{of_forms if name in FORMS else lines}".encode()
        for name, target in targets(provider, base_url, api_version, upstream_model).items()
    }


def head_lines(origin: Origin, authenticated: str, content_type: str) -> str:
    """The header lines of every request. `authenticated`: those that carry the secret; `content_type` empty: there is no body.

    The answer is asked for as it is: compressing it would only be undone here.
    """
    headers = {"host": origin.authority, "accept": "*/*", "accept-encoding": "identity", "user-agent": "tollgate"}
    if content_type:
        headers["content-type"] = content_type
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + authenticated


def authentication_lines(provider: str, secret: str) -> str:
    """The header lines that carry the secret; none if there is none."""
    return "".join(f"{name}: {value}\r\n" for name, value in authentication(provider, secret).items())
