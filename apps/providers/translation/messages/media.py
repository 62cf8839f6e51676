"""Pictures and documents as Anthropic takes them. Pure."""

import base64
import binascii
import re

from apps.providers.translation.form import File, Image, Json
from apps.providers.translation.losses import Losses

_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ALIASES = {"image/jpg": "image/jpeg"}
_PDF = "application/pdf"
_WRITTEN = re.compile(r"text/[\w.+-]+|application/(?:json|xml|x-yaml|yaml|javascript|toml)", re.IGNORECASE)
_TITLE_MAX = 500  # characters

_OTHER_PICTURE = "Send a JPEG, PNG, GIF or WebP, as data or by an https URL."
_OTHER_FILE = "Send a PDF or plain text, as data or, if it is a PDF, by an https URL."
_NOT_THERE = "The file is not at the provider that serves this model: send its data."


def image_block(image: Image, path: str, losses: Losses) -> Json | None:
    """A block of type image; None if it cannot be one and may be left out."""
    if image.detail not in ("", "auto"):
        losses.hint(f"{path}.detail")
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    media_type = image.media_type.partition(";")[0].strip().lower()
    media_type = _ALIASES.get(media_type, media_type)
    if image.data and media_type in _PICTURES:
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.data}}
    losses.meaning(path, _NOT_THERE if image.file_id else _OTHER_PICTURE)
    return None


def document_block(file: File, path: str, losses: Losses) -> Json | None:
    """A block of type document; None if it cannot be one and may be left out."""
    source = _source(file)
    if source is None:
        losses.meaning(path, _NOT_THERE if file.file_id and not file.data else _OTHER_FILE)
        return None
    block: Json = {"type": "document", "source": source}
    if file.name:
        block["title"] = file.name[:_TITLE_MAX]
    return block


def _source(file: File) -> Json | None:
    media_type = file.media_type.partition(";")[0].strip().lower()
    if file.text.strip():
        return _plain(file.text)
    if file.data and _WRITTEN.fullmatch(media_type):
        text = _decoded(file.data)
        return _plain(text) if text.strip() else None
    if file.data and media_type in ("", _PDF):
        return {"type": "base64", "media_type": _PDF, "data": file.data}
    if file.url and media_type in ("", _PDF):
        return {"type": "url", "url": file.url}
    return None


def _plain(text: str) -> Json:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
