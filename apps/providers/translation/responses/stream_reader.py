"""A provider's stream of Responses' events, read as it comes. Pure.

Servers differ in what they repeat at an item's end, and some bring there for the first time what others have told in pieces: so it
is kept what each item has told already.
"""

from collections.abc import Callable, Mapping

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.form import (
    Begun,
    Cited,
    Ended,
    Event,
    Finished,
    ImageMade,
    Json,
    Ping,
    RefusalDelta,
    Signed,
    TextDelta,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.responses.names import NAME
from apps.providers.translation.responses.output import logprobs
from apps.providers.translation.responses.parts import read_annotation
from apps.providers.translation.responses.told import (
    call_id,
    failure,
    finish_of,
    image_of,
    thoughts_of,
    usage_of,
)
from apps.providers.translation.sse import EventSplitter
from apps.providers.translation.told import dicts, text_of


class ResponsesReader:
    """Reads the stream of one response."""

    __slots__ = (
        "_begun",
        "_calls",
        "_cited",
        "_closed",
        "_found",
        "_id",
        "_is_over",
        "_splitter",
        "_thoughts",
        "_told",
    )

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._found: list[Event] = []
        self._begun = self._is_over = False
        self._id = ""  # the provider's, of the response
        self._calls = dict[int, int]()  # an item's place in the output → the number of its call
        self._told = set[tuple[int, int]]()  # the texts, refusals and arguments that have begun: item's place, part
        self._cited = dict[tuple[int, int], int]()  # how many annotations of a text have come
        self._thoughts = dict[int, str]()  # an item's place → the kind of its thoughts that is read
        self._closed = set[int]()  # the places of items that are over

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes bring. Raises ValueError for an event that is too large."""
        return self._read_all(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """The bytes are over: what an event without its blank line brings."""
        return self._read_all(self._splitter.finish())

    def _read_all(self, events: list[bytes]) -> list[Event]:
        self._found = []
        for event in events:
            if event and not self._is_over:
                self._read(event)
        return self._found

    def _read(self, event: bytes) -> None:
        try:
            data = loads(event)
        except orjson.JSONDecodeError:
            return  # `[DONE]`, or broken
        if not isinstance(data, dict):
            return
        kind = data.get("type")
        read = _READ.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, data)
        elif data.get("error"):  # of a server that has no event for it
            self._error(data)

    def _tell(self, event: Event) -> None:
        if not self._begun:
            self._begun = True
            self._found.append(Begun())
        self._found.append(event)

    # --- The response ---

    def _created(self, data: Json) -> None:
        response = data.get("response")
        if not self._begun:
            told = response if isinstance(response, dict) else {}
            self._begun = True
            self._id = text_of(told.get("id"))
            self._found.append(Begun(self._id, text_of(told.get("model"))))

    def _ended(self, data: Json) -> None:
        response = data.get("response")
        response = response if isinstance(response, dict) else {}
        self._created(data)
        if not (self._told or self._calls or self._thoughts or self._closed):  # a server that tells all at the end
            for place, item in enumerate(dicts(response.get("output"))):
                self._item(place, item)
        if (usage := usage_of(response)) is not None:
            self._tell(Used(usage, text_of(response.get("service_tier"))))
        self._is_over = True
        if data["type"] == "response.failed" or response.get("status") in ("failed", "cancelled"):
            self._tell(failure(response.get("error")))
            return
        # Some servers call the end of what is incomplete its completion, and say so only within.
        status = "incomplete" if data["type"] == "response.incomplete" else response.get("status")
        self._tell(Finished(finish_of({**response, "status": status}, calls=bool(self._calls))))
        self._tell(Ended())

    def _error(self, data: Json) -> None:
        """OpenAI's reference has the fields in the event itself; its servers put them into `error`."""
        self._is_over = True
        nested = data.get("error")
        self._tell(failure(nested if isinstance(nested, dict | str) and nested else {**data, "type": ""}))

    def _ping(self, _data: Json) -> None:
        self._tell(Ping())

    # --- Its items ---

    def _item_added(self, data: Json) -> None:
        item = data.get("item")
        if isinstance(item, dict) and isinstance(kind := item.get("type"), str) and kind in _ARGUMENTS:
            self._call(_place(data), item)

    def _item_done(self, data: Json) -> None:
        item = data.get("item")
        if isinstance(item, dict):
            self._item(_place(data), item)

    def _item(self, place: int, item: Json) -> None:
        """An item as a whole: what of it has not come yet."""
        if place in self._closed:
            return
        self._closed.add(place)
        match item.get("type"):
            case "message":
                for part, piece in enumerate(dicts(item.get("content"))):
                    self._part(place, part, piece)
            case "function_call" | "custom_tool_call" as kind:
                self._call(place, item)
                self._arguments(place, item.get(_ARGUMENTS[kind]))
            case "reasoning":
                text, signature = thoughts_of(item), text_of(item.get("encrypted_content"))
                if text and place not in self._thoughts:
                    self._thoughts[place] = ""
                    self._tell(ThinkingDelta(text))
                if signature:
                    self._tell(Signed(signature, NAME, redacted=place not in self._thoughts))
            case "image_generation_call":
                if (made := image_of(item)) is not None:
                    self._tell(ImageMade(made))

    # --- Texts ---

    def _text_delta(self, data: Json) -> None:
        text = data.get("delta")
        if isinstance(text, str) and text:
            self._told.add(_spot(data))
            likelihoods = data.get("logprobs")
            self._tell(TextDelta(text, logprobs=logprobs(likelihoods) or None) if likelihoods else TextDelta(text))

    def _text_done(self, data: Json) -> None:
        text = data.get("text")
        if isinstance(text, str):
            self._text(_spot(data), text, data.get("logprobs"))

    def _text(self, spot: tuple[int, int], text: str, likelihoods: object) -> None:
        if text and spot not in self._told:
            self._told.add(spot)
            self._tell(TextDelta(text, logprobs=logprobs(dicts(likelihoods)) or None))

    def _refusal_delta(self, data: Json) -> None:
        text = data.get("delta")
        if isinstance(text, str) and text:
            self._told.add(_spot(data))
            self._tell(RefusalDelta(text))

    def _refusal_done(self, data: Json) -> None:
        self._refusal(_spot(data), data.get("refusal"))

    def _refusal(self, spot: tuple[int, int], text: object) -> None:
        if isinstance(text, str) and text and spot not in self._told:
            self._told.add(spot)
            self._tell(RefusalDelta(text))

    def _annotation(self, data: Json) -> None:
        spot = _spot(data)
        self._cited[spot] = self._cited.get(spot, 0) + 1
        if (citation := read_annotation(data.get("annotation"))) is not None:
            self._tell(Cited(citation))

    def _part(self, place: int, part: int, piece: Json) -> None:
        if piece.get("type") == "output_text":
            spot = place, part
            self._text(spot, text_of(piece.get("text")), piece.get("logprobs"))
            for each in dicts(piece.get("annotations"))[self._cited.get(spot, 0) :]:
                if (citation := read_annotation(each)) is not None:
                    self._tell(Cited(citation))
        elif piece.get("type") == "refusal":
            self._refusal((place, part), piece.get("refusal"))

    # --- Thoughts ---

    def _summary_part(self, data: Json) -> None:
        place = _place(data)
        if self._thoughts.get(place) == "summary":
            self._tell(ThinkingDelta("\n\n"))

    def _summary_delta(self, data: Json) -> None:
        self._thought(data, "summary")

    def _thought_delta(self, data: Json) -> None:
        self._thought(data, "text")

    def _thought(self, data: Json, kind: str) -> None:
        """Of an item that tells both its thoughts and their summary, that is read which comes first."""
        text = data.get("delta")
        if isinstance(text, str) and text and self._thoughts.setdefault(_place(data), kind) == kind:
            self._tell(ThinkingDelta(text))

    # --- Calls of tools ---

    def _call(self, place: int, item: Json) -> int:
        index = self._calls.get(place)
        if index is None:
            index = self._calls[place] = len(self._calls)
            custom = item.get("type") == "custom_tool_call"
            self._tell(ToolBegun(index, call_id(item, self._id, index), text_of(item.get("name")), custom=custom))
        return index

    def _arguments_delta(self, data: Json) -> None:
        text, place = data.get("delta"), _place(data)
        index = self._calls.get(place)
        if isinstance(text, str) and text and index is not None:
            self._told.add((place, 0))
            self._tell(ToolDelta(index, text))

    def _arguments_done(self, data: Json) -> None:
        self._arguments(_place(data), data.get("arguments"))

    def _input_done(self, data: Json) -> None:
        self._arguments(_place(data), data.get("input"))

    def _arguments(self, place: int, text: object) -> None:
        index = self._calls.get(place)
        if isinstance(text, str) and text and index is not None and (place, 0) not in self._told:
            self._told.add((place, 0))
            self._tell(ToolDelta(index, text))


def _place(data: Json) -> int:
    place = data.get("output_index")
    return place if type(place) is int else 0


def _spot(data: Json) -> tuple[int, int]:
    part = data.get("content_index")
    return _place(data), part if type(part) is int else 0


# Where calls have what they are called with.
_ARGUMENTS = {"function_call": "arguments", "custom_tool_call": "input"}

_READ: Mapping[str, Callable[[ResponsesReader, Json], None]] = {
    "response.created": ResponsesReader._created,
    "response.queued": ResponsesReader._created,
    "response.in_progress": ResponsesReader._created,
    "response.completed": ResponsesReader._ended,
    "response.incomplete": ResponsesReader._ended,
    "response.failed": ResponsesReader._ended,
    "response.cancelled": ResponsesReader._ended,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.output_text.delta": ResponsesReader._text_delta,
    "response.output_text.done": ResponsesReader._text_done,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal_delta,
    "response.refusal.done": ResponsesReader._refusal_done,
    "response.reasoning_summary_part.added": ResponsesReader._summary_part,
    "response.reasoning_summary_text.delta": ResponsesReader._summary_delta,
    "response.reasoning_text.delta": ResponsesReader._thought_delta,
    "response.function_call_arguments.delta": ResponsesReader._arguments_delta,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.custom_tool_call_input.delta": ResponsesReader._arguments_delta,
    "response.custom_tool_call_input.done": ResponsesReader._input_done,
    "keepalive": ResponsesReader._ping,
    "error": ResponsesReader._error,
}
