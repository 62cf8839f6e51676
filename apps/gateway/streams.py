"""Reading event streams as they pass: usage, the terminal event, the place where one event ends and the next begins.

Bytes are relayed as they come. Nothing is built per event but for the few that may carry usage; chunk boundaries may fall anywhere.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from apps.providers.usage import Usage, openai_usage

# A blank line ends an event; lines end in LF, CRLF or CR. Atomic, or a single CRLF would read as two line ends.
_BLANK = re.compile(rb"(?>\r\n|\n|\r){2}")
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]")
_TERMINAL = re.compile(rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"')

# A piece of an event is held back until the event is whole, so that an error event of ours never lands inside another: up to this
# size. A larger event passes in pieces; beyond the second size it is not kept for reading either.
_HELD_MAX = 64 * 1024
_EVENT_MAX = 16 * 1024 * 1024


class StreamMeter:
    """What has passed of one stream. Feed it every chunk; forward what it gives back: whole events, but for very large ones."""

    __slots__ = ("_first_size", "_hide", "_pending", "_released", "complete", "events", "model", "size", "usage")

    def __init__(self, *, hide_usage: bool = False) -> None:
        """`hide_usage`: take out the usage event, which we asked for and the client did not."""
        self.usage: Usage | None = None
        self.model = ""  # as the provider named it
        self.complete = False  # the terminal event has been seen: the answer is whole
        self.events = 0
        self.size = 0
        self._first_size = 0
        self._hide = hide_usage
        self._pending = bytearray()  # the event that is not whole yet
        self._released = 0  # how much of it has been given back all the same

    def feed(self, chunk: bytes) -> bytes:
        """Take in one chunk; returns what to forward now, which mostly is `chunk` itself."""
        self.size += len(chunk)
        if self._pending or not chunk.endswith(b"\n\n") or b"\r" in chunk:
            return self._feed_slowly(chunk)
        self.events += chunk.count(b"\n\n")
        if not self._first_size:
            self._first_size = self.size // self.events
        return self._scan(chunk) if self._is_interesting(chunk) else chunk

    def finish(self) -> bytes:
        """The stream has ended: take what is left for an event; returns what to forward still."""
        rest, released = bytes(self._pending), self._released
        self._pending.clear()
        self._released = 0
        if rest and self._is_interesting(rest):
            rest = self._scan(rest, whole_first=released > 0)
        return rest[released:]

    @property
    def is_inside_event(self) -> bool:
        """Whether what has been given back so far ends in the middle of an event."""
        return self._released > 0

    def estimated_output(self) -> int:
        """Tokens that have passed, where the provider never said: an event is a token, or four bytes of its text are.

        The first event of a stream carries no text, so its size is what an event costs without any.
        """
        if not self.events:
            return 0
        return max(self.events - 1, (self.size - self.events * self._first_size) // 4, 1)

    def _feed_slowly(self, chunk: bytes) -> bytes:
        pending = self._pending
        searched = max(0, len(pending) - 3)
        pending += chunk
        cut = 0
        for blank in _BLANK.finditer(pending, searched):
            if blank.end() == len(pending) and blank.group() == b"\r\n\r":
                break  # half of the second CRLF: the rest of it is this event's too
            self.events += 1
            cut = blank.end()
            if not self._first_size:
                self._first_size = cut
        if not cut:
            return self._release_large()
        whole, released = bytes(pending[:cut]), self._released
        del pending[:cut]
        self._released = 0
        if self._is_interesting(whole):
            whole = self._scan(whole, whole_first=released > 0)
        return whole[released:] + self._release_large()

    def _release_large(self) -> bytes:
        """Pass on what cannot be held back any longer."""
        pending = self._pending
        if len(pending) <= _HELD_MAX and not self._released:
            return b""
        out = bytes(pending[self._released :])
        if len(pending) > _EVENT_MAX:
            del pending[:-3]  # the end of an event may straddle two chunks
        self._released = len(pending)
        return out

    def _scan(self, whole: bytes, *, whole_first: bool = False) -> bytes:
        """Read the events of `whole` that matter; returns it without those to hide (never the first, if part of it is out)."""
        kept = []
        for number, event in enumerate(split_events(whole)):
            is_extra = self._is_interesting(event) and self._read(event)
            if not (is_extra and self._hide) or (whole_first and number == 0):
                kept.append(event)
        return b"".join(kept)

    def _is_interesting(self, data: bytes) -> bool:
        raise NotImplementedError

    def _read(self, event: bytes) -> bool:
        """Learn from one event; returns whether it is the extra usage event."""
        raise NotImplementedError


class ChatMeter(StreamMeter):
    """Chat completions: usage in any event (the last one said counts), `[DONE]` at the end."""

    __slots__ = ("_finished",)

    def __init__(self, *, hide_usage: bool = False) -> None:
        super().__init__(hide_usage=hide_usage)
        self._finished = False

    def finish(self) -> bytes:
        """As above. Some providers send no `[DONE]`: a stream that gave a finish reason is whole all the same."""
        rest = super().finish()
        self.complete = self.complete or self._finished
        return rest

    def _is_interesting(self, data: bytes) -> bool:
        if not self._finished:
            self._finished = b'"finish_reason":"' in data or b'"finish_reason": "' in data
        return b"[DONE]" in data or (b'"usage"' in data and _USAGE.search(data) is not None)

    def _read(self, event: bytes) -> bool:
        if b"[DONE]" in event and _DONE.search(event):
            self.complete = True
            return False
        data = event_json(event)
        raw = data.get("usage")
        if not isinstance(raw, dict):
            return False
        self.usage = openai_usage(raw) or self.usage
        self.model = _text(data.get("model")) or self.model
        return data.get("choices") == []


class ResponsesMeter(StreamMeter):
    """Responses: usage is in the terminal event, with the whole response."""

    __slots__ = ()

    def _is_interesting(self, data: bytes) -> bool:
        return (b"response." in data or b'"error"' in data) and _TERMINAL.search(data) is not None

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        response = data.get("response")
        if _text(data.get("type")) in {"response.completed", "response.incomplete", "response.failed", "error"}:
            self.complete = True
        if isinstance(response, dict):
            self.model = _text(response.get("model")) or self.model
            if isinstance(response.get("usage"), dict):
                self.usage = openai_usage(response["usage"]) or self.usage
        return False


def split_events(data: bytes) -> list[bytes]:
    """The events of `data`, each with the blank line that ends it; the last one may lack it."""
    if b"\r" not in data:  # nearly always, and many times faster than looking at every byte
        parts = data.split(b"\n\n")
        rest = parts.pop()
        events = [part + b"\n\n" for part in parts]
        return [*events, rest] if rest else events
    events, start = [], 0
    for blank in _BLANK.finditer(data):
        events.append(data[start : blank.end()])
        start = blank.end()
    return [*events, data[start:]] if start < len(data) else events


def event_json(event: bytes) -> Mapping[str, Any]:
    """The JSON object of an event's data lines; empty if there is none or it cannot be read."""
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        data = orjson.loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
