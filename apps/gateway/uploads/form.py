"""A form that has been read: its fields in memory, its files on disk; and the same form as it goes to a provider."""

import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from apps.core.errors import InvalidForm, InvalidValue, UploadsUnavailable
from apps.gateway.uploads.disk import PIECE, UploadDisk, UploadFile
from apps.gateway.uploads.multipart import MultipartReader, PartHead, written_end, written_head

_FIELD_MAX = 256 * 1024  # bytes of one field; a prompt for pictures has at most 32,000 characters
_FIELDS_MAX = 512 * 1024  # of all of them


@dataclass(slots=True)
class Part:
    """A field, whose `value` is here, or a file, which lies in the form's file from `start` on."""

    head: PartHead
    value: bytes
    start: int
    size: int
    source: UploadFile | None = None  # another file that it lies in

    @property
    def is_file(self) -> bool:
        """Whether it has a filename."""
        return self.head.filename is not None


class Form:
    """Built by `feed` and `flush` in turns. To be closed, whatever becomes of it."""

    def __init__(self, boundary: bytes, disk: UploadDisk) -> None:
        self.parts: list[Part] = []
        self.file = UploadFile(disk)
        self._reader = MultipartReader(boundary, self._begin, self._take, self._end)
        self._value = bytearray()
        self._fields = 0  # bytes of all fields

    # --- Reading ---

    async def feed(self, piece: bytes) -> None:
        """Take in the next piece of the body. Raises InvalidForm, UploadsUnavailable."""
        # In bounded pieces: a server may hand over all that has come.
        for start in range(0, len(piece), PIECE):
            self._reader.feed(piece[start : start + PIECE])
            await self.file.flush()

    def finish(self) -> None:
        """The body is over. Raises InvalidForm if the form is not."""
        self._reader.finish()

    def _begin(self, head: PartHead) -> None:
        self.parts.append(Part(head, b"", self.file.size, 0))

    def _take(self, piece: bytes) -> None:
        part = self.parts[-1]
        part.size += len(piece)
        if part.is_file:
            self.file.append(piece)
            return
        self._fields += len(piece)
        if part.size > _FIELD_MAX or self._fields > _FIELDS_MAX:
            raise InvalidForm(
                f"The field '{part.head.name}' is too long: send what is large as a file, with a filename."
            )
        self._value += piece

    def _end(self) -> None:
        part = self.parts[-1]
        if not part.is_file:
            part.value = bytes(self._value)
            self._value.clear()

    # --- What is in it ---

    def fields(self) -> dict[str, list[str]]:
        """The fields' values by name, in order. Raises InvalidForm for one that is not UTF-8."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            if not part.is_file:
                try:
                    found.setdefault(part.head.name, []).append(part.value.decode())
                except UnicodeDecodeError as exc:
                    raise InvalidForm(f"The field '{part.head.name}' is not UTF-8.") from exc
        return found

    def files(self, *names: str) -> list[Part]:
        """The files of these names, in order; without names, all."""
        return [part for part in self.parts if part.is_file and (not names or part.head.name in names)]

    def only_file(self, name: str) -> Part:
        """The one file of that name. Raises InvalidValue."""
        found = self.files(name)
        if len(found) != 1 or not found[0].size:
            raise InvalidValue(f"Send one file as '{name}', which is not empty.", param=name)
        return found[0]

    async def content(self, part: Part, start: int, size: int) -> bytes:
        """Some of a file's bytes; fewer at its end."""
        file = self.file if part.source is None else part.source
        return await file.read(part.start + start, max(0, min(size, part.size - start)))

    def framed(self, fields: Mapping[str, str | None]) -> "Framed":
        """The form with these fields instead of its own of the same name; None: without it."""
        return Framed(self, fields)

    def close(self) -> None:
        """Its files are gone."""
        self.file.close()
        for part in self.parts:
            if part.source is not None:
                part.source.close()


class Framed:
    """A form as it goes upstream, under a boundary of our own. May be read once for each attempt."""

    def __init__(self, form: Form, fields: Mapping[str, str | None]) -> None:
        # 128 random bits, made after the content has come: nobody can have put it there.
        boundary = b"tollgate" + secrets.token_hex(16).encode()
        self.content_type = b"multipart/form-data; boundary=" + boundary
        self._form = form
        self._parts: list[tuple[bytes, Part]] = []
        changed = [
            Part(PartHead(name, None, ""), value.encode(), 0, 0) for name, value in fields.items() if value is not None
        ]
        kept = [part for part in form.parts if part.is_file or part.head.name not in fields]
        for part in (*changed, *kept):
            self._parts.append((written_head(boundary, part.head, first=not self._parts), part))
        self._end = written_end(boundary)
        sizes = (len(head) + (part.size if part.is_file else len(part.value)) for head, part in self._parts)
        self.size = sum(sizes) + len(self._end)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, in pieces of a bounded size."""
        small = b""
        for head, part in self._parts:
            small += head
            if not part.is_file:
                small += part.value
                continue
            at = 0
            while at < part.size:
                piece = await self._form.content(part, at, PIECE)
                if not piece:  # the disk has lost it
                    raise UploadsUnavailable
                yield small + piece
                small = b""
                at += len(piece)
        yield small + self._end
