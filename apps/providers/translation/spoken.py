"""What a dialect offers to translation, under the same names for each. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from apps.providers.translation.form import Answer, Event, Failed, Request
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How an answer presents itself to the client."""

    id: str  # the gateway's id of the request, 32 hexadecimal digits: ids of answers and items are made of it
    model: str  # as the client asked for it
    created: int  # Unix seconds
    input_tokens: int  # an estimate, for dialects that tell it before anybody knows


class StreamReader(Protocol):
    """Reads a provider's stream. Knows nothing of who listens."""

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes bring: they may begin and end anywhere. What is empty, broken or unknown is passed over.

        `Begun` is first, `Ended` or `Failed` last, each once; nothing comes after. What a dialect repeats is told once.
        """

    def finish(self) -> list[Event]:
        """The bytes are over. `Ended`, if the stream is whole though it had no last event; nothing otherwise: it has broken off."""


class StreamWriter(Protocol):
    """Writes a client's stream: a legal sequence of its dialect's events for every sequence that a reader gives."""

    events: int  # how many have been written

    def feed(self, events: list[Event]) -> bytes:
        """The events as the client reads them, whole ones; `Failed` becomes the dialect's error event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One dialect.

    Readers of requests raise BadRequest naming the field, in the client's words. Readers of answers raise ValueError (of which
    msgspec's and orjson's errors are) for what is no answer of the dialect.
    """

    name: str  # as signatures' origins are called
    title: str  # as messages call it, such as "Anthropic's Messages"
    # body, model (of the path, or empty), stream (of the path; None: the body says).
    read_request: Callable[[bytes, str, bool | None], Request]
    # The body, which asks for Upstream.model, capped at Request.max_output.
    write_request: Callable[[Request, Upstream, Losses], bytes]
    read_answer: Callable[[bytes], Answer]
    write_answer: Callable[[Answer, Request, Shown], bytes]
    # The request is the one that the answer is for.
    stream_reader: Callable[[Request], StreamReader]
    stream_writer: Callable[[Request, Shown], StreamWriter]
    # status, body: what a refusal says, in whatever form the provider gives it.
    read_error: Callable[[int, bytes], Failed]
