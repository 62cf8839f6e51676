"""Which translation a call needs."""

from collections.abc import Callable, Mapping

from apps.gateway.governance.estimates import estimated_input
from apps.gateway.surfaces import Endpoint
from apps.gateway.translation.embedding import EmbeddingTranslation
from apps.gateway.translation.text import TextTranslation
from apps.gateway.translation.translation import Translation
from apps.providers.betas import headers_lost
from apps.providers.translation.spoken import Shown


def translation_of(
    endpoint: Endpoint,
    body: bytes,
    model: str,
    *,
    request_id: str,
    at: float,
    stream: bool,
    headers: Mapping[bytes, bytes],
) -> Translation:
    """A call's request, read for other dialects. Raises BadRequest naming the field.

    `model`: as the client calls it. `at`: when it came (Unix seconds). `headers`: the client's.
    """
    lost = headers_lost(headers, endpoint.dialect.to_upstream)
    if not endpoint.writes:
        return EmbeddingTranslation(endpoint, body, model, lost=lost)
    return TextTranslation(endpoint, body, model, stream=stream, shown=_shown(body, model, request_id, at), lost=lost)


def _shown(body: bytes, model: str, request_id: str, at: float) -> Callable[[], Shown]:
    # Nothing of the call itself stays in here: a ring of references would live on until the collector finds it.
    return lambda: Shown(id=request_id, model=model, created=int(at), input_tokens=estimated_input(body))
