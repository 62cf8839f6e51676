"""A provider's stream on its way to a client of another dialect: measured as it comes, written as the client reads it."""

from collections.abc import Callable
from typing import Protocol

from apps.core.errors import UpstreamDisconnected, UpstreamMalformed
from apps.gateway.streams import StreamMeter
from apps.gateway.translation.refusal import UpstreamRefusal
from apps.providers.dialects.dialect import Dialect
from apps.providers.translation.form import Begun, Ended, Event, Failed, Ping, Used
from apps.providers.translation.spoken import StreamReader, StreamWriter
from apps.providers.usage import Usage

# What begins no answer: a failure that follows is an answer of its own, and another attempt may be made.
_SILENT = (Begun, Ping, Used, Failed)


class Passing(Protocol):
    """A stream on its way to the client, as the relay knows it: a StreamMeter, or what stands around one."""

    @property
    def complete(self) -> bool:
        """The answer is whole, or has failed: nothing follows."""

    @property
    def error(self) -> str:
        """What the provider called its failure, if it said so in the stream."""

    @property
    def refusal(self) -> tuple[int, bytes] | None:
        """The failure as an answer of its own, status and body, where no text came before it."""

    @property
    def model(self) -> str:
        """As the provider named it."""

    @property
    def usage(self) -> Usage | None:
        """As far as the provider has told it."""

    @property
    def events(self) -> int:
        """How many have been given back."""

    @property
    def is_inside_event(self) -> bool:
        """Whether what has been given back ends in the middle of an event."""

    def feed(self, chunk: bytes) -> bytes:
        """Take in one chunk; returns what to forward now."""

    def finish(self) -> bytes:
        """The provider has nothing more to say; returns what to forward still."""

    def says_nothing(self, out: bytes) -> bool:
        """Whether the answer has yet to begin, where `out` was given back last, and nothing before it that says more."""

    def spent(self, input_tokens: Callable[[], int]) -> Usage:
        """What the stream used, estimated where the provider did not tell. `input_tokens` estimates its input."""


class TranslatedStream:
    """A stream between a reader of the provider's dialect and a writer of the client's."""

    __slots__ = ("_dialect", "_has_begun", "_meter", "_reader", "_writer", "complete", "error", "refusal")

    def __init__(self, meter: StreamMeter, reader: StreamReader, writer: StreamWriter, dialect: Dialect) -> None:
        """`dialect`: the client's."""
        self._meter, self._reader, self._writer, self._dialect = meter, reader, writer, dialect
        self._has_begun = False  # text, thoughts, a call or the end has come
        self.complete = False
        self.error = ""
        self.refusal: tuple[int, bytes] | None = None

    @property
    def model(self) -> str:
        """As the provider named it."""
        return self._meter.model

    @property
    def usage(self) -> Usage | None:
        """As far as the provider has told it."""
        return self._meter.usage

    @property
    def events(self) -> int:
        """How many the client has been sent."""
        return self._writer.events

    @property
    def is_inside_event(self) -> bool:
        """Events leave whole."""
        return False

    def feed(self, chunk: bytes) -> bytes:
        """Take in one chunk; returns what to forward now. Raises UpstreamMalformed, UpstreamDisconnected."""
        meter = self._meter
        meter.feed(chunk)
        out = self._write(self._read(chunk))
        if meter.complete and not self.complete:
            out += self._end()
        return out

    def finish(self) -> bytes:
        """The provider has nothing more to say; returns what to forward still, if the answer is whole."""
        self._meter.finish()
        return self._write(self._reader.finish())

    def says_nothing(self, _out: bytes) -> bool:
        """Whether nothing but a beginning, pings and usage has come."""
        return not self._has_begun

    def spent(self, input_tokens: Callable[[], int]) -> Usage:
        """As the meter has measured it."""
        return self._meter.spent(input_tokens)

    def _read(self, chunk: bytes) -> list[Event]:
        try:
            return self._reader.feed(chunk)
        except ValueError as exc:
            raise UpstreamMalformed("A part of the provider's answer is too large to be translated.") from exc

    def _end(self) -> bytes:
        """The last event has come. What the reader does not take for the end was none."""
        out = self._write(self._reader.finish())
        if not self.complete:
            raise UpstreamDisconnected
        return out

    def _write(self, events: list[Event]) -> bytes:
        if not events:
            return b""
        last = events[-1]
        if not self._has_begun:
            self._has_begun = not all(isinstance(event, _SILENT) for event in events)
        if isinstance(last, Failed):
            self.complete = True
            self.error = last.code or last.type or "error"
            if not self._has_begun:
                refusal = UpstreamRefusal(last, last.status or 502)
                self.refusal = self._dialect.status(refusal), self._dialect.error_body(refusal, "")
        elif isinstance(last, Ended):
            self.complete = True
        return self._writer.feed(events)
