"""What a provider is: one row for each, with all that is the same for every account there. Pure.

To add one: a row here, a name in `apps.providers.models.Provider`, and the migration that Django asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from apps.core import endpoints

type Dialect = Literal["openai", "anthropic", "gemini"]

_CHAT, _RESPONSES, _COMPLETIONS, _EMBEDDINGS, _MODERATIONS, _IMAGES, _SPEECH, _MODELS = (
    endpoints.CHAT_COMPLETIONS,
    endpoints.RESPONSES,
    endpoints.COMPLETIONS,
    endpoints.EMBEDDINGS,
    endpoints.MODERATIONS,
    endpoints.IMAGES,
    endpoints.SPEECH,
    endpoints.MODELS,
)

_HEARING = (endpoints.TRANSCRIPTIONS, endpoints.AUDIO_TRANSLATIONS)
# What an account keeps for its caller: below these, objects by their ids.
_OBJECT_PATHS: Mapping[str, str] = {
    endpoints.FILES: "/files",
    endpoints.BATCHES: "/batches",
    endpoints.STORED_RESPONSES: "/responses",
}

# Below the base URL, by endpoint. `{model}` becomes the provider's name of the model.
OPENAI_PATHS: Mapping[str, str] = {
    _CHAT: "/chat/completions",
    _RESPONSES: "/responses",
    _COMPLETIONS: "/completions",
    _EMBEDDINGS: "/embeddings",
    _MODERATIONS: "/moderations",
    _IMAGES: "/images/generations",
    _SPEECH: "/audio/speech",
    endpoints.TRANSCRIPTIONS: "/audio/transcriptions",
    endpoints.AUDIO_TRANSLATIONS: "/audio/translations",
    endpoints.IMAGE_EDITS: "/images/edits",
    endpoints.IMAGE_VARIATIONS: "/images/variations",
    endpoints.INPUT_TOKENS: "/responses/input_tokens",
    endpoints.COMPACTION: "/responses/compact",
    **_OBJECT_PATHS,
    endpoints.RERANK: "/rerank",
    endpoints.REALTIME: "/realtime",
    _MODELS: "/models",
}
ANTHROPIC_PATHS: Mapping[str, str] = {
    endpoints.MESSAGES: "/v1/messages",
    endpoints.COUNT_TOKENS: "/v1/messages/count_tokens",
    _MODELS: "/v1/models?limit=1000",
}
GEMINI_PATHS: Mapping[str, str] = {
    endpoints.GENERATE_CONTENT: "/v1beta/models/{model}:generateContent",
    endpoints.STREAM_GENERATE_CONTENT: "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    endpoints.COUNT_CONTENT: "/v1beta/models/{model}:countTokens",
    endpoints.EMBED_CONTENT: "/v1beta/models/{model}:embedContent",
    endpoints.BATCH_EMBED_CONTENTS: "/v1beta/models/{model}:batchEmbedContents",
    _MODELS: "/v1beta/models?pageSize=1000",
}
# Cohere's own listing says which of its models chat; its endpoints in OpenAI's form have none.
_COHERE_PATHS: Mapping[str, str] = {
    _CHAT: "/compatibility/v1/chat/completions",
    _EMBEDDINGS: "/compatibility/v1/embeddings",
    endpoints.RERANK: "/v2/rerank",
    _MODELS: "/v1/models?page_size=1000",
}


def _having(*names: str) -> Mapping[str, str]:
    """Chat and a list of models, as everybody has them, and these."""
    return {name: path for name, path in OPENAI_PATHS.items() if name in {_CHAT, _MODELS, *names}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a provider is spoken to."""

    dialect: Dialect = "openai"
    base_url: str = ""  # where everybody's API begins; empty: every account says
    paths: Mapping[str, str] = field(default_factory=lambda: OPENAI_PATHS)  # the endpoints that it has
    within_paths: tuple[str, ...] = ()  # endings of a base URL that its paths begin with: they are cut off
    key_header: str = "authorization"  # there with the word Bearer, elsewhere alone
    needs_secret: bool = True
    listing_headers: Mapping[str, str] = field(
        default_factory=dict
    )  # what asking for its models needs beside the secret
    lists_what_can_be_called: bool = True  # by the names under which it is called
    takes_stream_options: bool = True  # False: it refuses the field, and a chat stream tells its usage unasked
    mends_chats: bool = True  # False: its chats' answers are all as OpenAI's clients read them, who were made for them
    output_cap: str = ""  # the only name under which chat takes the cap of its output; empty: either, or the newer one


KINDS: Mapping[str, Kind] = {
    "openai": Kind(
        base_url="https://api.openai.com/v1",
        paths={name: path for name, path in OPENAI_PATHS.items() if name != endpoints.RERANK},
        mends_chats=False,
    ),
    # Its paths are apps.providers.addressing's; what can be called there are deployments, which it does not list.
    "azure_openai": Kind(
        paths=_having(
            _RESPONSES,
            _COMPLETIONS,
            _EMBEDDINGS,
            _IMAGES,
            _SPEECH,
            endpoints.REALTIME,
            *_HEARING,
            endpoints.IMAGE_EDITS,
            *_OBJECT_PATHS,
        ),
        within_paths=("/v1", "/openai"),
        key_header="api-key",
        lists_what_can_be_called=False,
    ),
    "anthropic": Kind(
        dialect="anthropic",
        base_url="https://api.anthropic.com",
        paths=ANTHROPIC_PATHS,
        within_paths=("/v1",),
        key_header="x-api-key",
        listing_headers={"anthropic-version": "2023-06-01"},
    ),
    "gemini": Kind(
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com",
        paths=GEMINI_PATHS,
        within_paths=("/openai", "/v1", "/v1beta", "/v1alpha"),
        key_header="x-goog-api-key",
    ),
    "mistral": Kind(
        base_url="https://api.mistral.ai/v1",
        paths=_having(_EMBEDDINGS, _MODERATIONS, _SPEECH, endpoints.TRANSCRIPTIONS),
        takes_stream_options=False,
        output_cap="max_tokens",
    ),
    "cohere": Kind(
        base_url="https://api.cohere.com",
        paths=_COHERE_PATHS,
        within_paths=("/v1", "/v2", "/compatibility"),
        output_cap="max_tokens",
    ),
    "groq": Kind(base_url="https://api.groq.com/openai/v1", paths=_having(_RESPONSES, _SPEECH, *_HEARING)),
    "deepseek": Kind(base_url="https://api.deepseek.com", paths=_having(), output_cap="max_tokens"),
    "xai": Kind(
        base_url="https://api.x.ai/v1",
        paths=_having(_RESPONSES, _COMPLETIONS, _EMBEDDINGS, _IMAGES, endpoints.STORED_RESPONSES),
    ),
    "together": Kind(
        base_url="https://api.together.xyz/v1",
        paths=_having(_COMPLETIONS, _EMBEDDINGS, _IMAGES, _SPEECH, endpoints.RERANK, *_HEARING),
    ),
    "fireworks": Kind(
        base_url="https://api.fireworks.ai/inference/v1", paths=_having(_RESPONSES, _COMPLETIONS, _EMBEDDINGS)
    ),
    # Its /models answers anybody, so that it proves nothing of a key.
    "openrouter": Kind(
        base_url="https://openrouter.ai/api/v1",
        paths={**_having(_RESPONSES, _COMPLETIONS, _EMBEDDINGS), _MODELS: "/models/user"},
    ),
    "cerebras": Kind(base_url="https://api.cerebras.ai/v1", paths=_having(_COMPLETIONS)),
    "moonshot": Kind(base_url="https://api.moonshot.ai/v1", paths=_having()),
    "ollama": Kind(
        base_url="http://localhost:11434/v1",
        paths=_having(_RESPONSES, _COMPLETIONS, _EMBEDDINGS),
        needs_secret=False,
        output_cap="max_tokens",
    ),
    "openai_compatible": Kind(needs_secret=False),
    "sandbox": Kind(
        paths=_having(_RESPONSES, _EMBEDDINGS),
        needs_secret=False,
        lists_what_can_be_called=False,
        mends_chats=False,
    ),
}


def kind_of(provider: str) -> Kind:
    """What is known of a provider. Raises KeyError for a name that is none."""
    return KINDS[provider]


def trimmed(provider: str, base_url: str) -> str:
    """A base URL, or its path, as paths are appended to it: no slash at its end, nor what the paths begin with."""
    kept = base_url.rstrip("/")
    for ending in KINDS[provider].within_paths:
        kept = kept.removesuffix(ending).rstrip("/")
    return kept
