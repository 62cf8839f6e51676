"""A client's stream: Responses' events for whatever an answer's pieces are, numbered without a gap. Pure.

Calls of tools stay open until the answer is over, as their pieces may come in between one another; text and thoughts are over as
soon as something else begins.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import orjson

from apps.providers.translation import form
from apps.providers.translation.form import Finish, Json, Request
from apps.providers.translation.responses import output
from apps.providers.translation.responses.keeping import keep_call, keep_thoughts
from apps.providers.translation.responses.names import tool_names
from apps.providers.translation.responses.replies import unused
from apps.providers.translation.responses.stream_items import Call, Item, Message, Picture, Thoughts
from apps.providers.translation.responses.usage import estimated, tier_shown, usage_json, written
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage

type _Speaking = Literal["", "output_text", "refusal", "reasoning_summary_text"]

_KEEP_ALIVE = b": keep-alive\n\n"
_TEXT_TAIL = b',"logprobs":[]}\n\n'
_TAIL = b"}\n\n"
_quoted = orjson.dumps


class ResponsesWriter:
    """Writes the stream of one response. Of several answers only the first is one here; what comes after the end is passed over."""

    __slots__ = (
        *(
            "_begun",
            "_call_ids",
            "_calls",
            "_finish",
            "_head",
            "_is_over",
            "_items",
            "_names",
            "_open",
            "_out",
            "_pieces",
        ),
        *("_request", "_shown", "_speaking", "_tier", "_usage", "events"),
    )

    def __init__(self, request: Request, shown: Shown) -> None:
        self.events = 0
        self._request, self._shown = request, shown
        self._names = tool_names(request.echo.get("tools"))
        self._out: list[bytes] = []
        self._begun: Json = {}  # the response as it began; empty: it has not
        self._finish: Finish | None = None  # None: the answer goes on
        self._is_over = False
        self._items: list[Item] = []
        # The message or thoughts that go on: what is being said, its pieces, and what stands before the number of the next event.
        self._open: Message | Thoughts | None = None
        self._speaking: _Speaking = ""
        self._pieces: list[str] = []
        self._head = b""
        self._calls = dict[int, tuple[bytes, Call]]()  # by their numbers; with the same
        self._call_ids = set[str]()
        self._usage: Usage | None = None
        self._tier = ""

    def feed(self, events: list[form.Event]) -> bytes:
        """The events as the client reads them."""
        self._out = []
        for event in events:
            if not self._is_over and not getattr(event, "choice", 0):
                _WRITE[type(event)](self, event)
        return b"".join(self._out)

    # --- Beginning and end ---

    def _begin(self, event: form.Begun) -> None:
        if event.usage is not None:
            self._usage = event.usage
        if not self._begun:
            self._begun = output.response(self._request, self._shown)
            self._emit({"type": "response.created", "response": self._begun})
            self._emit({"type": "response.in_progress", "response": self._begun})

    def _goes_on(self) -> bool:
        """Whether there may be more of the answer; it has begun then."""
        if not self._begun:
            self._begin(form.Begun())
        return self._finish is None

    def _finished(self, event: form.Finished) -> None:
        if not self._goes_on():
            return
        self._finish = event.finish
        self._calls.clear()
        self._speaking = ""
        if event.finish == "error":
            return  # what is not whole must not seem so: clients run a call as soon as it is over
        unfinished = [item for item in self._items if item.status == "in_progress"]
        for item in unfinished:
            is_cut = event.finish in output.INCOMPLETE and item is unfinished[-1]
            self._emit_all(item.closed("incomplete" if is_cut else "completed"))

    def _use(self, event: form.Used) -> None:
        self._usage = event.usage
        self._tier = event.service_tier or self._tier

    def _end(self, _event: form.Ended) -> None:
        self._finished(form.Finished("stop"))
        said = self._said()
        usage = self._usage or estimated(self._shown.input_tokens, written(said))
        tier = tier_shown(self._tier or usage.tier)
        response = output.ended(self._begun, self._finish or "stop", said, usage_json(usage), tier)
        self._is_over = True
        self._emit({"type": f"response.{response['status']}", "response": response})

    def _fail(self, event: form.Failed) -> None:
        self._goes_on()
        response = output.failed(self._begun, event, self._said())
        if self._usage is not None:
            response["usage"] = usage_json(self._usage)
        self._is_over = True
        self._emit({"type": "response.failed", "response": response})

    def _said(self) -> list[Json]:
        return [item.whole() for item in self._items if item.status != "in_progress"]

    def _ping(self, _event: form.Ping) -> None:
        self._out.append(_KEEP_ALIVE)

    # --- Texts and thoughts ---

    def _text(self, event: form.TextDelta) -> None:
        if event.logprobs:
            if event.text and self._speaks("output_text") and isinstance(self._open, Message):
                self._emit(self._open.said(event.text, event.logprobs))
        else:
            self._say(event.text, "output_text", _TEXT_TAIL)

    def _refuse(self, event: form.RefusalDelta) -> None:
        self._say(event.text, "refusal", _TAIL)

    def _think(self, event: form.ThinkingDelta) -> None:
        self._say(event.text, "reasoning_summary_text", _TAIL)

    def _say(self, text: str, kind: _Speaking, tail: bytes) -> None:
        if text and (self._speaking == kind or self._speaks(kind)):
            self._pieces.append(text)
            self._out.append(b'%b%d,"delta":%b%b' % (self._head, self.events, _quoted(text), tail))
            self.events += 1

    def _speaks(self, kind: _Speaking) -> bool:
        """Open what this is said in; returns whether there is anything more to say."""
        if not self._goes_on():
            return False
        if self._speaking == kind:
            return True
        if kind == "reasoning_summary_text":
            self._close()
            thoughts = Thoughts(self._next("rs"), len(self._items))
            self._add(thoughts)
            self._emit(thoughts.text_opened())
            self._open, place = thoughts, b'"summary_index":0'
        else:
            message = self._open
            if not isinstance(message, Message):
                self._close()
                message = Message(self._next("msg"), len(self._items))
                self._add(message)
            self._emit_all(message.part_opened(kind))
            self._open, place = message, b'"content_index":%d' % message.part
        self._speaking, self._pieces = kind, self._open.pieces
        self._head = _head(f"response.{kind}.delta", self._open, place + b",")
        return True

    def _close(self) -> None:
        if self._open is not None:
            self._emit_all(self._open.closed("completed"))
        self._open, self._speaking = None, ""

    def _sign(self, event: form.Signed) -> None:
        kept = keep_thoughts(event.signature, event.origin, redacted=event.redacted)
        if not kept or not self._goes_on():
            return
        if isinstance(self._open, Thoughts):
            if not event.redacted:
                self._open.encrypted = kept
                kept = ""
            self._close()
        self._keep(kept)

    def _keep(self, encrypted: str) -> None:
        """An item with nothing but what a client is to give back."""
        if encrypted:
            item = Thoughts(self._next("rs"), len(self._items))
            self._add(item)
            item.encrypted = encrypted
            self._emit_all(item.closed("completed"))

    def _cite(self, event: form.Cited) -> None:
        if isinstance(self._open, Message):
            self._emit_all(self._open.cited(event.citation))

    # --- Calls and pictures ---

    def _call(self, event: form.ToolBegun) -> None:
        if not self._goes_on():
            return
        self._close()
        call_id = unused(event.id, self._call_ids, self._shown.id)
        self._keep(keep_call(call_id, event.signature, event.origin))
        item_id = self._next("ctc" if event.custom else "fc")
        call = Call(item_id, len(self._items), call_id, event.name, custom=event.custom, names=self._names)
        self._add(call)
        self._calls[event.index] = _head(call.delta, call, b""), call

    def _arguments(self, event: form.ToolDelta) -> None:
        found = self._calls.get(event.index)
        if found is not None and event.arguments:
            found[1].pieces.append(event.arguments)
            self._out.append(b'%b%d,"delta":%b}\n\n' % (found[0], self.events, _quoted(event.arguments)))
            self.events += 1

    def _show(self, event: form.ImageMade) -> None:
        if not event.image.data:
            if event.image.url:
                self._say(output.linked(event.image), "output_text", _TEXT_TAIL)
        elif self._goes_on():
            self._close()
            picture = Picture(self._next("ig"), len(self._items), event.image)
            self._add(picture)
            self._emit_all(picture.closed("completed"))

    # --- Events ---

    def _next(self, prefix: str) -> str:
        return f"{prefix}_{self._shown.id}_{len(self._items)}"

    def _add(self, item: Item) -> None:
        self._items.append(item)
        self._emit_all(item.opened())

    def _emit_all(self, events: Iterable[Json]) -> None:
        for event in events:
            self._emit(event)

    def _emit(self, event: Json) -> None:
        numbered = orjson.dumps({**event, "sequence_number": self.events})
        self._out.append(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), numbered))
        self.events += 1


def _head(kind: str, item: Item, place: bytes) -> bytes:
    """What stands before an event's number."""
    name, told = kind.encode(), (kind.encode(), orjson.dumps(item.id), item.place, place)
    return b"event: %b\n" % name + b'data: {"type":"%b","item_id":%b,"output_index":%d,%b"sequence_number":' % told


_WRITE: Mapping[type, Callable[[ResponsesWriter, Any], None]] = {
    form.Begun: ResponsesWriter._begin,
    form.TextDelta: ResponsesWriter._text,
    form.RefusalDelta: ResponsesWriter._refuse,
    form.ThinkingDelta: ResponsesWriter._think,
    form.Signed: ResponsesWriter._sign,
    form.ToolBegun: ResponsesWriter._call,
    form.ToolDelta: ResponsesWriter._arguments,
    form.Cited: ResponsesWriter._cite,
    form.ImageMade: ResponsesWriter._show,
    form.Ping: ResponsesWriter._ping,
    form.Finished: ResponsesWriter._finished,
    form.Used: ResponsesWriter._use,
    form.Ended: ResponsesWriter._end,
    form.Failed: ResponsesWriter._fail,
}
