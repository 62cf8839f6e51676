"""Writing the stream of events that Anthropic's clients read. Pure."""

import re
from collections import deque

import orjson

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
    Ping,
    RefusalDelta,
    Request,
    Signed,
    TextDelta,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.messages.answers import (
    message_id,
    own_id,
    picture_text,
    stop_details,
    thought_block,
)
from apps.providers.translation.messages.citations import citation_json
from apps.providers.translation.messages.counts import delta_usage, usage_json
from apps.providers.translation.messages.errors import error_event
from apps.providers.translation.messages.words import stop_reason
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage

_CHARACTERS_PER_TOKEN = 4
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":'
)
_THOUGHT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"thinking_delta","thinking":'
)
_INPUT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"input_json_delta","partial_json":'
)
_TAIL = b"}}\n\n"

# What decides where a JSON text ends. A backslash and what it escapes; one at the end of a piece escapes in the next.
_MARKS = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)


class _Call:
    """A call of a tool, and whether its arguments are whole: one whose object is closed has nothing more to say."""

    __slots__ = ("_depth", "_escaped", "_quoted", "_seen", "begun", "pieces")

    def __init__(self, begun: ToolBegun) -> None:
        self.begun = begun
        self.pieces: list[str] = []
        self._seen = 0  # pieces that have been looked through
        self._depth = 0
        self._quoted = self._escaped = False

    def is_whole(self) -> bool:
        """Looks through what has come since it was asked last."""
        for piece in self.pieces[self._seen :]:
            self._look(piece)
        self._seen = len(self.pieces)
        return self._depth < 0

    def _look(self, piece: str) -> None:
        if self._depth < 0 or not piece:
            return
        rest = piece[1:] if self._escaped else piece
        self._escaped = False
        for mark in _MARKS.findall(rest):
            if mark == "\\":
                self._escaped = True
            elif mark == '"':
                self._quoted = not self._quoted
            elif self._quoted or mark[0] == "\\":
                continue
            elif mark in "{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth <= 0:
                    self._depth = -1
                    return


class MessagesWriter:
    """A StreamWriter of Messages: one block is open at a time, and calls that come interleaved wait for their turn."""

    __slots__ = (
        "_begun",
        "_call",
        "_calls",
        "_ended",
        "_finish",
        "_index",
        "_kind",
        "_length",
        "_out",
        "_prefix",
        "_shown",
        "_stopped_by",
        "_usage",
        "_waiting",
        "events",
    )

    def __init__(self, _request: Request, shown: Shown) -> None:
        self.events = 0
        self._shown = shown
        self._begun = self._ended = False
        self._index = -1  # of the block that is open, or was last
        self._kind = ""  # of the block that is open; empty: none is
        self._prefix = b""  # of a piece of it
        self._call: _Call | None = None  # the open block's, if it is a call
        self._calls: dict[int, _Call] = {}
        self._waiting: deque[_Call | Event] = deque()  # behind the open call
        self._finish: Finish = ""
        self._stopped_by = ""
        self._usage: Usage | None = None
        self._length = 0  # characters written
        self._out: list[bytes] = []

    def feed(self, events: list[Event]) -> bytes:
        """The events as the client reads them."""
        for event in events:
            if self._ended:
                break
            self._take(event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _take(self, event: Event) -> None:
        kind = type(event)
        if kind is TextDelta and self._kind == "text" and not self._waiting:  # nearly always
            self._write_piece(event.text, event.choice)  # type: ignore[union-attr]  # told by the line above
        elif isinstance(event, Failed):
            self._emit(error_event(event))
            self._ended = True
        elif not self._begun:
            self._begin(event if isinstance(event, Begun) else Begun())
            if not isinstance(event, Begun):
                self._take(event)
        elif isinstance(event, ToolDelta):
            self._argue(event)
        elif isinstance(event, Ping):
            self._emit(_PING)
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Ended):
            self._end()
        elif not isinstance(event, Begun) and event.choice == 0:
            if isinstance(event, Finished):
                self._stop(event)
            elif isinstance(event, ToolBegun):
                self._call_tool(event)
            else:
                self._waiting.append(event)
                self._go_on()

    # --- What is said ---

    def _go_on(self) -> None:
        """Write what waits, until a call that is not whole yet stands in the way."""
        while self._waiting and (self._call is None or self._call.is_whole()):
            event = self._waiting.popleft()
            if isinstance(event, _Call):
                self._open_call(event)
            else:
                self._say(event)

    def _say(self, event: Event) -> None:
        if isinstance(event, TextDelta | RefusalDelta):
            self._write_text(event.text)
        elif isinstance(event, ThinkingDelta):
            if event.text:
                if self._kind != "thinking":
                    self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""}, _THOUGHT)
                self._write_piece(event.text)
        elif isinstance(event, Signed):
            self._sign(event.signature, event.origin, redacted=event.redacted)
        elif isinstance(event, Cited):
            self._cite(event.citation)
        elif isinstance(event, ImageMade):
            self._write_text(picture_text(event.image))

    def _write_text(self, text: str) -> None:
        if text:
            if self._kind != "text":
                self._open("text", {"type": "text", "text": ""}, _TEXT)
            self._write_piece(text)

    def _write_piece(self, text: str, choice: int = 0) -> None:
        if text and not choice:
            self._length += len(text)
            self._emit(self._prefix + orjson.dumps(text) + _TAIL)

    def _sign(self, signature: str, origin: str, *, redacted: bool) -> None:
        block = thought_block("", signature, origin, redacted=redacted)
        if block["type"] == "redacted_thinking":
            self._open("redacted_thinking", block, b"")
        elif signature:
            if self._kind != "thinking":
                self._open("thinking", {**block, "signature": ""}, _THOUGHT)
            self._delta({"type": "signature_delta", "signature": block["signature"]})
        self._close()

    def _cite(self, citation: Citation) -> None:
        """A citation belongs to the text block that is open: of one that is closed, it comes too late."""
        found = citation_json(citation) if self._kind == "text" else None
        if found is not None:
            self._delta({"type": "citations_delta", "citation": found})

    # --- Calls ---

    def _call_tool(self, begun: ToolBegun) -> None:
        if begun.index not in self._calls:
            call = self._calls[begun.index] = _Call(begun)
            self._waiting.append(call)
            self._go_on()

    def _argue(self, event: ToolDelta) -> None:
        call = self._calls.get(event.index)
        if call is None or event.choice or not event.arguments:
            return
        call.pieces.append(event.arguments)
        if call is self._call:
            self._write_piece(event.arguments)
        elif self._waiting:
            self._go_on()

    def _open_call(self, call: _Call) -> None:
        begun = call.begun
        if begun.signature:
            self._close()  # thoughts that are open are not what it proves
            self._sign(begun.signature, begun.origin, redacted=False)
        name = begun.id or own_id(self._shown, begun.index)
        self._open("tool_use", {"type": "tool_use", "id": name, "name": begun.name, "input": {}}, _INPUT)
        self._call = call
        if call.pieces:
            self._write_piece("".join(call.pieces))

    # --- Blocks and events ---

    def _open(self, kind: str, block: Json, piece: bytes) -> None:
        self._close()
        self._index += 1
        self._kind = kind
        self._prefix = piece % self._index if piece else b""
        self._event("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, delta: Json) -> None:
        self._event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> None:
        if self._kind:
            self._kind = ""
            self._call = None
            self._event("content_block_stop", {"index": self._index})

    def _event(self, kind: str, fields: Json) -> None:
        self._emit(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields})))

    def _emit(self, event: bytes) -> None:
        self._out.append(event)
        self.events += 1

    # --- Beginning and end ---

    def _begin(self, begun: Begun) -> None:
        self._begun = True
        self._usage = begun.usage
        message: Json = {
            "id": message_id(self._shown),
            "type": "message",
            "role": "assistant",
            "model": self._shown.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage_json(begun.usage, input_tokens=self._shown.input_tokens, output_tokens=0),
        }
        self._event("message_start", {"message": message})

    def _stop(self, finished: Finished) -> None:
        if not self._finish:
            self._finish, self._stopped_by = finished.finish, finished.stopped_by
            self._flush()

    def _flush(self) -> None:
        """Write what waits: whether calls are whole does not matter any more."""
        while self._waiting:
            self._call = None
            self._go_on()

    def _end(self) -> None:
        self._flush()
        self._close()
        stop = stop_reason(self._finish, has_calls=bool(self._calls), stopped_by=self._stopped_by)
        delta: Json = {
            "stop_reason": stop,
            "stop_sequence": self._stopped_by or None if stop == "stop_sequence" else None,
            "stop_details": stop_details(stop),
        }
        written = -(-self._length // _CHARACTERS_PER_TOKEN)
        usage = delta_usage(self._usage, input_tokens=self._shown.input_tokens, output_tokens=written)
        self._event("message_delta", {"delta": delta, "usage": usage})
        self._emit(_STOP)
        self._ended = True
