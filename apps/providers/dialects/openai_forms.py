"""What we read of OpenAI's forms: sound to be written down, pictures to be changed. Fields come as texts."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from apps.core import endpoints
from apps.core.errors import InvalidValue
from apps.providers.dialects.heads import Count, Identifier, wrong_type
from apps.providers.dialects.openai_heads import PlainHead


class TranscriptionHead(PlainHead):
    """Of sound. `seconds`, `seconds_most`: about how long it is, and the most that it can be."""

    prompt: str = ""
    seconds: int = 0
    seconds_most: int = 0


class EditHead(PlainHead):
    """Of pictures to make from others. `given`: how many come with the request."""

    prompt: str = ""
    n: Count | None = None
    size: Identifier | None = None
    quality: Identifier | None = None
    partial_images: Count | None = None
    given: int = 0

    @property
    def answers(self) -> int:
        """How many pictures."""
        return self.n or 1


_HEADS: Mapping[str, type[TranscriptionHead | EditHead]] = {
    endpoints.TRANSCRIPTIONS: TranscriptionHead,
    endpoints.AUDIO_TRANSLATIONS: TranscriptionHead,
    endpoints.IMAGE_EDITS: EditHead,
    endpoints.IMAGE_VARIATIONS: EditHead,
}
# What we find out ourselves, whatever a field of that name says.
_OURS = frozenset({"seconds", "seconds_most", "given"})


def read_form_head(
    fields: Mapping[str, Sequence[str]], files: Collection[str], endpoint: str
) -> TranscriptionHead | EditHead:
    """What the gateway decides on. `files`: the names of the form's files. Raises BadRequest naming the field."""
    kind = _HEADS[endpoint]
    deciding = [name for name in kind.__struct_fields__ if name not in _OURS]
    for name in deciding:
        if name in files:
            raise InvalidValue(f"Send '{name}' as a field of the form, without a filename.", param=name)
        if len(fields.get(name, ())) > 1:
            raise InvalidValue(f"Send '{name}' once.", param=name)
    said = {name: fields[name][0] for name in deciding if name in fields}
    try:
        return msgspec.convert(said, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise wrong_type(str(exc)) from exc
