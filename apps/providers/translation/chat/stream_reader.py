"""Reading a provider's chat stream. Pure."""

from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.chat.answers_read import arguments_text, citations, content_parts, pictures, read_usage
from apps.providers.translation.chat.errors import failure_in
from apps.providers.translation.chat.finishes import read_finish
from apps.providers.translation.chat.thoughts import read_call_signature, read_detail
from apps.providers.translation.form import (
    Begun,
    Citation,
    Cited,
    Ended,
    Event,
    Failed,
    Finish,
    Finished,
    Image,
    ImageMade,
    Json,
    Ping,
    Refusal,
    RefusalDelta,
    Request,
    Signed,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.sse import EventSplitter
from apps.providers.translation.tool_ids import invented_id
from apps.providers.usage import Usage

_PING = Ping()
_DONE = b"[DONE]"
_CHOICES_MAX = 128  # as many answers as OpenAI gives at once


class ChatStreamReader:
    """Reads a stream, with all that servers of OpenAI's form make of it.

    Finishes and usage are told at the end: some say both again and again, or have more text after them.
    """

    __slots__ = ("_begun", "_choices", "_citations", "_id", "_model", "_over", "_splitter", "_tier", "_usage")

    def __init__(self, _request: Request) -> None:
        self._splitter = EventSplitter()
        self._choices: dict[int, _Choice] = {}
        self._begun = self._over = False
        self._id = self._model = self._tier = ""
        self._usage: Usage | None = None
        self._citations: list[Any] = []  # URLs that the whole answer rests on

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes bring. Raises ValueError for an event that is too large."""
        events: list[Event] = []
        for said in self._splitter.feed(data):
            if self._over:
                break
            self._take(said, events)
        return events

    def finish(self) -> list[Event]:
        """The bytes are over. Without `[DONE]` the stream is whole if every answer in it is."""
        events: list[Event] = []
        for said in self._splitter.finish():
            if not self._over:
                self._take(said, events)
        if not self._over and self._choices and all(choice.reason is not None for choice in self._choices.values()):
            self._end(events)
        return events

    def _take(self, said: bytes, events: list[Event]) -> None:
        if not said:
            events.append(_PING)
            return
        if said.startswith(_DONE):
            self._end(events)
            return
        try:
            chunk = loads(said)
        except orjson.JSONDecodeError:
            return
        if isinstance(chunk, dict):
            self._take_chunk(chunk, events)

    def _take_chunk(self, chunk: Json, events: list[Event]) -> None:
        choices = chunk.get("choices")
        if "error" in chunk or "object" not in chunk or chunk["object"] == "error" or not choices:
            failed = failure_in(chunk)
            if failed is not None:
                self._over = True
                events.append(failed)
                return
        if chunk.get("usage") or "x_groq" in chunk:
            self._usage = read_usage(chunk) or self._usage
        tier = chunk.get("service_tier")
        if tier and isinstance(tier, str):
            self._tier = tier
        if isinstance(chunk.get("citations"), list):
            self._citations = chunk["citations"]
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not self._over:
                if not self._begun:
                    self._begin(chunk, events)
                self._take_choice(choice, events)

    def _begin(self, chunk: Json, events: list[Event]) -> None:
        self._begun = True
        name, model = chunk.get("id"), chunk.get("model")
        self._id = name if isinstance(name, str) else ""
        self._model = model if isinstance(model, str) else ""
        events.append(Begun(self._id, self._model))

    def _take_choice(self, said: Json, events: list[Event]) -> None:
        place = said.get("index") or 0
        choice = self._choices.get(place) if type(place) is int else None
        if choice is None:
            if type(place) is not int or not 0 <= place < _CHOICES_MAX:
                return
            choice = self._choices[place] = _Choice(place, self._id)
        delta = said.get("delta")
        if isinstance(delta, dict):
            choice.take(delta, said.get("logprobs"), events)
        reason = said.get("finish_reason")
        if reason:
            choice.reason = reason
            stopped_by = said.get("stop_reason")
            choice.stopped_by = stopped_by if isinstance(stopped_by, str) else ""
            if read_finish(reason, has_calls=False) == "error":
                self._over = True
                events.append(
                    failure_in({"choices": [said]})
                    or Failed(message="The provider could not complete its answer.", type="server_error")
                )

    def _end(self, events: list[Event]) -> None:
        self._over = True
        if not self._begun:
            events.append(Begun())
        if not any(choice.was_cited for choice in self._choices.values()):
            events += [Cited(Citation(url=url)) for url in self._citations if isinstance(url, str) and url]
        events += [choice.finished() for choice in self._choices.values()] or [Finished("stop")]
        if self._usage is not None:
            events.append(Used(self._usage, self._tier))
        events.append(Ended())


class _Choice:
    """One of the answers of a stream, as far as it has come."""

    __slots__ = ("_answer", "_calls", "_current", "_place", "_thinks_aloud", "reason", "stopped_by", "was_cited")

    def __init__(self, place: int, answer: str) -> None:
        """`answer`: the provider's id of it."""
        self._place, self._answer = place, answer
        self._calls: list[_Call] = []
        self._current: dict[int, _Call] = {}  # by the provider's index, which some use twice
        self._thinks_aloud = False  # details repeat what has come as plain text
        self.reason: Any = None
        self.stopped_by = ""
        self.was_cited = False

    def take(self, delta: Json, logprobs: Any, events: list[Event]) -> None:
        """What one delta brings."""
        place = self._place
        content = delta.get("content")
        if len(delta) == 1 and type(content) is str and not logprobs:  # nearly always
            if content:
                events.append(TextDelta(content, place))
            return
        self._take_thoughts(delta, events)
        self._take_content(content, _tokens(logprobs), events)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            events.append(RefusalDelta(refusal, place))
        for citation in citations(delta.get("annotations")):
            self.was_cited = True
            events.append(Cited(citation, place))
        events += [ImageMade(picture, place) for picture in pictures(delta.get("images"))]
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._take_call(call, events)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._take_call({"index": 0, "function": legacy}, events)

    def finished(self) -> Finished:
        """The event that it is over."""
        finish: Finish = read_finish(self.reason, has_calls=any(call.began for call in self._calls))
        if finish == "stop" and self.stopped_by:
            return Finished("stop_sequence", self._place, self.stopped_by)
        return Finished(finish, self._place)

    def _take_thoughts(self, delta: Json, events: list[Event]) -> None:
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if text and isinstance(text, str):
            self._thinks_aloud = True
            events.append(ThinkingDelta(text, self._place))
        details = delta.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            thought = read_detail(detail)
            if thought is None:
                continue
            if thought.text and not self._thinks_aloud:
                events.append(ThinkingDelta(thought.text, self._place))
            if thought.signature:
                events.append(Signed(thought.signature, thought.origin, thought.redacted, self._place))

    def _take_content(self, content: Any, tokens: list[Json] | None, events: list[Event]) -> None:
        place = self._place
        if isinstance(content, str) or content is None:
            if content or tokens:
                events.append(TextDelta(content or "", place, tokens))
            return
        for part in content_parts(content):
            match part:
                case Text():
                    events.append(TextDelta(part.text, place, tokens))
                    tokens = None
                case Thinking():
                    events.append(ThinkingDelta(part.text, place))
                case Image():
                    events.append(ImageMade(part, place))
                case Refusal():
                    events.append(RefusalDelta(part.text, place))
                case _:
                    pass

    def _take_call(self, said: Json, events: list[Event]) -> None:
        call = self._call(said)
        custom, function = said.get("custom"), said.get("function")
        call.is_custom = call.is_custom or isinstance(custom, dict)
        pieces = custom if isinstance(custom, dict) else function
        pieces = pieces if isinstance(pieces, dict) else {}
        name, call_id = pieces.get("name"), said.get("id")
        if not call.began:
            if isinstance(call_id, str) and call_id:
                call.id = call_id
            if isinstance(name, str) and name:
                signature, origin = read_call_signature(said)
                call.id = call.id or invented_id(self._answer, self._place, call.index)
                call.began = True
                events.append(ToolBegun(call.index, call.id, name, self._place, signature, origin, call.is_custom))
                if call.waiting:
                    events.append(ToolDelta(call.index, call.waiting, self._place))
        arguments = _arguments(pieces.get("input" if call.is_custom else "arguments"))
        if not arguments:
            return
        if call.began:
            events.append(ToolDelta(call.index, arguments, self._place))
        else:
            call.waiting += arguments

    def _call(self, said: Json) -> "_Call":
        """The call that a piece belongs to, by its index, or by its id where that is missing or used for several."""
        index, call_id = said.get("index"), said.get("id")
        is_named = isinstance(call_id, str) and bool(call_id)
        if type(index) is not int:
            known = next((call for call in self._calls if call.id == call_id), None) if is_named else None
            if known is not None:
                return known
            if self._calls and not (is_named and self._calls[-1].id) and not (self._calls[-1].began and _names(said)):
                return self._calls[-1]
            index = len(self._calls)
        found = self._current.get(index)
        if found is None or (is_named and found.id and found.id != call_id and found.began and _names(said)):
            found = self._current[index] = _Call(len(self._calls))
            self._calls.append(found)
        return found


class _Call:
    """One call of a tool. `waiting`: arguments that have come before its name."""

    __slots__ = ("began", "id", "index", "is_custom", "waiting")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = self.waiting = ""
        self.began = self.is_custom = False


def _tokens(logprobs: Any) -> list[Json] | None:
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return tokens if isinstance(tokens, list) and tokens else None


def _names(said: Json) -> bool:
    """Whether a piece of a call names its function, as the first one does."""
    function = said.get("function")
    return isinstance(function, dict) and bool(function.get("name"))


def _arguments(said: Any) -> str:
    try:
        return arguments_text(said)
    except ValueError:
        return ""
