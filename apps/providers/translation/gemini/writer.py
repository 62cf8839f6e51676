"""Writing streams for Gemini's clients. Pure.

Each event is a GenerateContentResponse of its own. Calls are told whole, since there is no way to tell a piece of one. There are no
marks, names and comments: Google's own client takes none.
"""

from typing import Any

import orjson

from apps.core.errors import UpstreamError
from apps.providers.dialects.gemini import error_body
from apps.providers.translation.form import (
    Begun,
    Citation,
    Cited,
    Ended,
    Event,
    Failed,
    Finish,
    Finished,
    ImageMade,
    Json,
    RefusalDelta,
    Request,
    Signed,
    TextDelta,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.gemini import parts
from apps.providers.translation.gemini.answers import malformed
from apps.providers.translation.gemini.chances import write_chances
from apps.providers.translation.gemini.citations import Measure, grounding_metadata
from apps.providers.translation.gemini.counts import usage_metadata
from apps.providers.translation.gemini.words import MALFORMED_CALL, reason_of
from apps.providers.translation.spoken import Shown, StreamWriter
from apps.providers.usage import Usage

_END = b"\r\n\r\n"


class _Call:
    """A call of which more may come."""

    __slots__ = ("arguments", "begun", "tried")

    def __init__(self, begun: ToolBegun) -> None:
        self.begun = begun
        self.arguments: list[str] = []
        self.tried = 0  # how many pieces there were when it was found not to be whole

    @property
    def may_be_whole(self) -> bool:
        """Whether it is worth looking; a custom tool's text has no end of its own."""
        pieces = self.arguments
        return len(pieces) > self.tried and pieces[-1].rstrip().endswith("}") and not self.begun.custom


class _Candidate:
    """One of the answers, as far as it has come. `calls`: those that are not told yet, in order."""

    __slots__ = ("begin", "broken", "calls", "citations", "end", "finish", "texts")

    def __init__(self, index: int, tail: bytes) -> None:
        self.begin = b'data: {"candidates":[{"content":{"parts":['
        self.end = b'],"role":"model"},"index":%d}]%b' % (index, tail)
        self.texts: list[str] = []
        self.calls: dict[int, _Call] = {}
        self.citations: list[Citation] = []
        self.finish: Finish | None = None
        self.broken = ""  # the name of a call whose arguments are no object


class GeminiWriter:
    """A StreamWriter of streamGenerateContent's events. The reasons for the end are told with the last one, beside the usage."""

    __slots__ = ("_candidates", "_over", "_tail", "_thoughts", "_usage", "events")

    def __init__(self, request: Request, shown: Shown) -> None:
        self.events = 0
        self._thoughts = request.reasoning is not None and request.reasoning.shown is True
        named = orjson.dumps({"modelVersion": shown.model, "responseId": shown.id})
        self._tail = b"," + named[1:] + _END
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Usage | None = None
        self._over = False

    def feed(self, events: list[Event]) -> bytes:
        """As StreamWriter says."""
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            if type(event) is TextDelta and event.text and not event.logprobs:  # nearly always
                candidate = self._candidates.get(event.choice) or self._candidate(event.choice)
                if candidate.calls:
                    self._tell_calls(candidate, out)
                candidate.texts.append(event.text)
                out += (candidate.begin, b'{"text":', orjson.dumps(event.text), b"}", candidate.end)
                self.events += 1
            else:
                self._write(event, out)
        return b"".join(out)

    def _write(self, event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                self._text(event, out)
            case ThinkingDelta():
                if self._thoughts:
                    self._part(event.choice, {"text": event.text, "thought": True}, out)
            case Signed():
                for part in parts.thought("", event.signature, event.origin, redacted=event.redacted):
                    self._part(event.choice, part, out)
            case ToolBegun():
                candidate = self._candidate(event.choice)
                self._tell_calls(candidate, out)
                candidate.calls.setdefault(event.index, _Call(event))
            case ToolDelta():
                call = self._candidate(event.choice).calls.get(event.index)
                if call is not None:
                    call.arguments.append(event.arguments)
            case ImageMade():
                for part in parts.shown(event.image):
                    self._part(event.choice, part, out)
            case Cited():
                self._candidate(event.choice).citations.append(event.citation)
            case Finished():
                candidate = self._candidate(event.choice)
                candidate.finish = event.finish
                self._tell_calls(candidate, out, last=True)
            case Begun() | Used():
                self._usage = event.usage or self._usage
            case Ended():
                self._end(out)
            case Failed():
                self._over = True
                self._event(b"data: " + _error(event) + _END, out)
            case _:  # nothing says that the provider is still there
                pass

    def _candidate(self, index: int) -> _Candidate:
        return self._candidates.get(index) or self._candidates.setdefault(index, _Candidate(index, self._tail))

    def _event(self, event: bytes, out: list[bytes]) -> None:
        out.append(event)
        self.events += 1

    def _part(self, choice: int, part: Json, out: list[bytes]) -> None:
        candidate = self._candidate(choice)
        self._tell_calls(candidate, out)
        self._event(candidate.begin + orjson.dumps(part) + candidate.end, out)

    def _text(self, event: TextDelta | RefusalDelta, out: list[bytes]) -> None:
        candidate = self._candidate(event.choice)
        self._tell_calls(candidate, out)
        candidate.texts.append(event.text)
        chances = event.logprobs if isinstance(event, TextDelta) else None
        if not event.text and not chances:
            return
        told: Json = {"content": {"parts": [{"text": event.text}], "role": "model"}, "index": event.choice}
        if chances:
            told["logprobsResult"] = write_chances(chances)
        self._event(b'data: {"candidates":[' + orjson.dumps(told) + b"]" + self._tail, out)

    def _tell_calls(self, candidate: _Candidate, out: list[bytes], *, last: bool = False) -> None:
        """Tells the calls that are whole, in order; with the `last` one, all. Of an object that is whole nothing more can come."""
        for index, call in list(candidate.calls.items()):
            if not last and not call.may_be_whole:
                return
            begun = call.begun
            arguments = "".join(call.arguments)
            made = parts.called(begun.id, begun.name, arguments, begun.signature, begun.origin, custom=begun.custom)
            if made is not None:
                self._event(candidate.begin + orjson.dumps(made) + candidate.end, out)
            elif last:
                candidate.broken = candidate.broken or begun.name
            else:
                call.tried = len(call.arguments)
                return
            del candidate.calls[index]

    def _end(self, out: list[bytes]) -> None:
        """Tells why the answers ended, and what they used."""
        self._over = True
        if not self._candidates:
            self._candidate(0)
        told = [self._ended(index, candidate, out) for index, candidate in self._candidates.items()]
        last: dict[str, Any] = {"candidates": told}
        if self._usage is not None:
            last["usageMetadata"] = usage_metadata(self._usage)
        self._event(b"data: " + orjson.dumps(last)[:-1] + self._tail, out)

    def _ended(self, index: int, candidate: _Candidate, out: list[bytes]) -> Json:
        self._tell_calls(candidate, out, last=True)
        reason = reason_of(candidate.finish or "stop")
        told: Json = {"content": {"parts": [{"text": ""}], "role": "model"}}
        if candidate.broken and reason == "STOP":
            reason = MALFORMED_CALL
            told["finishMessage"] = malformed(candidate.broken)
        told["finishReason"] = reason
        told["index"] = index
        if candidate.citations:
            measure = Measure("".join(candidate.texts))
            told["groundingMetadata"] = grounding_metadata((each, measure, None) for each in candidate.citations)
        return told


class ArrayWriter:
    """The same for clients that asked for no events: each becomes an element of one JSON array, as it comes."""

    __slots__ = ("_writer", "events")

    def __init__(self, writer: StreamWriter) -> None:
        self.events = 0
        self._writer = writer

    def feed(self, events: list[Event]) -> bytes:
        """As StreamWriter says. The array begins with its first element: until then the answer may still become another."""
        elements = [event.removeprefix(b"data: ") for event in self._writer.feed(events).split(_END) if event]
        if not elements:
            return b""
        begin = b",\r\n" if self.events else b"["
        self.events += len(elements)
        end = b"]" if any(isinstance(event, Ended | Failed) for event in events) else b""
        return begin + b",\r\n".join(elements) + end


def array_of(writer: StreamWriter) -> StreamWriter:
    """A writer of one JSON array, of a writer of Gemini's events."""
    return ArrayWriter(writer)


def _error(failure: Failed) -> bytes:
    """Google's envelope, with the provider's own code as its reason."""
    error = UpstreamError(failure.message or None, param=failure.param or None)
    error.status = failure.status or 502
    error.code = failure.code or error.code
    return error_body(error)
