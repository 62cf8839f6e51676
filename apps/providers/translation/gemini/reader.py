"""Reading Gemini's streams. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.providers.told_json import loads
from apps.providers.translation.form import (
    Begun,
    Cited,
    Ended,
    Event,
    Failed,
    Finished,
    ImageMade,
    Ping,
    Request,
    Signed,
    TextDelta,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.gemini import kept, media, parts
from apps.providers.translation.gemini.answers import failed, is_blocked
from apps.providers.translation.gemini.chances import read_chances
from apps.providers.translation.gemini.citations import Measure, grounded
from apps.providers.translation.gemini.words import failed_by, finish_of
from apps.providers.translation.sse import EventSplitter
from apps.providers.usage import gemini_searches, gemini_usage


class _Candidate:
    """What has come of one of the answers."""

    __slots__ = ("calls", "cited", "finished", "texts", "thinking")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls = 0
        self.cited: set[tuple[str, int | None, int | None]] = set()
        self.thinking = False  # the last piece was a thought, and is not signed yet
        self.finished = False


class GeminiReader:
    """A StreamReader of streamGenerateContent's events. They have no mark at their end: all answers must have given a reason."""

    __slots__ = ("_begun", "_candidates", "_expected", "_id", "_over", "_searches", "_splitter", "_usage")

    def __init__(self, request: Request) -> None:
        self._splitter = EventSplitter()
        self._candidates: dict[int, _Candidate] = {}
        self._expected = max(request.n or 1, 1)
        self._begun = self._over = False
        self._id = ""
        self._usage: Mapping[str, Any] | None = None  # as it was told last
        self._searches: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """As StreamReader says."""
        events: list[Event] = []
        for event in self._splitter.feed(data):
            self._read(event, events)
        return events

    def finish(self) -> list[Event]:
        """As StreamReader says."""
        events: list[Event] = []
        for event in self._splitter.finish():
            self._read(event, events)
        if self._over:
            return events
        finished = sum(candidate.finished for candidate in self._candidates.values())
        # Fewer may come than were asked for; what has begun must end.
        if not finished or finished < len(self._candidates):
            return []
        self._tell_usage(events)
        events.append(Ended())
        self._over = True
        return events

    def _read(self, event: bytes, events: list[Event]) -> None:
        if self._over:
            return
        if not event:
            if self._begun:
                events.append(Ping())
            return
        try:
            data = loads(event)
        except (orjson.JSONDecodeError, RecursionError):
            return
        if not isinstance(data, dict):
            return
        if "error" in data:
            self._fail(failed(data["error"], 0), events)
            return
        raw = data.get("usageMetadata")
        if isinstance(raw, dict):
            self._usage = raw
        if not self._begun:
            self._begin(data, events)
        if b'"groundingMetadata"' in event:  # told again in full, or added to: the most that was told
            self._searches = max(gemini_searches(data) or 0, self._searches or 0)
        candidates = data.get("candidates")
        if isinstance(candidates, list) and candidates:
            for each in candidates:
                if isinstance(each, dict) and not self._over:
                    self._read_candidate(each, events)
        elif not self._candidates and is_blocked(data):
            candidate = self._candidates[0] = _Candidate()
            candidate.finished = True
            events += (TextDelta(""), Finished("content_filter"))

    def _fail(self, failure: Failed, events: list[Event]) -> None:
        self._tell_usage(events)
        events.append(failure)
        self._over = True

    def _begin(self, data: Mapping[str, Any], events: list[Event]) -> None:
        id_, model = data.get("responseId"), data.get("modelVersion")
        self._id = id_ if isinstance(id_, str) else ""
        self._begun = True
        usage = None if self._usage is None else gemini_usage(self._usage)
        events.append(Begun(self._id, model if isinstance(model, str) else "", usage))

    def _tell_usage(self, events: list[Event]) -> None:
        """At the end, though every event tells it: what counts is what was told last."""
        usage = None if self._usage is None else gemini_usage(self._usage, searches=self._searches)
        if usage is not None:
            events.append(Used(usage, usage.tier))

    def _read_candidate(self, each: dict[str, Any], events: list[Event]) -> None:
        index = each.get("index") or 0
        if type(index) is not int or not 0 <= index < self._expected:
            return
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = _Candidate()
        if candidate.finished:
            return
        content = each.get("content")
        found = content.get("parts") if isinstance(content, dict) else None
        if isinstance(found, list):
            chances = read_chances(each["logprobsResult"]) if "logprobsResult" in each else None
            for part in found:
                if isinstance(part, dict):
                    chances = self._read_part(part, index, candidate, events, chances)
            if chances:
                events.append(TextDelta("", index, chances))
        if "groundingMetadata" in each or "citationMetadata" in each:
            self._cite(each, index, candidate, events)
        reason = each.get("finishReason")
        if not isinstance(reason, str) or reason.endswith("UNSPECIFIED"):
            return
        finish = finish_of(reason, called=candidate.calls > 0)
        if finish == "error":
            self._fail(failed_by(each), events)
        else:
            candidate.finished = True
            events.append(Finished(finish, index))

    def _read_part(
        self,
        part: Mapping[str, Any],
        index: int,
        candidate: _Candidate,
        events: list[Event],
        chances: list[dict[str, Any]] | None,
    ) -> list[dict[str, Any]] | None:
        """Tells a part; returns the chances of its tokens, if it was no text that they could be told with."""
        text, signature = part.get("text"), part.get("thoughtSignature")
        if isinstance(text, str):
            thought = part.get("thought") is True
            if thought and text:
                candidate.thinking = True
                events.append(ThinkingDelta(text, index))
            _sign(signature, index, candidate, events)
            if not thought and text:
                candidate.thinking = False
                candidate.texts.append(text)
                events.append(TextDelta(text, index, chances))
                return None
            return chances
        call, inline = part.get("functionCall"), part.get("inlineData")
        if isinstance(call, dict):
            self._call(call, signature if isinstance(signature, str) else "", index, candidate, events)
        elif isinstance(inline, dict):
            made = media.made(inline)
            if made is not None:
                _sign(signature, index, candidate, events)
                candidate.thinking = False
                events.append(ImageMade(made, index))
        return chances

    def _call(
        self, call: Mapping[str, Any], signature: str, index: int, candidate: _Candidate, events: list[Event]
    ) -> None:
        name, arguments = call.get("name"), parts.arguments_of(call)
        if not isinstance(name, str) or not name:
            return  # nothing that could be called
        id_ = parts.call_id(call, self._id, index, candidate.calls, name, arguments)
        origin = kept.NAME if signature else ""
        events.append(ToolBegun(candidate.calls, id_, name, index, signature, origin))
        events.append(ToolDelta(candidate.calls, arguments, index))
        candidate.calls += 1
        candidate.thinking = False

    def _cite(self, each: Mapping[str, Any], index: int, candidate: _Candidate, events: list[Event]) -> None:
        """Citations count from the text's beginning, and may be told again with what is added to them."""
        measure = Measure("".join(candidate.texts))
        for found in grounded(each):
            citation = measure.placed(found)
            key = (citation.url or citation.title, citation.start, citation.end)
            if key not in candidate.cited:
                candidate.cited.add(key)
                events.append(Cited(citation, index))


def _sign(signature: object, index: int, candidate: _Candidate, events: list[Event]) -> None:
    """A signature is of the thoughts before its part, where there are any."""
    if isinstance(signature, str) and signature:
        events.append(Signed(signature, kept.NAME, not candidate.thinking, index))
        candidate.thinking = False
