"""Writing the parts of messages as OpenAI's chat has them. Pure."""

from collections.abc import Sequence

from apps.providers.translation.chat.providers import Habits, habits_of, marks_of
from apps.providers.translation.form import Audio, File, Image, Json, Part, Refusal, Text, Thinking
from apps.providers.translation.losses import Losses
from apps.providers.translation.media import data_url, sound_format
from apps.providers.translation.upstream import Upstream

_CACHE = "cache_control"
_AS_DATA = "Send it as base64 data."


class PartWriter:
    """Writes parts for one request to one provider."""

    def __init__(self, upstream: Upstream, losses: Losses) -> None:
        self.upstream, self.losses = upstream, losses
        self.habits: Habits = habits_of(upstream)
        self._marks = marks_of(upstream)

    def content(self, parts: Sequence[Part], path: str) -> str | list[Json]:
        """The content of a message: a string where it is nothing but text, since many servers take no array there.

        `path`: of the message, for what is lost.
        """
        if all(isinstance(part, Text) and not (part.cache and self._marks) for part in parts):
            return self.joined([part for part in parts if isinstance(part, Text)], "\n\n")
        written = (self.part(part, f"{path}.content[{place}]") for place, part in enumerate(parts))
        return [part for part in written if part is not None]

    def joined(self, texts: Sequence[Text], between: str) -> str:
        """Texts as one; what marks them is lost."""
        for text in texts:
            self.lose_mark(text.cache)
        return between.join(text.text for text in texts if text.text)

    def part(self, part: Part, path: str) -> Json | None:
        """One part of a user's message or of instructions; None for one that is left out."""
        match part:
            case Text():
                return self._marked({"type": "text", "text": part.text}, part.cache) if part.text else None
            case Refusal():
                return {"type": "text", "text": part.text}
            case Image():
                return self._image(part, path)
            case Audio():
                return self._audio(part, path)
            case File():
                return self._file(part, path)
            case Thinking():
                return None  # a user's thoughts are nobody's
            case _:
                self.losses.meaning(path, "Calls and results of tools do not belong here.")
                return None

    def lose_mark(self, cache: str) -> None:
        """A mark where none can be written."""
        if cache:
            self.losses.hint(_CACHE)

    def _marked(self, part: Json, cache: str) -> Json:
        if not cache:
            return part
        match self._marks:
            case "prompt_cache_breakpoint":
                mark: Json = {"mode": "explicit"} | ({"ttl": "12h"} if cache == "1h" else {})
                return part | {"prompt_cache_breakpoint": mark}
            case "cache_control":
                return part | {_CACHE: {"type": "ephemeral"} | ({"ttl": "1h"} if cache == "1h" else {})}
            case _:
                self.lose_mark(cache)
                return part

    def _image(self, image: Image, path: str) -> Json | None:
        if self.upstream.lacks("image_in"):
            self.losses.meaning(path, "This model sees no pictures.")
            return None
        if not image.url and not image.data:
            self.losses.impossible(path, "Send the picture by its URL, or as base64 data.")
        picture = {"url": image.url or data_url(image.media_type, image.data)}
        if image.detail:
            picture["detail"] = image.detail
        return self._marked({"type": "image_url", "image_url": picture}, image.cache)

    def _audio(self, audio: Audio, path: str) -> Json | None:
        if self.upstream.lacks("audio_in"):
            self.losses.meaning(path, "This model hears nothing.")
            return None
        return {"type": "input_audio", "input_audio": {"data": audio.data, "format": sound_format(audio.media_type)}}

    def _file(self, document: File, path: str) -> Json | None:
        if document.text:
            self.lose_mark(document.cache)
            title = f"{document.name}\n\n" if document.name else ""
            return {"type": "text", "text": f"{title}{document.text}"}
        if "files" not in self.habits.takes:
            self.losses.meaning(path, "The provider takes no documents: send its text.")
            return None
        url = document.url or (data_url(document.media_type, document.data) if document.data else "")
        if self.habits.documents == "document_url":
            if not url:
                self.losses.impossible(path, _AS_DATA)
            self.lose_mark(document.cache)
            named = {"document_name": document.name} if document.name else {}
            return {"type": "document_url", "document_url": url} | named
        return self._marked({"type": "file", "file": self._document(document, url, path)}, document.cache)

    def _document(self, document: File, url: str, path: str) -> Json:
        takes = self.habits.takes
        # Ids of other providers' files mean nothing here.
        if document.file_id.startswith(("file-", "assistant-")) and "file_ids" in takes:
            return {"file_id": document.file_id}
        if not document.data and (not document.url or "file_urls" not in takes):
            self.losses.impossible(path, _AS_DATA)
        return {"filename": document.name or _name_of(document.media_type), "file_data": url}


def _name_of(media_type: str) -> str:
    """OpenAI asks for a name."""
    return "document.pdf" if media_type in ("", "application/pdf") else "document"
