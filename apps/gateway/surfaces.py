"""Which path is which endpoint, and in which dialect.

OpenAI's paths are under /v1 and /openai/v1, Azure OpenAI's dated ones under /openai, Anthropic's under /v1 and /anthropic/v1.
Models are listed at one path of /v1 for all: a request's headers say in whose form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from apps.core import endpoints
from apps.core.errors import InvalidValue, MethodNotAllowed, UnknownPath
from apps.gateway.streams import ChatMeter, MessagesMeter, ResponsesMeter, StreamMeter
from apps.providers.dialects import anthropic, openai
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
    # How it says a number of tokens. Where there is such a thing, counting them is all it does: it is free, and takes nothing of
    # limits and budgets.
    counted: Callable[[int], bytes] | None = None

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
MESSAGES = Endpoint(endpoints.MESSAGES, "POST", "/messages", dialect=anthropic.DIALECT, meter=MessagesMeter)
COUNT_TOKENS = Endpoint(
    endpoints.COUNT_TOKENS,
    "POST",
    "/messages/count_tokens",
    dialect=anthropic.DIALECT,
    writes=False,
    also=endpoints.MESSAGES,
    counted=anthropic.count_body,
)
MODELS = Endpoint(endpoints.MODELS, "GET", "/models")
ANTHROPIC_MODELS = Endpoint(endpoints.MODELS, "GET", "/models", dialect=anthropic.DIALECT)
# What a refusal is recorded under when no endpoint was recognized.
UNKNOWN = Endpoint("unknown", "", "")
ANTHROPIC_UNKNOWN = Endpoint("unknown", "", "", dialect=anthropic.DIALECT)

# Those that call a model, in the order that people are told of them.
CALLS = (CHAT_COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. `model`: the Azure deployment, or the model of GET /v1/models/{id}; it wins over the body's."""

    endpoint: Endpoint
    model: str | None = None


_OPERATIONS = {endpoint.path: endpoint for endpoint in (CHAT_COMPLETIONS, RESPONSES, EMBEDDINGS)}
_EXACT = {
    prefix + endpoint.path: Target(endpoint)
    for prefixes, served in (
        (("/v1", "/openai/v1", "/openai"), (*_OPERATIONS.values(), MODELS)),
        (("/v1", "/anthropic/v1"), (MESSAGES, COUNT_TOKENS)),
        (("/anthropic/v1",), (ANTHROPIC_MODELS,)),
    )
    for prefix in prefixes
    for endpoint in served
}
_MODEL_PREFIXES = {
    "/v1/models/": MODELS,
    "/openai/v1/models/": MODELS,
    "/openai/models/": MODELS,
    "/anthropic/v1/models/": ANTHROPIC_MODELS,
}
_DEPLOYMENTS = "/openai/deployments/"
PREFIXES = ("/v1", "/v1beta", "/openai", "/anthropic")


def is_data_plane(path: str) -> bool:
    """Whether the gateway answers this path, rather than Django."""
    return path.startswith(("/v1/", "/openai/", "/v1beta/", "/anthropic/")) or path in PREFIXES


def find_target(method: str, raw_path: str, headers: Mapping[bytes, bytes]) -> Target:
    """What this path (as sent, percent-encoded) and verb ask for. Raises UnknownPath, MethodNotAllowed, InvalidValue."""
    target = _EXACT.get(raw_path) or _find_by_pattern(raw_path.rstrip("/"))
    if target.endpoint is MODELS and raw_path.startswith("/v1/") and _is_anthropics(headers):
        target = Target(ANTHROPIC_MODELS, target.model)
    allowed = target.endpoint.method
    if method != allowed:
        raise MethodNotAllowed(
            f"{method} is not possible here: use {allowed}.", headers=((b"allow", allowed.encode()),)
        )
    return target


def unknown(raw_path: str, headers: Mapping[bytes, bytes]) -> Endpoint:
    """What a request that no endpoint was found for is refused as: in the dialect that its client probably speaks."""
    is_anthropics = raw_path.startswith(("/v1/messages", "/anthropic")) or _is_anthropics(headers)
    return ANTHROPIC_UNKNOWN if is_anthropics else UNKNOWN


def _is_anthropics(headers: Mapping[bytes, bytes]) -> bool:
    return b"anthropic-version" in headers or b"x-api-key" in headers


def _find_by_pattern(path: str) -> Target:
    if target := _EXACT.get(path):
        return target
    for prefix, listing in _MODEL_PREFIXES.items():
        if path.startswith(prefix):
            return Target(listing, _name(path[len(prefix) :], "model"))
    if path.startswith(_DEPLOYMENTS):
        deployment, slash, rest = path[len(_DEPLOYMENTS) :].partition("/")
        if endpoint := _OPERATIONS.get(slash + rest):
            return Target(endpoint, _name(deployment, "deployment"))
    raise UnknownPath(
        "This gateway does not serve this path. It serves chat/completions, responses, embeddings and models "
        "under /v1, /openai/v1 and /openai, and messages under /v1 and /anthropic/v1."
    )


def _name(encoded: str, what: str) -> str:
    name = unquote(encoded)  # once: what is still encoded after that is no model's name
    if not model_name_is_valid(name):
        raise InvalidValue(f"Invalid {what} in the path: use a name such as gpt-4o-mini.", param="model")
    return name
