"""One call for embeddings whose client and provider speak different dialects."""

from collections.abc import Sequence
from typing import NoReturn

from apps.core.errors import UpstreamMalformed
from apps.gateway.directory.views import Route
from apps.gateway.streams import StreamMeter
from apps.gateway.surfaces import Endpoint
from apps.gateway.translation.refusal import UpstreamRefusal
from apps.providers.dialects import gemini as gemini_dialect
from apps.providers.translation import chat, gemini
from apps.providers.translation.embeddings import GEMINI, OPENAI, SpokenEmbeddings
from apps.providers.translation.losses import Losses
from apps.providers.usage import Usage


class EmbeddingTranslation:
    """Between OpenAI's embeddings and Gemini's."""

    __slots__ = ("_client", "_lost", "_model", "_request")

    def __init__(self, endpoint: Endpoint, body: bytes, model: str, *, lost: Sequence[str] = ()) -> None:
        """`model`: as the client calls it. `lost`: as TextTranslation's. Raises BadRequest naming the field."""
        self._lost = lost
        self._client = _spoken(endpoint)
        self._request = self._client.read_request(body, model)
        self._model = model

    def write(self, route: Route, way: Endpoint, mode: str, cap: int | None) -> tuple[bytes, str]:
        """As Translation's."""
        del cap  # vectors have no length that anybody could bound
        losses = Losses(mode, "Gemini's embeddings" if _spoken(way) is GEMINI else "OpenAI's embeddings")
        for field in (*self._request.left, *self._lost):
            losses.hint(field)
        for field, remedy in self._request.fatal.items():
            losses.meaning(field, remedy)
        return _spoken(way).write_request(self._request, route.upstream, losses), losses.header

    def answer(self, way: Endpoint, body: bytes, usage: Usage) -> bytes:
        """As Translation's."""
        try:
            answer = _spoken(way).read_answer(body)
        except ValueError as exc:
            raise UpstreamMalformed from exc
        if answer.usage is None:
            answer.usage = usage
        return self._client.write_answer(answer, self._request, self._model)

    def refusal(self, way: Endpoint, status: int, body: bytes) -> UpstreamRefusal:
        """As Translation's."""
        spoken = gemini.SPOKEN if _spoken(way) is GEMINI else chat.SPOKEN
        return UpstreamRefusal(spoken.read_error(status, body), status)

    def stream(self, way: Endpoint, meter: StreamMeter) -> NoReturn:
        """Raises UpstreamMalformed: there are no streams of vectors, and none was asked for."""
        del way, meter
        raise UpstreamMalformed


def _spoken(endpoint: Endpoint) -> SpokenEmbeddings:
    return GEMINI if endpoint.dialect is gemini_dialect.DIALECT else OPENAI
