"""Reading the parts of a chat message's content. Pure."""

from typing import Any

from apps.providers.translation.fields import Fields, Unkept
from apps.providers.translation.form import Audio, Citation, File, Image, Part, Refusal, Text, Thinking
from apps.providers.translation.losses import shown
from apps.providers.translation.media import plain_text, sound_type, split_data_url, type_by_name
from apps.providers.translation.told import url_citation

# How a prompt is marked to be kept up to here: OpenAI's field, or Anthropic's, as many clients send it.
MARKS = ("prompt_cache_breakpoint", "cache_control")
_LONG_LIVED = frozenset({"1h", "12h", "24h"})

_KNOWN = {
    kind: frozenset({"type", *names, *MARKS})
    for kinds, names in (
        (("text", "input_text", "output_text"), ("text",)),
        (("refusal",), ("refusal",)),
        (("image_url", "input_image"), ("image_url", "detail")),
        (("input_audio",), ("input_audio",)),
        (("file",), ("file",)),
        (("input_file",), ("filename", "file_data", "file_url", "file_id")),
        (("thinking",), ("thinking",)),
    )
    for kind in kinds
}


def read_content(message: Fields, unkept: Unkept) -> list[Part]:
    """The parts of `content`, which may be a string; none for null."""
    content = message.json.get("content")
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    if not isinstance(content, list):
        raise message.wrong("content", "a string or an array of parts")
    parts = [read_part(part, unkept) for part in message.objects("content")]
    return [part for part in parts if part is not None]


def read_part(part: Fields, unkept: Unkept) -> Part | None:
    """One part; None for one that is left out."""
    kind = part.text("type") or ("text" if part.has("text") else "")
    cache = read_cache(part)
    found: Part | None
    match kind:
        case "text" | "input_text" | "output_text":
            found = Text(part.required_text("text"), cache)
        case "refusal":
            found = Refusal(part.required_text("refusal"))
        case "image_url" | "input_image":
            found = _image(part, cache)
        case "input_audio":
            found = _audio(part.required_inner("input_audio"))
        case "file" | "input_file":
            found = _file(part.required_inner("file") if kind == "file" else part, cache)
        case "thinking":  # Mistral's
            found = Thinking(text=thinking_text(part.json.get("thinking")))
        case "":
            raise part.missing("type")
        case _:
            unkept.refuse(part.path, f"Send the content of this part of type '{shown(kind)}' as text.", f"part {kind}")
            return None
    unkept.leave_others(part, _KNOWN[kind])
    return found


def read_cache(fields: Fields) -> str:
    """The lifetime for which the prompt is marked to be kept; empty without a mark."""
    for name in MARKS:
        mark = fields.json.get(name)
        if isinstance(mark, dict):
            return "1h" if mark.get("ttl") in _LONG_LIVED else "5m"
    return ""


def thinking_text(said: Any) -> str:
    """The text of a part of thoughts, which is a list of texts."""
    if isinstance(said, str):
        return said
    pieces = said if isinstance(said, list) else []
    texts = [piece.get("text") if isinstance(piece, dict) else piece for piece in pieces]
    return "".join(text for text in texts if isinstance(text, str))


def read_citation(annotation: Any) -> Citation | None:
    """A `url_citation`; None for any other annotation."""
    return url_citation(annotation.get("url_citation")) if isinstance(annotation, dict) else None


def image_of(url: str, *, detail: str = "", cache: str = "") -> Image:
    """A picture by its URL, which may be a data URL."""
    split = split_data_url(url, quoted=True)
    if split is None:
        return Image(url=url, detail=detail, cache=cache)
    return Image(media_type=split[0] or "image/png", data=split[1], detail=detail, cache=cache)


def _image(part: Fields, cache: str) -> Image:
    said, detail = part.json.get("image_url"), part.text("detail")
    if isinstance(said, str):  # as Responses has it, and many servers take it
        return image_of(said, detail=detail, cache=cache)
    picture = part.required_inner("image_url")
    return image_of(picture.required_text("url"), detail=picture.text("detail") or detail, cache=cache)


def _audio(sound: Fields) -> Audio:
    data, kind = sound.required_text("data"), sound.required_text("format")
    split = split_data_url(data)
    return Audio(data=split[1] if split else data, media_type=sound_type(kind))


def _file(document: Fields, cache: str) -> File:
    name, data = document.text("filename"), document.text("file_data")
    if not data:
        url = document.text("file_url")
        if url:
            return File(url=url, name=name, cache=cache)
        return File(file_id=document.required_text("file_id"), name=name, cache=cache)
    if data.startswith(("https://", "http://")):  # OpenRouter's way
        return File(url=data, name=name, cache=cache)
    media_type, content = split_data_url(data, quoted=True) or ("", data)
    media_type = media_type or type_by_name(name)
    text = plain_text(media_type, content)
    if text is not None:
        return File(text=text, media_type=media_type, name=name, cache=cache)
    return File(data=content, media_type=media_type, name=name, cache=cache)
