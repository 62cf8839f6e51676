"""How each kind of provider is addressed and authenticated: pure functions from a credential's facts to URLs and headers."""

from collections.abc import Mapping
from urllib.parse import quote

from multidict import CIMultiDict
from yarl import URL

from apps.core import endpoints

_PATHS = {
    endpoints.CHAT_COMPLETIONS: "/chat/completions",
    endpoints.RESPONSES: "/responses",
    endpoints.EMBEDDINGS: "/embeddings",
}
# Azure's dated API has the deployment in the path for these, and in the body for everything else.
_AZURE_BY_DEPLOYMENT = frozenset({endpoints.CHAT_COMPLETIONS, endpoints.EMBEDDINGS})

AZURE = "azure_openai"


def urls_for(provider: str, base_url: str, api_version: str, upstream_model: str) -> Mapping[str, URL]:
    """The URL of each endpoint for one model at one credential."""
    base = base_url.rstrip("/")
    if provider != AZURE:
        return {name: URL(base + path, encoded=True) for name, path in _PATHS.items()}
    root = base.removesuffix("/v1").removesuffix("/openai") + "/openai"
    if not api_version:
        return {name: URL(f"{root}/v1{path}", encoded=True) for name, path in _PATHS.items()}
    query = f"?api-version={quote(api_version, safe='')}"
    deployment = f"/deployments/{quote(upstream_model, safe='')}"
    return {
        name: URL(root + (deployment if name in _AZURE_BY_DEPLOYMENT else "") + path + query, encoded=True)
        for name, path in _PATHS.items()
    }


def headers_for(provider: str, secret: str) -> CIMultiDict[str]:
    """The headers of every call with this secret. The body is asked for as it is: compressing it would only be undone here."""
    headers = CIMultiDict(
        {
            "content-type": "application/json",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": "tollgate/0.1",
        }
    )
    if secret and provider == AZURE:
        headers["api-key"] = secret
    elif secret:
        headers["authorization"] = f"Bearer {secret}"
    return headers
