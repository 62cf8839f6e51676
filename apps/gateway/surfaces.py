"""Which path is which endpoint: OpenAI's paths under /v1 and /openai/v1, and Azure OpenAI's dated ones under /openai."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from apps.core import endpoints
from apps.core.errors import InvalidValue, MethodNotAllowed, UnknownPath
from apps.gateway.streams import ChatMeter, ResponsesMeter, StreamMeter
from apps.providers.dialects import openai
from apps.providers.dialects.dialect import Dialect
from apps.providers.names import model_name_is_valid


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that a client can ask for, whichever path it came by."""

    name: str  # as in records and metrics
    method: str
    path: str  # below /v1
    dialect: Dialect = openai.DIALECT
    meter: Callable[..., StreamMeter] = ChatMeter
    usage_on_request: bool = False  # a stream tells its usage only if asked to
    writes: bool = True  # its answers have output tokens, and may be streamed
    also: str = ""  # the endpoint that scopes and policies mean where they mean this one; empty: itself

    @property
    def scope(self) -> str:
        """What a token's scopes and policies call it."""
        return self.also or self.name


CHAT_COMPLETIONS = Endpoint(endpoints.CHAT_COMPLETIONS, "POST", "/chat/completions", usage_on_request=True)
RESPONSES = Endpoint(
    endpoints.RESPONSES,
    "POST",
    "/responses",
    meter=ResponsesMeter,
)
EMBEDDINGS = Endpoint(endpoints.EMBEDDINGS, "POST", "/embeddings", writes=False)
MODELS = Endpoint(endpoints.MODELS, "GET", "/models")
# What a refusal is recorded under when no endpoint was recognized.
UNKNOWN = Endpoint("unknown", "", "")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. `model`: the Azure deployment, or the model of GET /v1/models/{id}; it wins over the body's."""

    endpoint: Endpoint
    model: str | None = None


_OPERATIONS = {endpoint.path: endpoint for endpoint in (CHAT_COMPLETIONS, RESPONSES, EMBEDDINGS)}
_EXACT = {
    prefix + endpoint.path: Target(endpoint)
    for prefix in ("/v1", "/openai/v1", "/openai")
    for endpoint in (*_OPERATIONS.values(), MODELS)
}
_MODEL_PREFIXES = ("/v1/models/", "/openai/v1/models/", "/openai/models/")
_DEPLOYMENTS = "/openai/deployments/"
PREFIXES = ("/v1", "/v1beta", "/openai")


def is_data_plane(path: str) -> bool:
    """Whether the gateway answers this path, rather than Django."""
    return path.startswith(("/v1/", "/openai/", "/v1beta/")) or path in PREFIXES


def find_target(method: str, raw_path: str) -> Target:
    """What this path (as sent, percent-encoded) and verb ask for. Raises UnknownPath, MethodNotAllowed, InvalidValue."""
    target = _EXACT.get(raw_path) or _find_by_pattern(raw_path.rstrip("/"))
    allowed = target.endpoint.method
    if method != allowed:
        raise MethodNotAllowed(
            f"{method} is not possible here: use {allowed}.", headers=((b"allow", allowed.encode()),)
        )
    return target


def _find_by_pattern(path: str) -> Target:
    if target := _EXACT.get(path):
        return target
    for prefix in _MODEL_PREFIXES:
        if path.startswith(prefix):
            return Target(MODELS, _name(path[len(prefix) :], "model"))
    if path.startswith(_DEPLOYMENTS):
        deployment, slash, rest = path[len(_DEPLOYMENTS) :].partition("/")
        if endpoint := _OPERATIONS.get(slash + rest):
            return Target(endpoint, _name(deployment, "deployment"))
    raise UnknownPath(
        "This gateway does not serve this path. It serves chat/completions, responses, embeddings and models "
        "under /v1, /openai/v1 and /openai."
    )


def _name(encoded: str, what: str) -> str:
    name = unquote(encoded)  # once: what is still encoded after that is no model's name
    if not model_name_is_valid(name):
        raise InvalidValue(f"Invalid {what} in the path: use a name such as gpt-4o-mini.", param="model")
    return name
