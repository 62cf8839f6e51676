"""Which path is which endpoint, and in which dialect.

OpenAI's paths are under /v1 and /openai/v1, Azure OpenAI's dated ones under /openai, Anthropic's under /v1 and /anthropic/v1,
Gemini's under /v1, /v1beta and /v1alpha, and the same under /gemini. Models are listed at one path of /v1 for all: a request's
headers say in whose form.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, unquote

from apps.core import endpoints
from apps.core.errors import InvalidValue, MethodNotAllowed, ObjectNotFound, UnknownPath
from apps.gateway.gemini_streams import GeminiArrayMeter, GeminiMeter
from apps.gateway.governance.hearing import HEARING
from apps.gateway.governance.making import EDITS, NOTHING, PICTURES, SHOWN, SPEAKING, Made
from apps.gateway.governance.ranking import RANKING
from apps.gateway.media_streams import ImagesMeter, SpeechMeter, TranscriptMeter
from apps.gateway.streams import ChatMeter, MessagesMeter, ResponsesMeter, StreamMeter
from apps.policies.counters.plan import Part
from apps.providers.dialects import anthropic, gemini, openai
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
    stream_type: bytes = b""  # the content type of its streams; empty: the provider's
    usage_on_request: bool = False  # a stream tells its usage only if asked to
    writes: bool = True  # its answers hold text, which a cap of output tokens bounds
    made: Made | None = None  # what they hold instead; what is neither text nor that comes in no stream
    is_free: bool = False  # without a price it costs nothing, and uses nothing but what the provider tells
    takes_form: bool = False  # its requests are forms with files
    repeatable: bool = True  # False: what has begun to be sent is not sent again
    keeps: bool = False  # what services keep with providers: no model is asked (apps.gateway.objects)
    also: str = ""  # the endpoint that scopes and policies mean where they mean this one; empty: itself
    # How it says a number of tokens. Where there is such a thing, counting them is all it does: it is free, and takes nothing of
    # limits and budgets.
    counted: Callable[[int], bytes] | None = None
    takes: Part = "all"  # of limits and budgets

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
COMPLETIONS = Endpoint(endpoints.COMPLETIONS, "POST", "/completions", usage_on_request=True)
EMBEDDINGS = Endpoint(endpoints.EMBEDDINGS, "POST", "/embeddings", writes=False)
MODERATIONS = Endpoint(endpoints.MODERATIONS, "POST", "/moderations", writes=False, is_free=True)
IMAGES = Endpoint(endpoints.IMAGES, "POST", "/images/generations", writes=False, meter=ImagesMeter, made=PICTURES)
SPEECH = Endpoint(endpoints.SPEECH, "POST", "/audio/speech", writes=False, meter=SpeechMeter, made=SPEAKING)
TRANSCRIPTIONS = Endpoint(
    endpoints.TRANSCRIPTIONS,
    "POST",
    "/audio/transcriptions",
    writes=False,
    meter=TranscriptMeter,
    made=HEARING,
    takes_form=True,
    repeatable=False,
)
AUDIO_TRANSLATIONS = replace(
    TRANSCRIPTIONS, name=endpoints.AUDIO_TRANSLATIONS, path="/audio/translations", also=endpoints.TRANSCRIPTIONS
)
IMAGE_EDITS = Endpoint(
    endpoints.IMAGE_EDITS,
    "POST",
    "/images/edits",
    writes=False,
    meter=ImagesMeter,
    made=EDITS,
    takes_form=True,
    repeatable=False,
)
IMAGE_VARIATIONS = replace(
    IMAGE_EDITS, name=endpoints.IMAGE_VARIATIONS, path="/images/variations", also=endpoints.IMAGE_EDITS
)
# What a responses call would count as input, and a conversation made shorter by the model.
INPUT_TOKENS = Endpoint(
    endpoints.INPUT_TOKENS,
    "POST",
    "/responses/input_tokens",
    writes=False,
    also=endpoints.RESPONSES,
    counted=openai.count_body,
)
COMPACTION = Endpoint(endpoints.COMPACTION, "POST", "/responses/compact", also=endpoints.RESPONSES)
# Files, batches and stored responses. Each is asked where it is kept, and costs nothing by itself.
FILE_LIST = Endpoint(
    endpoints.FILES, "GET", "/files", writes=False, is_free=True, takes="limits", made=SHOWN, keeps=True
)
FILE_CREATE = replace(FILE_LIST, method="POST", takes_form=True, repeatable=False)
FILE_SHOW = replace(FILE_LIST, path="/files/{id}")
FILE_DELETE = replace(FILE_SHOW, method="DELETE")
FILE_CONTENT = replace(FILE_LIST, path="/files/{id}/content", made=replace(SHOWN, is_json=False))
BATCH_LIST = replace(FILE_LIST, name=endpoints.BATCHES, path="/batches")
BATCH_CREATE = replace(BATCH_LIST, method="POST", repeatable=False)
BATCH_SHOW = replace(BATCH_LIST, path="/batches/{id}")
BATCH_CANCEL = replace(BATCH_LIST, method="POST", path="/batches/{id}/cancel")
RESPONSE_SHOW = replace(
    FILE_LIST,
    name=endpoints.STORED_RESPONSES,
    path="/responses/{id}",
    meter=ResponsesMeter,
    also=endpoints.RESPONSES,
)
RESPONSE_DELETE = replace(RESPONSE_SHOW, method="DELETE")
RESPONSE_CANCEL = replace(RESPONSE_SHOW, method="POST", path="/responses/{id}/cancel")
RESPONSE_INPUT = replace(RESPONSE_SHOW, path="/responses/{id}/input_items")
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
GENERATE_CONTENT = Endpoint(
    endpoints.GENERATE_CONTENT, "POST", "/models/{model}:generateContent", dialect=gemini.DIALECT, meter=GeminiMeter
)
STREAM_GENERATE_CONTENT = Endpoint(
    endpoints.STREAM_GENERATE_CONTENT,
    "POST",
    "/models/{model}:streamGenerateContent",
    dialect=gemini.DIALECT,
    meter=GeminiMeter,
    also=endpoints.GENERATE_CONTENT,
)
# Without ?alt=sse: the provider is asked for events all the same.
STREAM_GENERATE_ARRAY = replace(
    STREAM_GENERATE_CONTENT, dialect=gemini.ARRAY_DIALECT, meter=GeminiArrayMeter, stream_type=b"application/json"
)
COUNT_CONTENT = Endpoint(
    endpoints.COUNT_CONTENT,
    "POST",
    "/models/{model}:countTokens",
    dialect=gemini.DIALECT,
    writes=False,
    also=endpoints.GENERATE_CONTENT,
    counted=gemini.count_body,
)
EMBED_CONTENT = Endpoint(
    endpoints.EMBED_CONTENT,
    "POST",
    "/models/{model}:embedContent",
    dialect=gemini.DIALECT,
    writes=False,
    also=endpoints.EMBEDDINGS,
)
BATCH_EMBED_CONTENTS = Endpoint(
    endpoints.BATCH_EMBED_CONTENTS,
    "POST",
    "/models/{model}:batchEmbedContents",
    dialect=gemini.DIALECT,
    writes=False,
    also=endpoints.EMBEDDINGS,
)
RERANK = Endpoint(endpoints.RERANK, "POST", "/rerank", writes=False, made=RANKING)
# A session over a WebSocket, what is said in it (apps.gateway.realtime), and secrets that open one.
REALTIME = Endpoint(endpoints.REALTIME, "GET", "/realtime", writes=False, is_free=True, takes="limits", made=NOTHING)
REALTIME_SECRETS = Endpoint(
    endpoints.REALTIME_SECRETS,
    "POST",
    "/realtime/client_secrets",
    writes=False,
    is_free=True,
    takes="limits",
    made=NOTHING,
    also=endpoints.REALTIME,
)
MODELS = Endpoint(endpoints.MODELS, "GET", "/models")
ANTHROPIC_MODELS = Endpoint(endpoints.MODELS, "GET", "/models", dialect=anthropic.DIALECT)
GEMINI_MODELS = Endpoint(endpoints.MODELS, "GET", "/models", dialect=gemini.DIALECT)
# What a refusal is recorded under when no endpoint was recognized.
UNKNOWN = Endpoint("unknown", "", "")
ANTHROPIC_UNKNOWN = Endpoint("unknown", "", "", dialect=anthropic.DIALECT)
GEMINI_UNKNOWN = Endpoint("unknown", "", "", dialect=gemini.DIALECT)

# What others than OpenAI keep, which is not served.
_FOREIGN = (
    *("/v1/messages/batches", "/anthropic/v1/messages/batches", "/anthropic/v1/files"),
    *("/upload/", "/v1beta/files", "/v1beta/batches", "/v1alpha/files", "/gemini/upload", "/gemini/v1beta/files"),
)
_NOT_KEPT = (
    "Files and batches are served in OpenAI's form alone, under /v1, /openai/v1 and /openai: send contents inline, or use a client "
    "of OpenAI's without the headers of others."
)

# Where models are called, as people are told of it: whoever serves another endpoint serves one of these.
CALLS = (CHAT_COMPLETIONS, RESPONSES, EMBEDDINGS, MESSAGES, GENERATE_CONTENT, EMBED_CONTENT)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for. `model`: the model that the path names, or the Azure deployment; it wins over the body's.

    `kept`: the id of the object that it names.
    """

    endpoint: Endpoint
    model: str | None = None
    kept: str = ""


_FORMS = (TRANSCRIPTIONS, AUDIO_TRANSLATIONS, IMAGE_EDITS, IMAGE_VARIATIONS)
_OPENAI = (
    CHAT_COMPLETIONS,
    RESPONSES,
    COMPLETIONS,
    EMBEDDINGS,
    MODERATIONS,
    IMAGES,
    SPEECH,
    RERANK,
    INPUT_TOKENS,
    COMPACTION,
    *_FORMS,
)
_OPERATIONS = {endpoint.path: endpoint for endpoint in _OPENAI}
_EXACT = {
    prefix + endpoint.path: Target(endpoint)
    for prefixes, served in (
        (("/v1", "/openai/v1", "/openai"), (*_OPERATIONS.values(), REALTIME, REALTIME_SECRETS, MODELS)),
        (("/v2",), (RERANK,)),
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
_KEPT: dict[str, dict[str, Endpoint]] = {}
for _endpoint in (
    *(FILE_LIST, FILE_CREATE, FILE_SHOW, FILE_DELETE, FILE_CONTENT),
    *(BATCH_LIST, BATCH_CREATE, BATCH_SHOW, BATCH_CANCEL),
    *(RESPONSE_SHOW, RESPONSE_DELETE, RESPONSE_CANCEL, RESPONSE_INPUT),
):
    _KEPT.setdefault(_endpoint.path, {})[_endpoint.method] = _endpoint
_KEPT_PATH = re.compile(r"(?:/openai)?(?:/v1)?/(files|batches|responses)(?:/([^/]+)(/[a-z_]+)?)?")
_KEPT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_GEMINI = "/gemini"
_GEMINI_VERSIONS = ("/v1/models", "/v1beta/models", "/v1alpha/models")
_VERBS = {
    endpoint.path.rpartition(":")[2]: endpoint
    for endpoint in (GENERATE_CONTENT, STREAM_GENERATE_CONTENT, COUNT_CONTENT, EMBED_CONTENT, BATCH_EMBED_CONTENTS)
}
PREFIXES = ("/v1", "/v2", "/v1beta", "/v1alpha", "/openai", "/anthropic", _GEMINI, "/upload")
_BELOW = tuple(prefix + "/" for prefix in PREFIXES)


def is_data_plane(path: str) -> bool:
    """Whether the gateway answers this path, rather than Django."""
    return path.startswith(_BELOW) or path in PREFIXES


def find_target(method: str, raw_path: str, headers: Mapping[bytes, bytes], query: bytes = b"") -> Target:
    """What this path (as sent, percent-encoded) and verb ask for. Raises UnknownPath, MethodNotAllowed, InvalidValue."""
    target = _EXACT.get(raw_path) or _find_by_pattern(method, raw_path.rstrip("/"))
    if target.endpoint.keeps and raw_path.startswith("/v1/") and _listing(headers, query) is not MODELS:
        raise UnknownPath(_NOT_KEPT)
    if target.endpoint is MODELS and raw_path.startswith("/v1/"):
        target = Target(_listing(headers, query), target.model)
    elif target.endpoint is STREAM_GENERATE_CONTENT and method == "POST" and _asked(query, "alt") != "sse":
        target = Target(STREAM_GENERATE_ARRAY, target.model)
    allowed = target.endpoint.method
    if method != allowed:
        raise MethodNotAllowed(
            f"{method} is not possible here: use {allowed}.", headers=((b"allow", allowed.encode()),)
        )
    return target


def unknown(raw_path: str, headers: Mapping[bytes, bytes], query: bytes = b"") -> Endpoint:
    """What a request that no endpoint was found for is refused as: in the dialect that its client probably speaks."""
    if raw_path.startswith(("/v1beta", "/v1alpha", _GEMINI, "/upload")):
        return GEMINI_UNKNOWN
    if raw_path.startswith(("/v1/messages", "/anthropic")):
        return ANTHROPIC_UNKNOWN
    listing = _listing(headers, query)
    if listing is GEMINI_MODELS:
        return GEMINI_UNKNOWN
    return ANTHROPIC_UNKNOWN if listing is ANTHROPIC_MODELS else UNKNOWN


def is_kept_id(value: object) -> bool:
    """Whether it can be the id of an object, and stand in a path."""
    return isinstance(value, str) and _KEPT_ID.fullmatch(value) is not None


def key_of(query: bytes) -> str:
    """The token that a query carries as `key`, as Gemini's plain callers do; empty if none."""
    return _asked(query, "key") if b"key=" in query else ""


def _asked(query: bytes, name: str) -> str:
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name)
    return found[-1] if found else ""


def _listing(headers: Mapping[bytes, bytes], query: bytes) -> Endpoint:
    """In whose form models are listed where the path does not say."""
    if b"anthropic-version" in headers:
        return ANTHROPIC_MODELS
    if b"x-goog-api-key" in headers or b"x-goog-api-client" in headers or key_of(query):
        return GEMINI_MODELS
    return ANTHROPIC_MODELS if b"x-api-key" in headers else MODELS


def _find_by_pattern(method: str, path: str) -> Target:
    if target := _EXACT.get(path) or _find_geminis(path):
        return target
    for prefix, listing in _MODEL_PREFIXES.items():
        if path.startswith(prefix):
            return Target(listing, _name(path[len(prefix) :], "model"))
    if path.startswith(_DEPLOYMENTS):
        deployment, slash, rest = path[len(_DEPLOYMENTS) :].partition("/")
        if endpoint := _OPERATIONS.get(slash + rest):
            return Target(endpoint, _name(deployment, "deployment"))
    if target := _find_kept(method, path):
        return target
    if path.startswith(_FOREIGN):
        raise UnknownPath(_NOT_KEPT)
    raise UnknownPath(
        "This gateway does not serve this path. It serves chat/completions, responses, completions, embeddings, "
        "moderations, images/generations, images/edits, images/variations, audio/speech, audio/transcriptions, "
        "audio/translations, files, batches, rerank, realtime and models under /v1, /openai/v1 and /openai, messages "
        "under /v1 and /anthropic/v1, and models/{model}:generateContent, :streamGenerateContent, :countTokens, :embedContent and "
        ":batchEmbedContents under /v1, /v1beta and /v1alpha."
    )


def _find_kept(method: str, path: str) -> Target | None:
    """`/v1/files`, `/v1/files/{id}`, `/v1/files/{id}/content`, and so on. Raises MethodNotAllowed, ObjectNotFound."""
    found = _KEPT_PATH.fullmatch(path)
    if found is None:
        return None
    pattern = f"/{found[1]}" + ("/{id}" if found[2] else "") + (found[3] or "")
    methods = _KEPT.get(pattern)
    if methods is None:
        return None
    endpoint = methods.get(method)
    if endpoint is None:
        allowed = ", ".join(methods)
        raise MethodNotAllowed(
            f"{method} is not possible here: use {allowed}.", headers=((b"allow", allowed.encode()),)
        )
    if found[2] and not is_kept_id(found[2]):
        raise ObjectNotFound("No object has such an id.", param="id")
    return Target(endpoint, kept=found[2] or "")


def _find_geminis(path: str) -> Target | None:
    """`/v1beta/models`, `/v1beta/models/{model}`, `/v1beta/models/{model}:{verb}`. Models may hold slashes and colons; under /v1,
    where others list theirs, only what has one of the verbs is Gemini's."""
    is_own = path.startswith(_GEMINI + "/")
    inner = path.removeprefix(_GEMINI) if is_own else path
    version = next((each for each in _GEMINI_VERSIONS if inner.startswith(each)), None)
    if version is None:
        return None
    rest = inner[len(version) :]
    name, colon, verb = unquote(rest).rpartition(":")
    if colon and (endpoint := _VERBS.get(verb)):
        return Target(endpoint, _name(name.removeprefix("/"), "model", encoded=False))
    if not is_own and version == "/v1/models":
        return None
    if not rest:
        return Target(GEMINI_MODELS)
    return Target(GEMINI_MODELS, _name(rest[1:], "model")) if rest.startswith("/") else None


def _name(text: str, what: str, *, encoded: bool = True) -> str:
    name = unquote(text) if encoded else text  # once: what is still encoded after that is no model's name
    if not model_name_is_valid(name):
        raise InvalidValue(f"Invalid {what} in the path: use a name such as gpt-4o-mini.", param="model")
    return name
