"""Writing a chat stream for a client. Pure."""

import orjson

from apps.providers.translation.chat.answers_written import TIERS, annotation_of, loose_citation, picture_of
from apps.providers.translation.chat.finishes import write_finish
from apps.providers.translation.chat.requests_read import LEGACY_FUNCTIONS
from apps.providers.translation.chat.thoughts import call_extra, detail_of
from apps.providers.translation.chat.usage import chat_usage
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
    Thinking,
    ThinkingDelta,
    ToolBegun,
    ToolCall,
    ToolDelta,
    Used,
)
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage

_KEEP_ALIVE = b": keep-alive\n\n"
_DONE = b"data: [DONE]\n\n"


class ChatStreamWriter:
    """Writes a stream: `role` once for each answer, a call's id and name once, each finish, usage if it is asked for, `[DONE]`."""

    __slots__ = (
        "_choices",
        "_head",
        "_is_legacy",
        "_over",
        "_tail",
        "_text_end",
        "_text_start",
        "_tier",
        "_usage",
        "_wants_usage",
        "events",
    )

    def __init__(self, request: Request, shown: Shown) -> None:
        self.events = 0
        self._choices: dict[int, _Choice] = {}
        self._over = False
        self._is_legacy = LEGACY_FUNCTIONS in request.echo
        self._wants_usage = request.include_usage
        self._usage: Usage | None = None
        self._tier = ""
        envelope = {"id": f"chatcmpl-{shown.id}", "object": "chat.completion.chunk", "created": shown.created}
        self._head = b"data: " + orjson.dumps(envelope | {"model": shown.model})[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if self._wants_usage else b"]}\n\n"
        # What stands around the text of nearly every event.
        self._text_start = self._head + b'{"index":0,"delta":{"content":'
        self._text_end = b'},"logprobs":null,"finish_reason":null}' + self._tail

    def feed(self, events: list[Event]) -> bytes:
        """The events as the client reads them."""
        out: list[bytes] = []
        choices = self._choices
        for event in events:
            if self._over:
                break
            if type(event) is TextDelta and event.choice == 0 and event.logprobs is None:  # nearly always
                choice = choices.get(0)
                if choice is not None and choice.has_role and not choice.is_over:
                    if event.text:
                        choice.length += len(event.text)
                        out += (self._text_start, orjson.dumps(event.text), self._text_end)
                        self.events += 1
                    continue
            self._write(event, out)
        return b"".join(out)

    def _write(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Begun():
                self._usage = event.usage
            case Used():
                self._usage, self._tier = event.usage, event.service_tier
            case Ping():
                self.events += 1
                out.append(_KEEP_ALIVE)
            case Failed():
                self._fail(event, out)
            case Ended():
                self._end(out)
            case _:
                choice = self._choices.get(event.choice) or self._open(event.choice, out)
                if not choice.is_over:
                    self._write_of(choice, event, out)

    def _open(self, place: int, out: list[bytes]) -> "_Choice":
        """One of the answers, after those before it: clients keep them in a list."""
        for before in range(place):
            if before not in self._choices or not self._choices[before].has_role:
                self._delta(self._open(before, out), {"content": ""}, out)
        choice = self._choices[place] = self._choices.get(place) or _Choice(place, is_legacy=self._is_legacy)
        return choice

    def _write_of(self, choice: "_Choice", event: Event, out: list[bytes]) -> None:
        match event:
            case TextDelta():
                choice.length += len(event.text)
                if event.text or event.logprobs:
                    self._delta(choice, {"content": event.text}, out, logprobs=event.logprobs)
            case RefusalDelta():
                self._delta(choice, {"refusal": event.text}, out)
            case ThinkingDelta():
                choice.thought.append(event.text)
                self._delta(choice, {"reasoning_content": event.text}, out)
            case Signed():
                choice.sign(event)
            case ToolBegun():
                self._delta(choice, choice.call_begun(event), out)
            case ToolDelta():
                self._delta(choice, choice.call_goes_on(event), out)
            case Cited():
                choice.cite(event.citation)
            case ImageMade():
                picture = {"index": choice.pictures} | picture_of(event.image)
                choice.pictures += 1
                self._delta(choice, {"images": [picture]}, out)
            case Finished():
                self._finish(choice, event.finish, out)
            case _:
                pass

    def _delta(
        self, choice: "_Choice", delta: Json, out: list[bytes], *, logprobs: list[Json] | None = None, finish: str = ""
    ) -> None:
        if not delta and not finish:
            return
        if not choice.has_role:
            choice.has_role = True
            delta = {"role": "assistant", "content": None if delta and "content" not in delta else ""} | delta
        said = {
            "index": choice.index,
            "delta": delta,
            "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
            "finish_reason": finish or None,
        }
        out += (self._head, orjson.dumps(said), self._tail)
        self.events += 1

    def _finish(self, choice: "_Choice", finish: Finish, out: list[bytes]) -> None:
        for delta in choice.last_deltas():
            self._delta(choice, delta, out)
        choice.is_over = True
        reason = write_finish(finish, has_calls=bool(choice.calls))
        if self._is_legacy and reason == "tool_calls":
            reason = "function_call"
        self._delta(choice, {}, out, finish=reason)

    def _end(self, out: list[bytes]) -> None:
        if not self._choices:
            self._choices[0] = _Choice(0, is_legacy=self._is_legacy)
        for choice in self._choices.values():
            if not choice.is_over:
                self._finish(choice, "", out)
        if self._wants_usage and self._usage is not None:
            said: Json = {"usage": chat_usage(self._usage)}
            if self._tier in TIERS:
                said["service_tier"] = self._tier
            out += (self._head, b"],", orjson.dumps(said)[1:], b"\n\n")
            self.events += 1
        out.append(_DONE)
        self.events += 1
        self._over = True

    def _fail(self, failed: Failed, out: list[bytes]) -> None:
        error = {
            "message": failed.message,
            "type": failed.type or "server_error",
            "param": failed.param or None,
            "code": failed.code or None,
        }
        out += (b"data: ", orjson.dumps({"error": error}), b"\n\n")
        self.events += 1
        self._over = True


class _Choice:
    """One of the answers, as far as it has been written."""

    __slots__ = (
        "_annotations",
        "_cited",
        "_details",
        "_is_legacy",
        "_loose",
        "calls",
        "has_role",
        "index",
        "is_over",
        "length",
        "pictures",
        "thought",
    )

    def __init__(self, index: int, *, is_legacy: bool) -> None:
        """`is_legacy`: the client knows calls of functions only in their older form, which has room for one."""
        self.index = index
        self.calls: dict[int, _Call] = {}  # by the index of the events
        self.has_role = self.is_over = False
        self.length = 0  # of the content, in characters
        self.pictures = 0
        self.thought: list[str] = []  # since the last signature
        self._details: list[Json] = []
        self._annotations: list[Json] = []
        self._loose: list[Json] = []
        self._cited = (0, 0)  # the text that the last ones were for
        self._is_legacy = is_legacy

    def sign(self, event: Signed) -> None:
        """Keep a signature for the end, with the text that it is for: some clients keep only the last of several such lists."""
        text = "" if event.redacted else "".join(self.thought)
        if not event.redacted:
            self.thought.clear()
        thought = Thinking(text=text, signature=event.signature, origin=event.origin, redacted=event.redacted)
        self._details.append(detail_of(thought, len(self._details)))

    def call_begun(self, event: ToolBegun) -> Json:
        """The delta that a call begins with; empty if there is none for it."""
        if event.index in self.calls or (self._is_legacy and self.calls):
            return {}
        call = self.calls[event.index] = _Call(len(self.calls), is_custom=event.custom)
        if self._is_legacy:
            return {"function_call": {"name": event.name, "arguments": ""}}
        made: Json = {"index": call.index, "id": event.id, "type": "custom" if event.custom else "function"}
        if event.custom:
            made["custom"] = {"name": event.name, "input": ""}
        else:
            made["function"] = {"name": event.name, "arguments": ""}
        signed = ToolCall(id=event.id, name=event.name, signature=event.signature, origin=event.origin)
        return {"tool_calls": [made | call_extra(signed)]}

    def call_goes_on(self, event: ToolDelta) -> Json:
        """The delta with a piece of a call's arguments; empty for a call that has not begun."""
        call = self.calls.get(event.index)
        if call is None or not event.arguments:
            return {}
        call.has_arguments = True
        return self._arguments(call, event.arguments)

    def cite(self, citation: Citation) -> None:
        """Keep a citation for the end, where clients look for it. If it does not say what for: the text since those before."""
        if not citation.url:
            self._loose.append(loose_citation(citation))
            return
        if self.length > self._cited[1]:
            self._cited = (self._cited[1], self.length)
        start = self._cited[0] if citation.start is None else citation.start
        end = self.length if citation.end is None else citation.end
        self._annotations.append(annotation_of(citation, start, end))

    def last_deltas(self) -> list[Json]:
        """What comes before the finish: arguments of calls that had none, which must be JSON all the same; what was kept."""
        deltas = [
            self._arguments(call, "{}") for call in self.calls.values() if not call.has_arguments and not call.is_custom
        ]
        kept: Json = {}
        if self._details:
            kept["reasoning_details"] = self._details
        if self._annotations:
            kept["annotations"] = [{"index": place} | each for place, each in enumerate(self._annotations)]
        if self._loose:
            kept["citations"] = [{"index": place} | each for place, each in enumerate(self._loose)]
        return [*deltas, kept] if kept else deltas

    def _arguments(self, call: "_Call", piece: str) -> Json:
        if self._is_legacy:
            return {"function_call": {"arguments": piece}}
        if call.is_custom:
            return {"tool_calls": [{"index": call.index, "custom": {"input": piece}}]}
        return {"tool_calls": [{"index": call.index, "function": {"arguments": piece}}]}


class _Call:
    """A call of a tool that has begun."""

    __slots__ = ("has_arguments", "index", "is_custom")

    def __init__(self, index: int, *, is_custom: bool) -> None:
        self.index, self.is_custom = index, is_custom
        self.has_arguments = False
