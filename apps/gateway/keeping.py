"""What is kept of a large answer while it passes, to find its usage in."""

from typing import Protocol

_ALL_MOST = 32 * 1024 * 1024
_OUTLINE_MOST = 1024 * 1024
_LONG = 512


class Keeper(Protocol):
    """Feed it every piece; `kept` is what there is to read, or None if that would be too much."""

    def feed(self, piece: bytes) -> None:
        """Take in one piece."""

    def kept(self) -> bytes | None:
        """What has been kept, once the answer is over."""


class Whole:
    """Everything, up to 32 MiB."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take in one piece."""
        if len(self._pieces) <= _ALL_MOST:
            self._pieces += piece

    def kept(self) -> bytes | None:
        """All of it."""
        return bytes(self._pieces) if len(self._pieces) <= _ALL_MOST else None


class Outline:
    """JSON in which long strings, such as pictures, are empty: of tens of megabytes a few hundred bytes. Up to 1 MiB of those."""

    __slots__ = ("_backslash", "_in_string", "_out", "_skips", "_start")

    def __init__(self) -> None:
        self._out = bytearray()
        self._in_string = False
        self._start = 0  # where in `_out` the string began, after its quote
        self._skips = False  # the string is long: the rest of it is not kept
        self._backslash = False  # the last piece ended in one, inside a string

    def feed(self, piece: bytes) -> None:
        """Take in one piece; no longer once too much is kept."""
        at, size = 0, len(piece)
        slash = -2  # where the next backslash is, as far as it has been looked for
        if len(self._out) > _OUTLINE_MOST:
            return
        while at < size:
            if not self._in_string:
                quote = piece.find(b'"', at)
                if quote < 0:
                    self._out += piece[at:]
                    return
                self._out += piece[at : quote + 1]
                at, self._in_string, self._start, self._skips = quote + 1, True, len(self._out), False
                continue
            if self._backslash:
                self._keep(piece[at : at + 1])
                at, self._backslash = at + 1, False
                continue
            if slash != -1 and slash < at:
                slash = piece.find(b"\\", at)
            quote = piece.find(b'"', at, size if slash < 0 else slash)
            if quote >= 0:
                self._keep(piece[at:quote])
                self._out += b'"'
                at, self._in_string = quote + 1, False
            elif slash >= 0:
                self._keep(piece[at : slash + 1])
                at, self._backslash = slash + 1, True
            else:
                self._keep(piece[at:])
                return

    def kept(self) -> bytes | None:
        """The outline."""
        return bytes(self._out) if len(self._out) <= _OUTLINE_MOST else None

    def _keep(self, inside: bytes) -> None:
        if self._skips:
            return
        if len(self._out) - self._start + len(inside) > _LONG:
            del self._out[self._start :]
            self._skips = True
        else:
            self._out += inside
