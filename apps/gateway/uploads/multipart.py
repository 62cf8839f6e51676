"""multipart/form-data, read piece by piece (RFC 7578, RFC 2046) and written again. Pure.

Strict: what no client of an HTTP library sends is refused rather than guessed at.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from apps.core.errors import InvalidForm

PARTS_MAX = 128
_HEAD_MAX = 4096  # bytes of one part's headers
_BOUNDARY_MAX = 70  # RFC 2046
_FILENAME_MAX = 512  # bytes

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FIELD = re.compile(r"[0-9A-Za-z_.\-\[\]]{1,128}")
_TOKEN = r"[0-9A-Za-z!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110's word for it
# One parameter: its name, then a quoted string, in which a backslash takes the next character as it is, or a token.
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN})=(?:"((?:[^"\\\r\n\x00]|\\[^\r\n\x00])*)"|({_TOKEN}))[ \t]*')
_MEDIA_TYPE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,255}")
_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})
# What would end the quoted string, or be read differently by different readers, as HTML writes it.
_AWKWARD = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A", "\\": "%5C"})


@dataclass(frozen=True, slots=True)
class PartHead:
    """What a part says of itself. `filename` None: a field; else a file, even with an empty name."""

    name: str
    filename: str | None
    content_type: str  # empty: it says none


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a Content-Type names. Raises InvalidForm for anything but a form."""
    kind, semicolon, rest = content_type.decode("latin-1").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise InvalidForm("Send a form here: the Content-Type must be multipart/form-data, with its boundary.")
    boundary = _parameters(semicolon + rest).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidForm("The Content-Type names no boundary, or one that cannot be.")
    return boundary.encode()


class MultipartReader:
    """Feed it every piece. What comes of a part is handed on at once: `begin`, `data` for each piece of it, `end`."""

    __slots__ = ("_begin", "_buffer", "_data", "_delimiter", "_end", "_keep", "_parts", "_state", "is_complete")

    def __init__(
        self, boundary: bytes, begin: Callable[[PartHead], None], data: Callable[[bytes], None], end: Callable[[], None]
    ) -> None:
        self._begin, self._data, self._end = begin, data, end
        self._delimiter = b"\r\n--" + boundary
        self._keep = len(self._delimiter) - 1  # so much at a piece's end may be the beginning of a delimiter
        self._buffer = bytearray(b"\r\n")  # the first delimiter has no line before it
        self._state = self._find_first
        self._parts = 0
        self.is_complete = False  # the last delimiter has come

    def feed(self, piece: bytes) -> None:
        """Take in the next piece, of any size. Raises InvalidForm, and whatever is called back raises."""
        if self.is_complete:
            return  # an epilogue is nobody's
        self._buffer += piece
        while self._state():
            pass

    def finish(self) -> None:
        """Nothing more will come. Raises InvalidForm if the form is not whole."""
        if not self.is_complete:
            raise InvalidForm("The form breaks off: its last boundary is missing.")

    # Each takes what it can from the buffer, and returns whether the next one may.

    def _find_first(self) -> bool:
        size = len(self._delimiter)
        if not self._delimiter.startswith(self._buffer[:size]):
            raise InvalidForm("The form does not begin with its boundary.")
        if len(self._buffer) < size:
            return False
        del self._buffer[:size]
        self._state = self._after_delimiter
        return True

    def _after_delimiter(self) -> bool:
        if len(self._buffer) < 2:
            return False
        following = bytes(self._buffer[:2])
        del self._buffer[:2]
        if following == b"--":
            self.is_complete = True
            self._buffer.clear()
            return False
        if following != b"\r\n":
            raise InvalidForm("A boundary of the form is followed by something else than the end of its line.")
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise InvalidForm(f"The form has more than {PARTS_MAX} parts.")
        self._state = self._read_head
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, _HEAD_MAX)
        if end < 0:
            if len(self._buffer) >= _HEAD_MAX:
                raise InvalidForm(f"A part's headers are larger than {_HEAD_MAX} bytes.")
            return False
        head = _part_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._begin(head)
        self._state = self._read_data
        return True

    def _read_data(self) -> bool:
        buffer = self._buffer
        at = buffer.find(self._delimiter)
        if at >= 0:
            if at:
                self._data(bytes(buffer[:at]))
            del buffer[: at + len(self._delimiter)]
            self._end()
            self._state = self._after_delimiter
            return True
        if len(buffer) > self._keep:
            self._data(bytes(buffer[: -self._keep]))
            del buffer[: -self._keep]
        return False


def _part_head(raw: bytes) -> PartHead:
    """The headers of a part, without the empty line after them."""
    try:
        lines = raw.decode().split("\r\n")
    except UnicodeDecodeError as exc:
        raise InvalidForm("A part's headers are not UTF-8.") from exc
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(_TOKEN, name):
            raise InvalidForm("A part of the form has a header that is none.")
        if name.lower() in headers:
            raise InvalidForm(f"A part of the form has {name} twice.")
        headers[name.lower()] = value.strip(" \t")
    if headers.get("content-transfer-encoding", "").lower() not in _ENCODINGS:
        raise InvalidForm("A part of the form is encoded (Content-Transfer-Encoding): send it as it is.")
    content_type = headers.get("content-type", "")
    if content_type and not _MEDIA_TYPE.fullmatch(content_type):
        raise InvalidForm("A part of the form has a Content-Type that is none.")
    kind, semicolon, rest = headers.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise InvalidForm("A part of the form has no Content-Disposition: form-data.")
    said = _parameters(semicolon + rest)
    name = said.get("name", "")
    if not _FIELD.fullmatch(name):
        raise InvalidForm("A part of the form has no name, or one that is no field's.")
    return PartHead(name, _filename(said), content_type)


def _parameters(text: str) -> dict[str, str]:
    """`; name=value` and so on to the end, names in lower case. Raises InvalidForm."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1].lower() in found:
            raise InvalidForm("The form has a header that cannot be read.")
        quoted = match[2]
        found[match[1].lower()] = match[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = match.end()
    return found


def _filename(said: dict[str, str]) -> str | None:
    plain, extended = said.get("filename"), said.get("filename*")
    if extended is not None:  # RFC 5987: UTF-8'language'percent-encoded
        charset, _, rest = extended.partition("'")
        try:
            plain = unquote_to_bytes(rest.partition("'")[2]).decode(
                "utf-8" if charset.lower() == "utf-8" else "latin-1"
            )
        except UnicodeDecodeError as exc:
            raise InvalidForm("A part of the form has a filename that cannot be read.") from exc
    if plain is not None and len(plain.encode("utf-8", "replace")) > _FILENAME_MAX:
        raise InvalidForm(f"A part of the form has a filename of more than {_FILENAME_MAX} bytes.")
    return plain


def written_head(boundary: bytes, head: PartHead, *, first: bool) -> bytes:
    """What stands before a part's content."""
    lines = f'Content-Disposition: form-data; name="{head.name}"'
    if head.filename is not None:
        shown = "".join(char for char in head.filename.translate(_AWKWARD) if char.isprintable())
        lines += f'; filename="{shown}"'
    if head.content_type:
        lines += f"\r\nContent-Type: {head.content_type}"
    return (b"--" if first else b"\r\n--") + boundary + b"\r\n" + lines.encode() + b"\r\n\r\n"


def written_end(boundary: bytes) -> bytes:
    """What stands after the last part."""
    return b"\r\n--" + boundary + b"--\r\n"
