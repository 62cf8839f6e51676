"""Reading event streams as they pass: usage, the terminal event, the place where one event ends and the next begins.

Bytes are relayed as they come. Nothing is built per event but for the few that may carry usage; chunk boundaries may fall anywhere.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from apps.providers.dialects import anthropic
from apps.providers.refusals import openai_refusal
from apps.providers.told_json import loads
from apps.providers.translation.chat.errors import failure_in
from apps.providers.translation.chat.mending import mended_event, needs_mending
from apps.providers.usage import (
    Usage,
    anthropic_usage,
    completed,
    openai_searches,
    openai_usage,
    tell_later,
    tier_name,
    written_size,
)

# A blank line ends an event; lines end in LF, CRLF or CR. Atomic, or a single CRLF would read as two line ends.
_BLANK = re.compile(rb"(?>\r\n|\n|\r){2}")
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]")
_TERMINAL = re.compile(rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"')
_MATTERS = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed|[a-z_.]+\.(?:done|partial_image))|error)"'
)
_MESSAGE = re.compile(
    rb'"type"\s*:\s*"(?:message_(?:start|delta|stop)|content_block_st(?:art|op)|signature_delta|error)"'
)

# Events that begin no answer: comments, pings, and what has no data at all.
_NOTHING = re.compile(
    rb"(?:(?:(?::|event:|id:|retry:)[^\r\n]*|data: ?(?:\{\s*\"type\"\s*:\s*\"(?:ping|keepalive)\"[^\r\n]*)?)?(?:\r\n|\n|\r))*+"
)

# A piece of an event is held back until the event is whole, so that an error event of ours never lands inside another: up to this
# size. A larger event passes in pieces; beyond the second size it is not kept for reading either.
_HELD_MAX = 64 * 1024
_EVENT_MAX = 16 * 1024 * 1024

# How many events with text are looked at to know what the envelope around it weighs.
_SAMPLES = 2
# Up to which length OpenAI pads the text of an event, so that nobody on the line can read it from the sizes.
_PADDED = 16


class StreamMeter:
    """What has passed of one stream. Feed it every chunk; forward what it gives back: whole events, but for very large ones."""

    __slots__ = (
        "_answers",
        "_aside",
        "_aside_size",
        "_envelope",
        "_hide",
        "_pending",
        "_released",
        "_told_at",
        "_unmeasured",
        "complete",
        "error",
        "events",
        "model",
        "refusal",
        "size",
        "tier",
        "usage",
    )

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        """`hide_usage`: take out the usage event, which we asked for and the client did not. `answers`: how many were asked for."""
        self.usage: Usage | None = None
        self.model = ""  # as the provider named it
        self.complete = False  # the terminal event has been seen: the answer is whole, or has failed
        self.error = ""  # what the provider called its failure, if it said so in the stream
        # The failure as an answer of its own, status and body, where no text came before it.
        self.refusal: tuple[int, bytes] | None = None
        self.events = 0
        self.size = 0
        self.tier = ""  # as in Usage
        self._told_at = 0  # how many events had come when usage was told last
        self._envelope = 0  # size of an event but for the text in it, the least of the first few
        self._unmeasured = _SAMPLES  # how many of those are still to come
        self._aside = self._aside_size = 0  # events known to bring no new text, and their size
        self._hide = hide_usage
        self._answers = answers
        self._pending = bytearray()  # the event that is not whole yet
        self._released = 0  # how much of it has been given back all the same

    def feed(self, chunk: bytes) -> bytes:
        """Take in one chunk; returns what to forward now, which mostly is `chunk` itself."""
        self.size += len(chunk)
        if self._pending or not chunk.endswith(b"\n\n") or b"\r" in chunk:
            return self._feed_slowly(chunk)
        self.events += chunk.count(b"\n\n")
        if self._unmeasured:
            self._measure(chunk)
        return self._scan(chunk) if self._is_interesting(chunk) else chunk

    def finish(self) -> bytes:
        """The stream has ended: take what is left for an event; returns what to forward still."""
        rest, released = bytes(self._pending), self._released
        self._pending.clear()
        self._released = 0
        if rest:
            self._aside -= 1  # it is not among the events that were counted, but weighs what they do
            if self._unmeasured:
                self._measure(rest)
        if rest and self._is_interesting(rest):
            rest = self._scan(rest, whole_first=released > 0)
        return rest[released:]

    def says_nothing(self, out: bytes) -> bool:
        """Whether the answer has yet to begin, where `out` was given back last, and nothing before it that says more."""
        return _NOTHING.fullmatch(out) is not None

    @property
    def is_inside_event(self) -> bool:
        """Whether what has been given back so far ends in the middle of an event."""
        return self._released > 0

    def spent(self, input_tokens: Callable[[], int]) -> Usage:
        """What the stream used: the provider's figures, and ours for what it did not tell. `input_tokens` estimates its input.

        Usage that was told on the way holds up to there. Where the stream broke off later, what passed since is counted by us.
        """
        usage = self.usage
        broke_off = not self.complete or self.error
        if usage is not None and broke_off and self.events > self._told_at:
            written = self.estimated_output()
            if written > (usage.output or 0):
                usage = msgspec.structs.replace(usage, output=written, estimated=True)
        return completed(usage, tier=self.tier, input_tokens=input_tokens, output_tokens=self.estimated_output)

    def estimated_output(self) -> int:
        """Tokens that have passed, where the provider never said: an event is a token, or four bytes of its text are.

        At least one, once an event has come that may carry text: what was begun was not for free.
        """
        if not self._envelope:
            return 0
        events = self.events - self._aside
        text = self.size - len(self._pending) - self._aside_size - events * self._envelope
        return max(events - 1, text // 4, 1)

    def _measure(self, whole: bytes) -> None:
        """Look at the first events: at what they tell of the answer, and at what an event weighs without its text."""
        for event in split_events(whole):
            data = event_json(event)
            if not self._begins(data):
                if not self._envelope:
                    self._put_aside(event)
                continue
            text = written_size(data)
            if "obfuscation" in data:  # short texts are padded: their sizes tell nothing, the number of events does
                text -= min(text, _PADDED)
            size = max(1, len(event) - text)
            self._envelope = min(size, self._envelope or size)
            self._unmeasured -= 1
            if not self._unmeasured:
                return

    def _put_aside(self, event: bytes) -> None:
        self._aside += 1
        self._aside_size += len(event)

    def _refuse(self, data: Mapping[str, Any]) -> None:
        """The stream begins with an error, in OpenAI's words or the like: it is a refusal, which may have a status."""
        failed = failure_in(dict(data))
        if failed is not None:
            status = failed.status or 502
            self.error = failed.code or failed.type or "error"
            self.refusal = (
                status,
                openai_refusal(status, orjson.dumps({"error": data["error"]} if "error" in data else data)),
            )
            self.complete = True

    def _take_tier(self, data: Mapping[str, Any]) -> None:
        if isinstance(data.get("service_tier"), str):
            self.tier = tier_name(data["service_tier"])

    def _take_usage(self, usage: Usage | None) -> None:
        if usage is not None:
            self.usage, self._told_at = usage, self.events

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
        if not cut:
            return self._release_large()
        whole, released = bytes(pending[:cut]), self._released
        del pending[:cut]
        self._released = 0
        if self._unmeasured:
            self._measure(whole)
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

    def _begins(self, data: Mapping[str, Any]) -> bool:
        """Learn from one of the first events; returns whether it is of the kind that brings text."""
        raise NotImplementedError

    def _is_interesting(self, data: bytes) -> bool:
        raise NotImplementedError

    def _read(self, event: bytes) -> bool:
        """Learn from one event; returns whether it is the extra usage event."""
        raise NotImplementedError


class ChatMeter(StreamMeter):
    """Chat completions: usage in any event (the last one said counts), `[DONE]` at the end."""

    __slots__ = ("_finished",)

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._finished = False

    def finish(self) -> bytes:
        """As above. Some providers send no `[DONE]`: a stream that gave a finish reason is whole all the same."""
        rest = super().finish()
        self.complete = self.complete or self._finished
        return rest

    def _begins(self, data: Mapping[str, Any]) -> bool:
        self._take_tier(data)
        if not self._envelope and ("error" in data or "choices" not in data):
            self._refuse(data)
        return bool(data.get("choices"))

    def _is_interesting(self, data: bytes) -> bool:
        if not self._finished:
            self._finished = b'"finish_reason":"' in data or b'"finish_reason": "' in data
        return b"[DONE]" in data or (b'"usage"' in data and _USAGE.search(data) is not None)

    def _read(self, event: bytes) -> bool:
        if b"[DONE]" in event and _DONE.search(event):
            self.complete = True
            self._put_aside(event)
            return False
        data = event_json(event)
        raw = data.get("usage")
        if not isinstance(raw, dict):
            raw = data.get("x_groq")  # Groq says it there, too, and said it nowhere else for long
            raw = raw.get("usage") if isinstance(raw, dict) else None
            if not isinstance(raw, dict):
                return False
        self._take_tier(data)
        self._take_usage(openai_usage(raw, tier=self.tier))
        self.model = _text(data.get("model")) or self.model
        is_extra = data.get("choices") == []
        if is_extra:
            self._put_aside(event)
        return is_extra


class MendedChatMeter(ChatMeter):
    """Chat completions of a provider whose events may not be quite as OpenAI's clients read them: they are put right."""

    __slots__ = ("_takes_filters", "_told_role")

    def __init__(self, *, hide_usage: bool = False, answers: int = 1, takes_filters: bool = False) -> None:
        """`takes_filters`: the client is Azure's own."""
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._takes_filters = takes_filters
        self._told_role = False

    def feed(self, chunk: bytes) -> bytes:
        """As above."""
        was_inside = self._released
        out = super().feed(chunk)
        # A part of an event that is too large to be looked into passes as it is.
        return out if was_inside or self._released or not needs_mending(out) else self._mended(out)

    def finish(self) -> bytes:
        """As above."""
        was_inside = self._released
        out = super().finish()
        return out if was_inside or not needs_mending(out) else self._mended(out)

    def _mended(self, out: bytes) -> bytes:
        kept = []
        for event in split_events(out):
            kept.append(mended_event(event, told_role=self._told_role, takes_filters=self._takes_filters))
            # Of several answers at once each has a role of its own.
            self._told_role = self._told_role or (self._answers == 1 and b'"role"' in event)
        return b"".join(kept)


class ResponsesMeter(StreamMeter):
    """Responses: usage is in the terminal event, with the whole response. `output` is what that consists of."""

    __slots__ = ("output",)

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self.output: object = None

    def _begins(self, data: Mapping[str, Any]) -> bool:
        response = data.get("response")
        if isinstance(response, dict):
            self._take_tier(response)
        elif not self._envelope and data.get("type") == "error":
            # Its fields are the event's own, or in an object as in a refusal.
            self._refuse(data if isinstance(data.get("error"), dict) else {"error": {**data, "type": "server_error"}})
        return _text(data.get("type")).endswith(".delta")

    def _is_interesting(self, data: bytes) -> bool:
        return _MATTERS.search(data) is not None

    def _read(self, event: bytes) -> bool:
        if not _TERMINAL.search(event):
            if self._envelope:  # the end of something, whose text has passed before; or a picture, which is none
                self._put_aside(event)
            return False
        self._put_aside(event)
        data = event_json(event)
        response = data.get("response")
        if _text(data.get("type")) in {"response.completed", "response.incomplete", "response.failed", "error"}:
            self.complete = True
        if isinstance(response, dict):
            self.model = _text(response.get("model")) or self.model
            self.output = response.get("output")
            self._take_tier(response)
            if isinstance(response.get("usage"), dict):
                searches = openai_searches(response)
                self._take_usage(openai_usage(response["usage"], tier=self.tier, searches=searches))
        return False


class MessagesMeter(StreamMeter):
    """Anthropic's Messages: usage begins in `message_start` and is told in full, again and again, by each `message_delta`."""

    __slots__ = ("_said",)

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._said: dict[str, Any] = {}

    def _begins(self, data: Mapping[str, Any]) -> bool:
        delta = data.get("delta")
        return data.get("type") == "content_block_delta" and isinstance(delta, dict) and "signature" not in delta

    def _is_interesting(self, data: bytes) -> bool:
        return _MESSAGE.search(data) is not None

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        match data.get("type"):
            case "message_start":
                message = data.get("message")
                if isinstance(message, dict):
                    self.model = _text(message.get("model")) or self.model
                    self._learn(message.get("usage"))
                    self._told_at = 0  # of its output that is a guess
            case "message_delta":
                self._learn(data.get("usage"))
                self._put_aside(event)
            case "message_stop":
                self.complete = True
                self._put_aside(event)
            case "error":
                error = data.get("error")
                self.error = (_text(error.get("type")) if isinstance(error, dict) else "") or "error"
                if not self._envelope:
                    self.refusal = anthropic.status_of(self.error), orjson.dumps(data)
                self.complete = True
                self._put_aside(event)
            case "content_block_start" if data.get("index") == 0:
                pass  # among the first events, which were looked at
            case _:
                if self._envelope:  # a block's beginning or end, or its signature, which is no text
                    self._put_aside(event)
        return False

    def _learn(self, usage: object) -> None:
        if isinstance(usage, dict):
            tell_later(self._said, usage)
            self._take_usage(anthropic_usage(self._said))


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
        data = loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
