"""Pieces of content: texts, pictures, sound and files, as clients send them and as they are sent on. Pure."""

from apps.providers.translation.fields import Fields, Unkept
from apps.providers.translation.form import Audio, Citation, File, Image, Refusal, Text
from apps.providers.translation.losses import shown
from apps.providers.translation.media import is_data_url, plain_text, split_data_url, type_by_name
from apps.providers.translation.told import url_citation

type Content = Text | Refusal | Image | Audio | File

_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_DETAILS = ("low", "high", "auto", "original")
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3"}
_LASTING = "12h"  # OpenAI's longer time in the cache, for which Anthropic has an hour


def read_content(item: Fields, name: str, unkept: Unkept) -> list[Content]:
    """A text, or an array of parts. Raises BadRequest naming the part."""
    value = item.json.get(name)
    if value is None:
        raise item.missing(name)
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise item.wrong(name, "a string or an array of parts")
    return [read for part in item.objects(name) if (read := _part(part, unkept)) is not None]


def _part(part: Fields, unkept: Unkept) -> Content | None:
    kind = part.required_text("type")
    if kind in _TEXTS:
        return Text(part.required_text("text"), cache=_cache(part), citations=_citations(part))
    match kind:
        case "refusal":
            return Refusal(part.required_text("refusal"))
        case "input_image":
            return _image(part)
        case "input_file":
            return _file(part, unkept)
        case "input_audio":
            return _audio(part)
    unkept.refuse(
        part.path, f"Send it as input_text, input_image or input_file: '{shown(kind)}' is known here only to OpenAI."
    )
    return None


def _image(part: Fields) -> Image:
    url, file_id = part.text("image_url"), part.text("file_id")
    detail, cache = part.word("detail", _DETAILS), _cache(part)
    if not url and not file_id:
        raise part.missing("image_url")
    data = _data_of(part, "image_url", url)
    if data is not None:
        return Image(data=data[1], media_type=data[0] or "image/png", detail=detail, cache=cache)
    return Image(url=url, file_id=file_id, detail=detail, cache=cache)


def _file(part: Fields, unkept: Unkept) -> File:
    name, given, cache = part.text("filename"), part.text("file_data"), _cache(part)
    if part.has("detail"):
        unkept.leave(part.named("detail"))
    if not given:
        url, file_id = part.text("file_url"), part.text("file_id")
        if not url and not file_id:
            raise part.missing("file_data")
        return File(url=url, file_id=file_id, name=name, cache=cache)
    media_type, data = _data_of(part, "file_data", given) or ("", given)
    media_type = media_type or type_by_name(name)
    if media_type == "text/plain":
        text = plain_text(media_type, data)
        if text is None:
            raise part.impossible("file_data", "use base64 of UTF-8 text")
        return File(text=text, name=name, cache=cache)
    return File(data=data, media_type=media_type, name=name, cache=cache)


def _audio(part: Fields) -> Audio:
    sound = part.required_inner("input_audio")
    kind = sound.word("format", _SOUNDS)
    return Audio(data=sound.required_text("data"), media_type=_SOUNDS[kind or "wav"])


def _data_of(part: Fields, name: str, url: str) -> tuple[str, str] | None:
    """Media type and base64 of a data URL; None for any other."""
    found = split_data_url(url)
    if found is None and is_data_url(url):
        raise part.impossible(name, "write a data URL as data:<media type>;base64,<data>")
    return found


def _cache(part: Fields) -> str:
    mark = part.inner("prompt_cache_breakpoint")
    if mark is None:
        return ""
    return "1h" if mark.text("ttl") == _LASTING else "5m"


def _citations(part: Fields) -> list[Citation]:
    found = part.json.get("annotations")
    return [cited for each in found if (cited := read_annotation(each))] if isinstance(found, list) else []


def read_annotation(value: object) -> Citation | None:
    """A citation of something with a URL; None for anything else."""
    return url_citation(value) if isinstance(value, dict) and value.get("type") == "url_citation" else None
