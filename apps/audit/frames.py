"""How one record lies in a spool segment: a line of its checksum, a tab, its JSON and a line feed.

    1c291ca3<TAB>{"id":"019…","status":200,…}<LF>

The checksum is the CRC-32 of the JSON, in eight hexadecimal digits. JSON as orjson writes it has no line feed, tab or
other control character, so lines are frames: a reader finds its way again after any damage, a bulk of them is nearly
what COPY takes, and an operator reads them with `cut -f2`. Knows nothing of files, Django or PostgreSQL.
"""

import re
from dataclasses import dataclass
from zlib import crc32

# Far above any record we write; a reader that has seen as much without a line feed is not reading frames.
MAX_PAYLOAD_BYTES = 1 << 20

_HEADER_BYTES = 9
_HEADER = re.compile(rb"[0-9a-f]{8}\t")


def encode_frame(payload: bytes) -> bytes:
    """The frame of one record: JSON on one line, as orjson writes it. Raises ValueError beyond MAX_PAYLOAD_BYTES.

    That it is one line is not looked at, which would cost as much as the checksum. If it is not, the reader finds the
    remains damaged and sets them aside.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record has at most {MAX_PAYLOAD_BYTES} bytes: cut its fields to their columns' length")
    return b"%08x\t%b\n" % (crc32(payload), payload)


@dataclass(frozen=True, slots=True)
class Checked:
    """Complete lines, sorted into what was written and what was not."""

    lines: bytes  # whole, intact frames
    records: int  # how many of them
    damaged: tuple[bytes, ...]  # lines, or remains of lines, whose checksum does not fit


def check_frames(data: bytes) -> Checked:
    """Verify complete lines. Every frame whose bytes are intact is found, whatever lies before, between or after."""
    lines = data.split(b"\n")
    lines.pop()  # behind the last line feed
    if all(map(_intact, lines)):
        return Checked(data, len(lines), ())
    intact: list[bytes] = []
    damaged: list[bytes] = []
    for line in lines:
        if _intact(line):
            intact.append(line)
        elif line:
            _salvage(line, intact, damaged)
    return Checked(b"".join(line + b"\n" for line in intact), len(intact), tuple(damaged))


def payload_of(line: bytes) -> bytes:
    """The record of one intact line, with or without its line feed."""
    return line[_HEADER_BYTES:].rstrip(b"\n")


def _intact(line: bytes) -> bool:
    return b"%08x\t" % crc32(line[_HEADER_BYTES:]) == line[:_HEADER_BYTES]


def _salvage(line: bytes, intact: list[bytes], damaged: list[bytes]) -> None:
    """Find intact frames inside a line: those of neighbours that became one when the line feed between them was hit."""
    starts = [match.start() for match in _HEADER.finditer(line)]
    position = 0  # everything before it is accounted for
    for index, start in enumerate(starts):
        if start < position:
            continue
        # A frame ends one byte (the former line feed) before another one's start or the line's end, or at that end.
        for end in (*(later - 1 for later in starts[index + 1 :]), len(line) - 1, len(line)):
            if _intact(line[start:end]):
                if line[position:start].strip():
                    damaged.append(line[position:start])
                intact.append(line[start:end])
                position = end + 1
                break
    if line[position:]:
        damaged.append(line[position:])
