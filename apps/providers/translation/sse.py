"""Cutting a stream of bytes into events, wherever its chunks begin and end. Pure."""

import re

_BLANK = re.compile(rb"(?>\r\n|\n|\r){2}")
# No event that means anything is larger: what is, breaks the stream off rather than fill the memory.
_EVENT_MAX = 32 * 1024 * 1024


class EventSplitter:
    """Gives the data of whole events. Lines end in LF, CRLF or CR; names and comments are passed over: the data says it all."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that is whole now, in order; empty for one without any, such as a comment.

        Raises ValueError for an event that is too large.
        """
        pending = self._pending
        if pending:
            searched = max(0, len(pending) - 3)
            pending += data
            if not _BLANK.search(pending, searched):
                if len(pending) > _EVENT_MAX:
                    raise ValueError("an event of the stream is too large")
                return []
            data = bytes(pending)
            pending.clear()
        blank = b"\n\n"
        if b"\r" in data:
            if not data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"):
                return self._cut_slowly(data)
            blank = b"\r\n\r\n"  # as Google ends all its lines
        parts = data.split(blank)
        pending += parts.pop()
        return [_data(part) for part in parts]

    def finish(self) -> list[bytes]:
        """The data of an event that lacks its blank line, if there is one."""
        rest = bytes(self._pending)
        self._pending.clear()
        return [_data(rest)] if rest.strip() else []

    def _cut_slowly(self, data: bytes) -> list[bytes]:
        found, start = [], 0
        for blank in _BLANK.finditer(data):
            if blank.end() == len(data) and blank.group() == b"\r\n\r":
                break  # half of the second CRLF
            found.append(_data(data[start : blank.start()]))
            start = blank.end()
        self._pending += data[start:]
        return found


def _data(event: bytes) -> bytes:
    if event.startswith(b"data:") and b"\n" not in event and b"\r" not in event:
        return event[5:].lstrip(b" ")
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
