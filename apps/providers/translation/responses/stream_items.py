"""The items of a response while it is written: each gives its events, and in the end itself as a whole. Pure."""

from collections.abc import Iterable, Iterator
from typing import Literal

from apps.providers.translation.form import Citation, Image, Json
from apps.providers.translation.responses import output
from apps.providers.translation.responses.names import ToolNames

type Event = Json  # with its `type`, and without its number
type Status = Literal["in_progress", "completed", "incomplete"]


class Item:
    """One item of the output, at `place`."""

    __slots__ = ("id", "place", "status")

    def __init__(self, item_id: str, place: int) -> None:
        self.id, self.place = item_id, place
        self.status: Status = "in_progress"

    def whole(self) -> Json:
        """The item as far as it has come."""
        raise NotImplementedError

    def opened(self) -> Iterator[Event]:
        """What begins it."""
        yield {"type": "response.output_item.added", "output_index": self.place, "item": self.whole()}

    def closed(self, status: Status) -> Iterator[Event]:
        """What ends it."""
        self.status = status
        yield {"type": "response.output_item.done", "output_index": self.place, "item": self.whole()}

    def event(self, kind: str, **fields: object) -> Event:
        """An event about this item."""
        return {"type": kind, "item_id": self.id, "output_index": self.place, **fields}


class Message(Item):
    """What the model says: texts and refusals, one after the other."""

    __slots__ = ("_annotations", "_content", "_likelihoods", "kind", "pieces")

    def __init__(self, item_id: str, place: int) -> None:
        super().__init__(item_id, place)
        self._content: list[Json] = []
        self.kind = ""  # of the part that is open: output_text or refusal
        self.pieces: list[str] = []
        self._annotations: list[Json] = []
        self._likelihoods: list[Json] = []

    def whole(self) -> Json:
        """As above."""
        return output.message(self.id, self.status, list(self._content))

    @property
    def part(self) -> int:
        """The place of the open part in the content."""
        return len(self._content)

    def part_opened(self, kind: str) -> Iterator[Event]:
        """What begins a part; what ends the one before, if that is of another kind."""
        if self.kind:
            yield from self._part_closed()
        self.kind = kind
        yield self._part_event("response.content_part.added", part=self._part())

    def said(self, text: str, likelihoods: Iterable[Json]) -> Event:
        """A piece of text, with the likelihoods of its tokens."""
        found = output.logprobs(likelihoods)
        self.pieces.append(text)
        self._likelihoods += found
        return self._part_event("response.output_text.delta", delta=text, logprobs=found)

    def cited(self, citation: Citation) -> Iterator[Event]:
        """A citation for the open text; nothing for one that leads nowhere."""
        note = output.annotation(citation, sum(map(len, self.pieces)))
        if note is not None and self.kind == "output_text":
            number = len(self._annotations)
            self._annotations.append(note)
            yield self._part_event("response.output_text.annotation.added", annotation_index=number, annotation=note)

    def closed(self, status: Status) -> Iterator[Event]:
        """As above."""
        if self.kind:
            yield from self._part_closed()
        yield from super().closed(status)

    def _part_closed(self) -> Iterator[Event]:
        part = self._part()
        if self.kind == "refusal":
            yield self._part_event("response.refusal.done", refusal=part["refusal"])
        else:
            yield self._part_event("response.output_text.done", text=part["text"], logprobs=part["logprobs"])
        yield self._part_event("response.content_part.done", part=part)
        self._content.append(part)
        self.kind = ""
        self.pieces, self._annotations, self._likelihoods = [], [], []

    def _part(self) -> Json:
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return output.refusal_part(text)
        return output.text_part(text, list(self._annotations), list(self._likelihoods))

    def _part_event(self, kind: str, **fields: object) -> Event:
        return self.event(kind, content_index=self.part, **fields)


class Thoughts(Item):
    """What the model thinks, as a summary of one part; and what proves it."""

    __slots__ = ("encrypted", "pieces")

    def __init__(self, item_id: str, place: int) -> None:
        super().__init__(item_id, place)
        self.pieces: list[str] = []
        self.encrypted = ""

    def whole(self) -> Json:
        """As above."""
        return output.reasoning(self.id, "".join(self.pieces), self.encrypted)

    def text_opened(self) -> Event:
        """What begins its text."""
        return self._part_event("response.reasoning_summary_part.added", part=_summary(""))

    def closed(self, status: Status) -> Iterator[Event]:
        """As above."""
        text = "".join(self.pieces)
        if text:
            yield self._part_event("response.reasoning_summary_text.done", text=text)
            yield self._part_event("response.reasoning_summary_part.done", part=_summary(text))
        yield from super().closed(status)

    def _part_event(self, kind: str, **fields: object) -> Event:
        return self.event(kind, summary_index=0, **fields)


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}


class Call(Item):
    """A call of a tool, as `call_id`."""

    __slots__ = ("_custom", "_name", "_names", "call_id", "pieces")

    def __init__(self, item_id: str, place: int, call_id: str, name: str, *, custom: bool, names: ToolNames) -> None:
        super().__init__(item_id, place)
        self.call_id, self._name, self._custom, self._names = call_id, name, custom, names
        self.pieces: list[str] = []

    def whole(self) -> Json:
        """As above."""
        arguments = "".join(self.pieces)
        return output.call(
            self.id, self.status, self.call_id, self._name, arguments, custom=self._custom, names=self._names
        )

    @property
    def delta(self) -> str:
        """The event that brings a piece of its arguments."""
        return f"response.{'custom_tool_call_input' if self._custom else 'function_call_arguments'}.delta"

    def closed(self, status: Status) -> Iterator[Event]:
        """As above. A call without arguments is one with none, in JSON."""
        if not self.pieces and not self._custom and status == "completed":
            self.pieces.append("{}")
            yield self.event(self.delta, delta="{}")
        arguments = "".join(self.pieces)
        if self._custom:
            yield self.event("response.custom_tool_call_input.done", input=arguments)
        else:
            own = self.whole()["name"]
            yield self.event("response.function_call_arguments.done", name=own, arguments=arguments)
        yield from super().closed(status)


class Picture(Item):
    """A picture, which comes whole."""

    __slots__ = ("_image",)

    def __init__(self, item_id: str, place: int, image: Image) -> None:
        super().__init__(item_id, place)
        self._image = image

    def whole(self) -> Json:
        """As above."""
        item = output.picture(self.id, self._image)
        return item if self.status != "in_progress" else {**item, "status": self.status, "result": None}

    def opened(self) -> Iterator[Event]:
        """As above, and that it is being made."""
        yield from super().opened()
        for step in ("in_progress", "generating"):
            yield self.event(f"response.image_generation_call.{step}")

    def closed(self, status: Status) -> Iterator[Event]:
        """As above."""
        yield self.event("response.image_generation_call.completed")
        yield from super().closed(status)
