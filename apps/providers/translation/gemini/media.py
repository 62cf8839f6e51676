"""Pictures, sound and documents in Gemini's parts, both ways. Pure."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from apps.providers.translation.fields import wrong_value
from apps.providers.translation.form import Audio, File, Image
from apps.providers.translation.media import split_data_url

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "json": "application/json",
}
_PATH = re.compile(r"https?://[^/?#]+([^?#]*)", re.IGNORECASE)
# Where Gemini keeps files of its own, which nobody else can open.
_GOOGLES = re.compile(r"gs://|https?://generativelanguage\.googleapis\.com/|https?://(?:www\.)?youtu", re.IGNORECASE)


def type_of(url: str) -> str:
    """The media type that a URL's path speaks of; empty if it does not."""
    found = _PATH.match(url)
    ending = found[1].rpartition(".")[2].lower() if found else ""
    return _TYPES.get(ending, "")


def is_public(url: str) -> bool:
    """Whether anybody may find something at a URL, and not Gemini alone."""
    return _PATH.match(url) is not None and _GOOGLES.match(url) is None


def is_googles(url: str) -> bool:
    """Whether it is a file that Gemini knows."""
    return _GOOGLES.match(url) is not None


def standard(data: str) -> str:
    """Base64 in the alphabet that everybody reads, padded: Google's clients write the one of URLs."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data + "=" * (-len(data) % 4)


def inline_part(media_type: str, data: str, name: str, at: str) -> Image | Audio | File | None:
    """What is sent inline, by its type; None for what this form has no place for. Raises InvalidValue for text that is none."""
    data, kind = standard(data), media_type.lower().partition(";")[0].strip()
    if kind.startswith("image/"):
        return Image(data=data, media_type=kind)
    if kind.startswith("audio/"):
        return Audio(data=data, media_type=kind)
    if kind.startswith("video/"):
        return None
    if kind.startswith("text/"):
        try:
            text = base64.b64decode(data, validate=True).decode()
        except ValueError as exc:
            raise wrong_value(f"{at}.data", "expected UTF-8 text as base64") from exc
        return File(text=text, media_type=kind, name=name)
    return File(data=data, media_type=kind, name=name)


def linked_part(media_type: str, url: str, name: str) -> Image | File | None:
    """What is pointed at, by its type; None for what nobody but Gemini can open, or nobody can be told of."""
    kind = media_type.lower() or type_of(url)
    if not is_public(url) or kind.startswith(("audio/", "video/")):
        return None
    return Image(url=url, media_type=kind) if kind.startswith("image/") else File(url=url, media_type=kind, name=name)


def inline_data(part: Image | Audio | File) -> dict[str, Any] | None:
    """A part that holds its data; None if it does not."""
    if isinstance(part, File) and part.text:
        data = base64.b64encode(part.text.encode(errors="replace")).decode()
        return _inline(part.media_type or "text/plain", data)
    if part.data:
        return _inline(part.media_type or _usual(part), part.data)
    if not isinstance(part, Audio) and (found := split_data_url(part.url)):
        return _inline(found[0] or part.media_type or _usual(part), found[1])
    return None


def file_data(part: Image | File) -> dict[str, Any]:
    """A part that points at its URL."""
    data = {"fileUri": part.url}
    if kind := part.media_type or type_of(part.url):
        data["mimeType"] = kind
    return {"fileData": data}


def made(inline: Mapping[str, Any]) -> Image | None:
    """A picture of an answer, whose part's `inlineData` this is; None for anything else."""
    kind, data = inline.get("mimeType"), inline.get("data")
    if not isinstance(kind, str) or not isinstance(data, str) or not kind.lower().startswith("image/"):
        return None
    return Image(data=standard(data), media_type=kind.lower())


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _usual(part: Image | Audio | File) -> str:
    if isinstance(part, Image):
        return "image/png"
    return "audio/wav" if isinstance(part, Audio) else "application/pdf"
