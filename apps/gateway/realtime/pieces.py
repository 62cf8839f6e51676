"""What a session is paid for piece by piece: each response and each transcription has a hold of its own, and its own record.

A piece is held for before it can begin, since a provider that listens begins by itself. It is priced and recorded before the event
that ends it reaches the client; what ends without one, is estimated.
"""

import time
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from apps.audit.record import MAX_LENGTHS, clean_text
from apps.core import endpoints
from apps.core.errors import GatewayError
from apps.gateway.directory.views import ModelView, Route, TokenView
from apps.gateway.exchange import Attempt, Exchange
from apps.gateway.governance.admission import Admission
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import OUTPUT_UNKNOWN, Bounds
from apps.gateway.governance.hearing import HEARING
from apps.gateway.governance.making import Made
from apps.gateway.surfaces import Endpoint, Target
from apps.providers.usage import Answer, Usage

_CONTEXT_UNKNOWN = 128_000  # tokens that a model keeps of a session, where nobody has told us
_HEARD_TOKENS, _SPOKEN_TOKENS = 10, 20  # of a second of audio, as OpenAI counts it: in, and out
_BYTES = 4  # of text, a token


@dataclass(frozen=True, slots=True)
class PieceHead:
    """What admission asks of a request, of what a session is made of."""

    model: str | None = None
    end_user: str = ""
    most: Bounds | None = None
    seconds: int = 0  # of audio that is to be transcribed, as far as it has come
    seconds_most: int = 0

    stream: ClassVar[bool] = True
    asks_for_usage: ClassVar[bool] = True
    tags: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[int] = 1
    service_tier: ClassVar[str | None] = None
    background: ClassVar[bool] = False
    points_elsewhere: ClassVar[bool] = False
    pointers: ClassVar[tuple[bytes, ...]] = ()
    max_searches: ClassVar[int] = 0

    def output_cap(self, _endpoint: str) -> int | None:
        """The cap is in what it uses at most."""
        return None


def _bounds(head: PieceHead, _body: bytes) -> Bounds:
    return head.most or HEARING.bounds(head, b"")


def _read(_body: bytes) -> Answer:
    return Answer()


def _used(_head: PieceHead, _body: bytes, told: Usage | None, **_: object) -> Usage:
    return told or Usage()


_MADE = Made(_bounds, _read, _used)
RESPONSE, TRANSCRIPTION = (
    Endpoint(name, "GET", "/realtime", writes=False, takes="piece", made=_MADE, also=endpoints.REALTIME)
    for name in (endpoints.REALTIME_RESPONSE, endpoints.REALTIME_TRANSCRIPTION)
)


@dataclass(slots=True)
class Paid:
    """What pieces are paid for: a model, and the routes that may serve it. `routes` shrinks to what was connected to."""

    token: TokenView
    model: ModelView
    routes: tuple[Route, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def route(self) -> Route:
        """The first, or only one."""
        return self.routes[0]


class Piece:
    """One of them: what is held for it, and its record."""

    __slots__ = ("exchange", "paid", "spoken", "written")

    def __init__(self, exchange: Exchange, paid: Paid) -> None:
        self.exchange, self.paid = exchange, paid
        self.spoken = 0.0  # seconds of audio that came
        self.written = 0  # bytes of text

    def begin(self, upstream_id: str) -> None:
        """The provider is at work on it."""
        exchange = self.exchange
        exchange.started = time.perf_counter_ns()
        attempt = Attempt(self.paid.route, exchange.endpoint)
        attempt.is_sent, attempt.status = True, 200
        attempt.request_id = clean_text(upstream_id, MAX_LENGTHS["upstream_request_id"])
        exchange.attempts.append(attempt)

    def end(self, usage: Usage | None, error: GatewayError | None = None, code: str = "") -> None:
        """Price it, record it, settle it. `usage` None: it used nothing.

        `error`: why it broke off; `code`: why the provider says that it failed.
        """
        exchange = self.exchange
        exchange.usage = usage or exchange.usage
        attempt = exchange.attempts[-1]
        if error is not None:
            attempt.fail(error.code)
            exchange.record(error.status, error)
        else:
            attempt.error = clean_text(code, 64)
            exchange.record(200, upstream_code=attempt.error)

    def drop(self) -> None:
        """It has not been needed: what is held is given back, and there is nothing to record."""
        self.exchange.hold.settle(Usage(), 0)


class Till:
    """Takes pieces from limits and budgets."""

    def __init__(self, session: Exchange, admission: Admission) -> None:
        self._session, self._admission = session, admission

    async def take(self, paid: Paid, endpoint: Endpoint, head: PieceHead) -> Piece:
        """A piece that is held for. Raises what admission does; the session's record then says what was asked."""
        exchange = self._session.beside(endpoint)
        exchange.token = paid.token
        exchange.stream = True
        exchange.model_asked = paid.model.name
        call = Call(paid.token, Target(endpoint), head, b"", paid.model, paid.routes, paid.skipped, stream=True)
        try:
            exchange.hold = await self._admission.admit(exchange, call)
        except GatewayError:
            self._session.decision = exchange.decision or self._session.decision
            raise
        paid.routes, paid.skipped = call.routes, call.skipped
        return Piece(exchange, paid)

    def unheld(self, paid: Paid, endpoint: Endpoint) -> Piece:
        """A piece that has begun though nothing could be held for it: it is recorded, and its budgets are built anew."""
        exchange = self._session.beside(endpoint)
        exchange.stream = True
        exchange.hold = self._admission.uncounted(exchange, paid.token.governor)
        exchange.model_asked = paid.model.name
        return Piece(exchange, paid)


class Conversation:
    """What a session knows of its own length, for what nobody tells."""

    def __init__(self) -> None:
        self._text = self._sound = 0  # tokens
        self._text_bytes = 0
        self._seconds = 0.0

    def hear(self, seconds: float) -> None:
        """The client has sent audio."""
        self._seconds += seconds

    def read(self, size: int) -> None:
        """The client has sent so many bytes of anything else."""
        self._text_bytes += size

    def learn(self, usage: Usage) -> None:
        """A response has told what it saw and said: all of that is what the next one sees."""
        self._text = sum(
            filter(None, (usage.input, usage.cache_read, usage.image_input, usage.image_cache_read, usage.output))
        )
        self._sound = sum(filter(None, (usage.audio_input, usage.audio_cache_read, usage.audio_output)))
        self._text_bytes, self._seconds = 0, 0.0

    def estimate(self, piece: Piece) -> Usage:
        """Usage of a response that nobody told."""
        return Usage(
            input=self._text + ceil(self._text_bytes / _BYTES),
            audio_input=self._sound + ceil(self._seconds * _HEARD_TOKENS),
            output=ceil(piece.written / _BYTES),
            audio_output=ceil(piece.spoken * _SPOKEN_TOKENS),
            estimated=True,
        )


def response_head(paid: Paid, cap: int | None) -> PieceHead:
    """The most that a response uses: all that its model keeps of a session, and its longest answer, all of it sound."""
    return PieceHead(
        most=Bounds(
            input_tokens=max(route.context or _CONTEXT_UNKNOWN for route in paid.routes),
            output_tokens=cap or max(route.longest or OUTPUT_UNKNOWN for route in paid.routes),
            audio=True,
            images=True,
            searches=0,
        )
    )
