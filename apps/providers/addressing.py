"""How each kind of provider is addressed and authenticated: pure functions from a credential's facts to paths and headers."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from apps.core import endpoints
from apps.providers.kinds import kind_of, trimmed

# Azure's dated API has the deployment in the path for these, and in the body for everything else.
_AZURE_BY_DEPLOYMENT = frozenset(
    {
        endpoints.CHAT_COMPLETIONS,
        endpoints.COMPLETIONS,
        endpoints.EMBEDDINGS,
        endpoints.IMAGES,
        endpoints.IMAGE_EDITS,
        endpoints.SPEECH,
        endpoints.TRANSCRIPTIONS,
        endpoints.AUDIO_TRANSLATIONS,
    }
)

_AZURE = "azure_openai"


def targets(provider: str, base_url: str, api_version: str, upstream_model: str) -> Mapping[str, str]:
    """Path and query of each endpoint that the provider has, for one model at one base URL.

    Of a base URL that is given with what the paths begin with (Azure's with /openai or /openai/v1, Anthropic's with /v1), that part
    counts once. An empty `api_version` means Azure's v1 API.
    """
    base = _base(provider, base_url)
    if provider == _AZURE:
        return _azure_targets(base + "/openai", api_version, upstream_model)
    model = quote(upstream_model, safe="/")
    return {name: base + path.replace("{model}", model) for name, path in kind_of(provider).paths.items()}


def target_at(provider: str, base_url: str, api_version: str, path: str, query: str = "") -> str:
    """Path and query of anything else below the base URL, such as /files/file-1; both are to be given percent-encoded.

    At Azure below /openai/v1, or below /openai with the API's version in the query.
    """
    base = _base(provider, base_url)
    if provider == _AZURE:
        base += "/openai" if api_version else "/openai/v1"
        version = f"api-version={quote(api_version, safe='')}" if api_version else ""
        query = "&".join(part for part in (version, query) if part)
    return f"{base}{path}?{query}" if query else base + path


def paths_name_model(provider: str, api_version: str) -> bool:
    """Whether a model's name stands in the paths at which it is called."""
    return (
        bool(api_version) if provider == _AZURE else any("{model}" in path for path in kind_of(provider).paths.values())
    )


def _base(provider: str, base_url: str) -> str:
    return trimmed(provider, quote(urlsplit(base_url).path, safe="/%:@!$&'()*+,;=~-._"))


def _azure_targets(root: str, api_version: str, upstream_model: str) -> Mapping[str, str]:
    paths = kind_of(_AZURE).paths
    if not api_version:
        return {name: f"{root}/v1{path}" for name, path in paths.items()}
    query = f"?api-version={quote(api_version, safe='')}"
    deployment = f"/deployments/{quote(upstream_model, safe='')}"
    return {
        name: root + (deployment if name in _AZURE_BY_DEPLOYMENT else "") + path + query for name, path in paths.items()
    }


def authentication(provider: str, secret: str) -> Mapping[str, str]:
    """The header that carries the secret; none if there is no secret."""
    if not secret:
        return {}
    header = kind_of(provider).key_header
    return {header: f"Bearer {secret}" if header == "authorization" else secret}


def secret_is_sendable(secret: str) -> bool:
    """Whether a secret can stand in a header: visible ASCII. Anything else could end the header and begin another."""
    return secret.isascii() and secret.isprintable()
