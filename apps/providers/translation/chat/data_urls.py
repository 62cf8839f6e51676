"""Pictures, sound and documents as OpenAI's chat carries them: URLs, data URLs and bare base64. Pure."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

_DEFAULT_TYPE = "text/plain"  # of a data URL that names none, as its standard has it
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


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of a data URL; None if it is another URL."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    media_type, *options = (part.strip() for part in head.split(";"))
    if not any(option.lower() == "base64" for option in options):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return media_type.lower() or _DEFAULT_TYPE, data


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
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def sound_type(sound_format: str) -> str:
    """The media type of one of OpenAI's formats of sound, such as wav."""
    return f"audio/{sound_format.lower()}"


def sound_format(media_type: str) -> str:
    """The format, in OpenAI's word, of a media type of sound."""
    return _SOUNDS.get(media_type, media_type.rpartition("/")[2].removeprefix("x-"))
