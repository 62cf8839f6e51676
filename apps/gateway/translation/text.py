"""One call whose client and provider speak different dialects: its request read once, written for each provider that is asked."""

from collections.abc import Callable, Sequence

from apps.core.errors import UpstreamMalformed
from apps.gateway.directory.views import Route
from apps.gateway.streams import StreamMeter
from apps.gateway.surfaces import STREAM_GENERATE_ARRAY, Endpoint
from apps.gateway.translation.refusal import UpstreamRefusal
from apps.gateway.translation.stream import TranslatedStream
from apps.providers.translation.called import called_by
from apps.providers.translation.gemini import array_of
from apps.providers.translation.losses import Losses
from apps.providers.translation.registry import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage

# What a request goes on from: without it, all that was said before would be gone, which no policy can want.
_CONTINUED = frozenset({"previous_response_id", "conversation"})


class TextTranslation:
    """Between any two of chat, Responses, Messages and generateContent."""

    __slots__ = ("_cap", "_endpoint", "_lost", "_request", "_shown", "_spoken")

    def __init__(
        self,
        endpoint: Endpoint,
        body: bytes,
        model: str,
        *,
        stream: bool,
        shown: Callable[[], Shown],
        lost: Sequence[str] = (),
    ) -> None:
        """`model`, `stream`: as the gateway has read them. `shown` is asked once there is an answer. `lost`: what of its headers
        other dialects have no words for. Raises BadRequest."""
        self._endpoint = endpoint
        self._spoken = SPOKEN[endpoint.name]
        self._request = self._spoken.read_request(body, model, stream)
        self._cap = self._request.max_output
        self._shown = shown
        self._lost = lost

    def write(self, route: Route, way: Endpoint, mode: str, cap: int | None) -> tuple[bytes, str]:
        """The body for the route's provider; and the names of what it loses, for the header that tells (empty: nothing).

        `cap`: the output tokens that a policy allows at most; None: what the client asked for. Raises UnsupportedParameter.
        """
        request, spoken = self._request, SPOKEN[way.name]
        request.max_output = self._cap if cap is None else cap
        losses = Losses(mode, spoken.title)
        for field in request.left:
            losses.hint(field)
        for field in self._lost:
            losses.hint(field)
        for field, remedy in request.fatal.items():
            if field in _CONTINUED:
                losses.impossible(field, remedy)
            losses.meaning(field, remedy)
        losses.called = called_by(self._spoken.name)  # what the reader has left out it has called so itself
        return spoken.write_request(request, route.upstream, losses), losses.header

    def answer(self, way: Endpoint, body: bytes, usage: Usage) -> bytes:
        """A whole answer. `usage`: what the call used, for where it does not tell. Raises UpstreamMalformed, UpstreamRefusal."""
        try:
            answer = SPOKEN[way.name].read_answer(body)
        except ValueError as exc:
            raise UpstreamMalformed from exc
        if answer.error is not None:
            raise UpstreamRefusal(answer.error, answer.error.status or 502)
        if answer.usage is None:
            answer.usage = usage
        return self._spoken.write_answer(answer, self._request, self._shown())

    def refusal(self, way: Endpoint, status: int, body: bytes) -> UpstreamRefusal:
        """What the provider's refusal says."""
        return UpstreamRefusal(SPOKEN[way.name].read_error(status, body), status)

    def stream(self, way: Endpoint, meter: StreamMeter) -> TranslatedStream:
        """What stands between the provider's stream, which `meter` measures, and the client's."""
        writer = self._spoken.stream_writer(self._request, self._shown())
        if self._endpoint is STREAM_GENERATE_ARRAY:
            writer = array_of(writer)
        return TranslatedStream(meter, SPOKEN[way.name].stream_reader(self._request), writer, self._endpoint.dialect)
