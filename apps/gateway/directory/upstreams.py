"""How each kind of provider is addressed and authenticated: pure functions from a credential's facts to a request's head."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from apps.core import endpoints
from apps.gateway.upstream.pool import Origin

_PATHS = {
    endpoints.CHAT_COMPLETIONS: "/chat/completions",
    endpoints.RESPONSES: "/responses",
    endpoints.EMBEDDINGS: "/embeddings",
}
# Azure's dated API has the deployment in the path for these, and in the body for everything else.
_AZURE_BY_DEPLOYMENT = frozenset({endpoints.CHAT_COMPLETIONS, endpoints.EMBEDDINGS})

AZURE = "azure_openai"


def heads_for(
    provider: str, base_url: str, api_version: str, upstream_model: str, secret: str, origin: Origin
) -> Mapping[str, bytes]:
    """How a request's head begins for each endpoint: all but Content-Length and what the call adds.

    The answer is asked for as it is: compressing it would only be undone here.
    """
    headers = (
        f"host: {origin.authority}\r\ncontent-type: application/json\r\naccept: */*\r\n"
        f"accept-encoding: identity\r\nuser-agent: tollgate\r\n{_authentication(provider, secret)}"
    )
    return {
        name: f"POST {target} HTTP/1.1\r\n{headers}".encode()
        for name, target in targets_for(provider, base_url, api_version, upstream_model).items()
    }


def targets_for(provider: str, base_url: str, api_version: str, upstream_model: str) -> Mapping[str, str]:
    """The path and query of each endpoint, for one model at one credential."""
    base = quote(urlsplit(base_url).path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    if provider != AZURE:
        return {name: base + path for name, path in _PATHS.items()}
    root = base.removesuffix("/v1").removesuffix("/openai") + "/openai"
    if not api_version:
        return {name: f"{root}/v1{path}" for name, path in _PATHS.items()}
    query = f"?api-version={quote(api_version, safe='')}"
    deployment = f"/deployments/{quote(upstream_model, safe='')}"
    return {
        name: root + (deployment if name in _AZURE_BY_DEPLOYMENT else "") + path + query
        for name, path in _PATHS.items()
    }


def _authentication(provider: str, secret: str) -> str:
    if not secret:
        return ""
    return f"api-key: {secret}\r\n" if provider == AZURE else f"authorization: Bearer {secret}\r\n"


def secret_is_sendable(secret: str) -> bool:
    """Whether a secret can stand in a header: visible ASCII. Anything else could end the header and begin another."""
    return secret.isascii() and secret.isprintable()
