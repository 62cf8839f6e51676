"""Reading streams of pictures, of speech and of what was heard as they pass: only the usage is read."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from apps.gateway.streams import StreamMeter, event_json
from apps.providers.usage import Usage, images_usage, speech_tokens, transcription_usage

# The beginning of a picture or of sound; what follows of it is more of the same.
_LONG = re.compile(rb'"[A-Za-z0-9+/=]{512,}')
_IMAGES_MATTER = re.compile(rb'"type"\s*:\s*"(?:image_[a-z]+\.completed|error)"|"error"\s*:\s*\{|\[DONE\]')
_SPEECH_MATTERS = re.compile(rb'"type"\s*:\s*"(?:speech\.audio\.done|error)"|"error"\s*:\s*\{|\[DONE\]')
_TRANSCRIPT_MATTERS = re.compile(rb'"type"\s*:\s*"(?:transcript\.text\.done|error)"|"error"\s*:\s*\{|\[DONE\]')
_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in {"tier", "estimated", "mismatch"})


class _MediaMeter(StreamMeter):
    """Events of large values, which are not kept: an event of any size costs a few of its kilobytes."""

    __slots__ = ()

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._unmeasured = 0  # there is no text to be weighed

    def _release_large(self) -> bytes:
        out = super()._release_large()
        if out:
            self._pending[:] = _LONG.sub(b'"', self._pending)
            self._released = len(self._pending)
        return out

    def _begins(self, _data: Mapping[str, Any]) -> bool:
        return False

    def _fail(self, data: Mapping[str, Any]) -> None:
        error = data.get("error")
        named = error.get("code") or error.get("type") if isinstance(error, dict) else data.get("code")
        self.error = named if isinstance(named, str) and named else "error"
        self.complete = True


class ImagesMeter(_MediaMeter):
    """Pictures: each ends with an event that tells its usage, and the answer with the last of those that were asked for."""

    __slots__ = ("_made",)

    def __init__(self, *, hide_usage: bool = False, answers: int = 1) -> None:
        super().__init__(hide_usage=hide_usage, answers=answers)
        self._made = 0

    def finish(self) -> bytes:
        """As above. A provider that makes fewer pictures than were asked for is done when the stream ends."""
        rest = super().finish()
        self.complete = self.complete or self._made > 0
        return rest

    def _is_interesting(self, data: bytes) -> bool:
        return _IMAGES_MATTER.search(data) is not None

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        if str(data.get("type")).endswith(".completed"):
            self._made += 1
            usage = images_usage({**data, "data": [None]})
            self._take_usage(_sum(self.usage, usage))
            self.complete = self._made >= self._answers
        elif not data:
            self.complete = b"[DONE]" in event
        else:
            self._fail(data)
        return False


class SpeechMeter(_MediaMeter):
    """Speech: the last event tells the tokens."""

    __slots__ = ()

    def _is_interesting(self, data: bytes) -> bool:
        return _SPEECH_MATTERS.search(data) is not None

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        if data.get("type") == "speech.audio.done":
            if isinstance(data.get("usage"), dict):
                self._take_usage(speech_tokens(data["usage"]))
            self.complete = True
        elif not data:
            self.complete = b"[DONE]" in event
        else:
            self._fail(data)
        return False


class TranscriptMeter(_MediaMeter):
    """What was heard, as it is written down: the last event tells tokens or seconds."""

    __slots__ = ()

    def _is_interesting(self, data: bytes) -> bool:
        return _TRANSCRIPT_MATTERS.search(data) is not None

    def _read(self, event: bytes) -> bool:
        data = event_json(event)
        if data.get("type") == "transcript.text.done":
            self._take_usage(transcription_usage(data))
            self.complete = True
        elif not data:
            self.complete = b"[DONE]" in event
        else:
            self._fail(data)
        return False


def _sum(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    both = {name: (getattr(first, name), getattr(second, name)) for name in _COUNTS}
    told = {name: (a or 0) + (b or 0) for name, (a, b) in both.items() if a is not None or b is not None}
    return msgspec.structs.replace(second, **told, mismatch=first.mismatch or second.mismatch)
