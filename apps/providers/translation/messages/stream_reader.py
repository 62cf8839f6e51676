"""Reading Anthropic's stream of events. Pure."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.form import (
    Begun,
    Citation,
    Cited,
    Ended,
    Event,
    Finished,
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
from apps.providers.translation.messages.answers import arguments_of, call_id, refusal_of
from apps.providers.translation.messages.citations import read_citation
from apps.providers.translation.messages.errors import failed_of
from apps.providers.translation.messages.words import NAME, finish_of
from apps.providers.translation.sse import EventSplitter
from apps.providers.translation.told import text_of
from apps.providers.usage import anthropic_usage, tell_later

_OTHER = "other"  # a block that says nothing here: of a tool that runs at Anthropic, or of a type to come


@dataclass(slots=True)
class _Block:
    kind: str
    call: int = 0  # of a tool: which of the answer's calls it is
    given: object = None  # of a tool: its input, if it came whole
    has_pieces: bool = False
    signature: str = ""
    begins: int = 0  # of a text: where it begins in the answer's
    citations: list[Citation] = field(default_factory=list)


class MessagesReader:
    """A StreamReader of Messages."""

    __slots__ = ("_begun", "_blocks", "_calls", "_ended", "_finished", "_id", "_length", "_splitter", "_tier", "_usage")

    def __init__(self, _request: Request) -> None:
        self._splitter = EventSplitter()
        self._begun = self._finished = self._ended = False
        self._id = ""
        self._blocks: dict[int, _Block] = {}  # those that are open
        self._calls = 0
        self._length = 0  # characters of text
        self._usage: dict[str, Any] = {}
        self._tier = ""

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes bring. Raises ValueError for an event that is too large."""
        return self._read(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """The bytes are over: whole, if the reason to stop has come."""
        events = self._read(self._splitter.finish())
        if self._finished and not self._ended:
            self._ended = True
            events.append(Ended())
        return events

    def _read(self, payloads: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for payload in payloads:
            if self._ended:
                break
            if not payload:
                continue
            try:
                event = loads(payload)
            except orjson.JSONDecodeError:
                continue
            if isinstance(event, dict):
                self._take(event, events)
        return events

    def _take(self, event: dict[str, Any], events: list[Event]) -> None:
        kind = event.get("type")
        if kind == "error" or (kind is None and event.get("error") is not None):
            self._ended = True
            events.append(failed_of(event))
            return
        if not isinstance(kind, str) or kind not in _TYPES:
            return
        if not self._begun:
            self._begin(event.get("message") if kind == "message_start" else None, events)
        if kind == "content_block_delta":
            self._piece(event, events)
        elif kind == "content_block_start":
            self._open(event, events)
        elif kind == "content_block_stop":
            block = self._blocks.pop(_index(event), None)
            if block is not None:
                self._close(block, events)
        elif kind == "message_delta":
            self._near_end(event, events)
        elif kind == "message_stop":
            self._end(events)
        elif kind == "ping":
            events.append(Ping())

    def _begin(self, message: object, events: list[Event]) -> None:
        self._begun = True
        said: dict[str, Any] = message if isinstance(message, dict) else {}
        usage = said.get("usage")
        if isinstance(usage, dict):
            self._usage = dict(usage)
        self._id, model = text_of(said.get("id")), text_of(said.get("model"))
        events.append(Begun(self._id, model, anthropic_usage(self._usage)))

    # --- Blocks ---

    def _open(self, event: dict[str, Any], events: list[Event]) -> None:
        index = _index(event)
        before = self._blocks.pop(index, None)
        if before is not None:
            self._close(before, events)
        given = event.get("content_block")
        said: dict[str, Any] = given if isinstance(given, dict) else {}
        kind = text_of(said.get("type"))
        if self._finished:
            kind = _OTHER
        block = self._blocks[index] = _Block(kind, begins=self._length)
        if kind == "text":
            self._say(text_of(said.get("text")), events)
            for citation in said["citations"] if isinstance(said.get("citations"), list) else ():
                self._cite(block, citation)
        elif kind == "tool_use":
            block.call, block.given = self._calls, said.get("input")
            self._calls += 1
            events.append(
                ToolBegun(block.call, call_id(said.get("id"), self._id, block.call), text_of(said.get("name")))
            )
        elif kind == "thinking":
            if thought := text_of(said.get("thinking")):
                events.append(ThinkingDelta(thought))
            block.signature = text_of(said.get("signature"))
        elif kind == "redacted_thinking":
            block.signature = text_of(said.get("data"))

    def _piece(self, event: dict[str, Any], events: list[Event]) -> None:
        block = self._blocks.get(_index(event))
        delta = event.get("delta")
        if block is None or not isinstance(delta, dict):
            return
        kind = delta.get("type")
        if kind == "text_delta" and block.kind == "text":
            self._say(delta.get("text"), events)
        elif kind == "input_json_delta" and block.kind == "tool_use":
            piece = delta.get("partial_json")
            if piece and isinstance(piece, str):
                block.has_pieces = True
                events.append(ToolDelta(block.call, piece))
        elif kind == "thinking_delta" and block.kind == "thinking":
            thought = delta.get("thinking")
            if thought and isinstance(thought, str):
                events.append(ThinkingDelta(thought))
        elif kind == "signature_delta" and block.kind == "thinking":
            block.signature += text_of(delta.get("signature"))
        elif kind == "citations_delta" and block.kind == "text":
            self._cite(block, delta.get("citation"))

    def _say(self, text: object, events: list[Event]) -> None:
        if text and isinstance(text, str):
            self._length += len(text)
            events.append(TextDelta(text))

    def _cite(self, block: _Block, raw: object) -> None:
        citation = read_citation(raw)
        if citation is not None:
            block.citations.append(citation)

    def _close(self, block: _Block, events: list[Event]) -> None:
        for citation in block.citations:  # of the whole block, whose end is known now
            citation.start, citation.end = block.begins, self._length
            events.append(Cited(citation))
        if block.kind in ("thinking", "redacted_thinking") and block.signature:
            events.append(Signed(block.signature, NAME, redacted=block.kind == "redacted_thinking"))
        elif block.kind == "tool_use" and not block.has_pieces:
            events.append(ToolDelta(block.call, _arguments(block.given)))

    # --- The end ---

    def _near_end(self, event: dict[str, Any], events: list[Event]) -> None:
        given = event.get("delta")
        delta: dict[str, Any] = given if isinstance(given, dict) else {}
        if delta.get("stop_reason") is not None:
            self._stop(delta, events)
        told = event.get("usage")
        if isinstance(told, dict):
            tell_later(self._usage, told)
            usage = anthropic_usage(self._usage)
            if usage is not None:
                events.append(Used(usage, text_of(self._usage.get("service_tier"))))

    def _stop(self, delta: dict[str, Any], events: list[Event]) -> None:
        if self._finished:
            return
        self._close_all(events)
        if explanation := refusal_of(delta.get("stop_details")):
            events.append(RefusalDelta(explanation))
        self._finished = True
        events.append(Finished(finish_of(delta.get("stop_reason")), stopped_by=text_of(delta.get("stop_sequence"))))

    def _end(self, events: list[Event]) -> None:
        self._stop({}, events)
        self._ended = True
        events.append(Ended())

    def _close_all(self, events: list[Event]) -> None:
        for block in self._blocks.values():
            self._close(block, events)
        self._blocks.clear()


_TYPES = frozenset(
    {
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop", "ping"),
    }
)


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else -1


def _arguments(given: object) -> str:
    try:
        return arguments_of(given)
    except ValueError:
        return "{}"  # too deep to be written again
