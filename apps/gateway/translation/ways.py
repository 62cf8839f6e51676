"""Which of a provider's endpoints can do a client's work: its own where the provider has it, else one to translate to."""

from collections.abc import Mapping

from apps.core import endpoints
from apps.gateway.directory.views import Route
from apps.gateway.surfaces import (
    BATCH_EMBED_CONTENTS,
    CHAT_COMPLETIONS,
    EMBEDDINGS,
    GENERATE_CONTENT,
    MESSAGES,
    RESPONSES,
    STREAM_GENERATE_CONTENT,
    Endpoint,
)

# What models are for that a translation leads to, as the book says; empty: it says nothing.
_TEXT_MODES = frozenset({"", "chat", "responses"})
_EMBEDDING_MODES = frozenset({"", "embedding"})
_EMBEDS = frozenset({endpoints.EMBEDDINGS, endpoints.EMBED_CONTENT, endpoints.BATCH_EMBED_CONTENTS})
# By the client's endpoint, best first: what is lost least on the way, and is found with the most providers.
_WAYS: Mapping[str, tuple[Endpoint, ...]] = {
    endpoints.CHAT_COMPLETIONS: (MESSAGES, GENERATE_CONTENT, RESPONSES),
    endpoints.RESPONSES: (CHAT_COMPLETIONS, MESSAGES, GENERATE_CONTENT),
    endpoints.MESSAGES: (CHAT_COMPLETIONS, GENERATE_CONTENT, RESPONSES),
    endpoints.GENERATE_CONTENT: (CHAT_COMPLETIONS, MESSAGES, RESPONSES),
    endpoints.STREAM_GENERATE_CONTENT: (CHAT_COMPLETIONS, MESSAGES, RESPONSES),
    endpoints.EMBEDDINGS: (BATCH_EMBED_CONTENTS,),
    endpoints.EMBED_CONTENT: (EMBEDDINGS,),
    endpoints.BATCH_EMBED_CONTENTS: (EMBEDDINGS,),
}
_COUNTED_FOR = {endpoints.COUNT_TOKENS: MESSAGES, endpoints.COUNT_CONTENT: GENERATE_CONTENT}
_RESPONSES_ONLY = "responses"  # as the book calls models that no other endpoint has


def way(route: Route, endpoint: Endpoint, *, stream: bool, lacks_it: bool = False) -> Endpoint | None:
    """The endpoint that the route is asked at for this one; the same where nothing need be translated; None: it cannot do it.

    `lacks_it`: its server turned out not to have it, whatever others of its kind have.
    """
    name, heads = endpoint.name, route.heads
    ways = _WAYS.get(name, ())
    if route.mode == _RESPONSES_ONLY and RESPONSES.name in heads and CHAT_COMPLETIONS in (endpoint, *ways):
        return endpoint if name == RESPONSES.name else RESPONSES
    if name in heads and not lacks_it:
        return endpoint
    if route.mode not in (_EMBEDDING_MODES if name in _EMBEDS else _TEXT_MODES):
        return None
    for found in ways:
        if found.name in heads:
            return STREAM_GENERATE_CONTENT if stream and found is GENERATE_CONTENT else found
    return None


def can_serve(route: Route, endpoint: Endpoint) -> bool:
    """Whether the route can answer calls of this endpoint at all.

    Counting tokens, if it can answer those that they are counted for: what its provider cannot count, we estimate.
    """
    if way(route, endpoint, stream=False) is not None:
        return True
    return endpoint.counted is not None and way(route, _COUNTED_FOR[endpoint.name], stream=False) is not None
