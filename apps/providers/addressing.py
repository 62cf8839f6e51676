"""How each kind of provider is addressed and authenticated: pure functions from a credential's facts to paths and headers."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from apps.core import endpoints

PATHS = {
    endpoints.CHAT_COMPLETIONS: "/chat/completions",
    endpoints.RESPONSES: "/responses",
    endpoints.EMBEDDINGS: "/embeddings",
    endpoints.MODELS: "/models",
}
# Azure's dated API has the deployment in the path for these, and in the body for everything else.
_AZURE_BY_DEPLOYMENT = frozenset({endpoints.CHAT_COMPLETIONS, endpoints.EMBEDDINGS})

_AZURE = "azure_openai"


def targets(provider: str, base_url: str, api_version: str, upstream_model: str) -> Mapping[str, str]:
    """Path and query of each endpoint, for one model at one base URL.

    Azure's base URL may be given bare or with /openai or /openai/v1; an empty `api_version` means its v1 API.
    """
    base = quote(urlsplit(base_url).path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    if provider != _AZURE:
        return {name: base + path for name, path in PATHS.items()}
    root = base.removesuffix("/v1").removesuffix("/openai") + "/openai"
    if not api_version:
        return {name: f"{root}/v1{path}" for name, path in PATHS.items()}
    query = f"?api-version={quote(api_version, safe='')}"
    deployment = f"/deployments/{quote(upstream_model, safe='')}"
    return {
        name: root + (deployment if name in _AZURE_BY_DEPLOYMENT else "") + path + query for name, path in PATHS.items()
    }


def authentication(provider: str, secret: str) -> Mapping[str, str]:
    """The header that carries the secret; none if there is no secret."""
    if not secret:
        return {}
    return {"api-key": secret} if provider == _AZURE else {"authorization": f"Bearer {secret}"}


def secret_is_sendable(secret: str) -> bool:
    """Whether a secret can stand in a header: visible ASCII. Anything else could end the header and begin another."""
    return secret.isascii() and secret.isprintable()
