"""Reading Gemini's streams as they pass. They have no mark at their end: one that gave a finish reason is whole."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apps.core.errors import UpstreamMalformed
from apps.gateway.streams import StreamMeter, event_json, split_events
from apps.providers.dialects import gemini
from apps.providers.usage import Usage, gemini_searches, gemini_usage

ELEMENT_MAX = 16 * 1024 * 1024  # bytes


class GeminiMeter(StreamMeter):
    """generateContent as a stream: every event may tell usage, of which the last one counts; few of them are looked into."""

    __slots__ = ("_finished", "_latest", "_searches")

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._finished = False
        self._latest = b""  # the events that told usage last, not read yet
        self._searches: int | None = None

    def feed(self, chunk: bytes) -> bytes:
        """As above. Google ends lines with CRLF, which is looked through faster where a chunk ends with an event."""
        if self._pending or not chunk.endswith(b"\r\n\r\n"):
            return super().feed(chunk)
        self.size += len(chunk)
        self.events += chunk.count(b"\r\n\r\n")
        if self._unmeasured:
            self._measure(chunk)
        return self._scan(chunk) if self._is_interesting(chunk) else chunk

    def finish(self) -> bytes:
        """As above; whole if it gave a finish reason."""
        rest = super().finish()
        self._read_latest()
        self.complete = self.complete or self._finished
        return rest

    def spent(self, input_tokens: Callable[[], int]) -> Usage:
        """As above."""
        self._read_latest()
        return super().spent(input_tokens)

    def _begins(self, data: Mapping[str, Any]) -> bool:
        return bool(data.get("candidates"))

    def _is_interesting(self, data: bytes) -> bool:
        if b'"usageMetadata"' in data:
            self._latest = data
        return (
            b'"finishReason"' in data
            or b'"blockReason"' in data
            or b'"groundingMetadata"' in data
            or b'"error"' in data
        )

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        error = data.get("error")
        if isinstance(error, dict):
            status = error.get("status")
            self.error = status if isinstance(status, str) and status else "error"
            if not self._envelope:
                code = error.get("code")
                self.refusal = code if isinstance(code, int) and 400 <= code < 600 else 503, orjson.dumps(data)
            self.complete = True
            self._put_aside(event)
            return False
        feedback = data.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._finished = True
        candidates = data.get("candidates")
        if isinstance(candidates, list):
            self._finished = self._finished or any(
                isinstance(each, dict) and each.get("finishReason") for each in candidates
            )
            found = gemini_searches(data)
            if found is not None:  # told again in full, or added to: the most that was told
                self._searches = max(found, self._searches or 0)
        return False

    def _read_latest(self) -> None:
        for event in reversed(split_events(self._latest)):
            data = event_json(event)
            if isinstance(data.get("usageMetadata"), dict):
                self._learn(data)
                break
        self._latest = b""

    def _learn(self, data: Mapping[str, Any]) -> None:
        model = data.get("modelVersion")
        self.model = model if isinstance(model, str) and model else self.model
        self._take_usage(gemini_usage(data["usageMetadata"], searches=self._searches))


class GeminiArrayMeter(GeminiMeter):
    """The same for a client that asked for no events: the provider's become the elements of one JSON array, as they come.

    Elements leave whole, so none may be larger than what is kept of one event.
    """

    __slots__ = ("_opened", "_separator")

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._opened = False
        self._separator = b""

    def feed(self, chunk: bytes) -> bytes:
        """As above; returns elements, whole."""
        out = self._elements(super().feed(chunk))
        if len(self._pending) > ELEMENT_MAX:
            self._pending.clear()
            self.error, self.complete = "too_large", True
            out += gemini.array_error(
                UpstreamMalformed("A part of the answer is too large to be passed on."), self.events
            )
            return out
        return out + b"]" if self.complete else out

    def says_nothing(self, out: bytes) -> bool:
        """As above: no element has come."""
        return out in (b"", b"[")

    def finish(self) -> bytes:
        """As above, and the array's end, if it is whole."""
        out = self._elements(super().finish())
        return out + b"]" if self.complete else out

    def _elements(self, whole: bytes) -> bytes:
        parts = [] if self._opened else [b"["]
        self._opened = True
        for event in split_events(whole):
            data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
            if data:
                parts += (self._separator, data)
                self._separator = b",\r\n"
        return b"".join(parts)

    def _release_large(self) -> bytes:
        return b""
