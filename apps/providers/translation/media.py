"""Pictures, sound and documents in JSON: data URLs, bare base64, and the types that names of files tell. Pure."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

_BY_ENDING = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_SOUNDS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/x-m4a": "m4a", "audio/mp4": "m4a"}


def is_data_url(url: str) -> bool:
    """Whether a URL holds what it is for."""
    return url[:5].lower() == "data:"


def split_data_url(url: str, *, quoted: bool = False) -> tuple[str, str] | None:
    """Media type, empty if it names none, and base64 of a data URL; None for any other URL.

    `quoted`: those that hold no base64, but text as URLs quote it, are split as well.
    """
    head, comma, data = url[5:].partition(",")
    if not comma or not is_data_url(url):
        return None
    media_type, *options = (part.strip().lower() for part in head.split(";"))
    if "base64" in options:
        return media_type, data
    return (media_type, base64.b64encode(unquote_to_bytes(data)).decode()) if quoted else None


def data_url(media_type: str, data: str) -> str:
    """A data URL of base64 text."""
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"


def type_by_name(name: str) -> str:
    """The media type that a file's name tells; a PDF's, which nearly all are, if it tells none."""
    return _BY_ENDING.get(name.rpartition(".")[2].lower(), "application/pdf")


def plain_text(media_type: str, data: str) -> str | None:
    """The text of a plain text document; None if it is another, or cannot be read."""
    if media_type.partition(";")[0] != "text/plain":
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def sound_type(sound_format: str) -> str:
    """The media type of one of OpenAI's formats of sound, such as wav."""
    return f"audio/{sound_format.lower()}"


def sound_format(media_type: str) -> str:
    """The format, in OpenAI's word, of a media type of sound."""
    return _SOUNDS.get(media_type, media_type.rpartition("/")[2].removeprefix("x-"))
