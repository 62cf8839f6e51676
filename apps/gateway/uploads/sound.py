"""How long a file of sound may be at most, and about how long it is, from its bytes. Pure.

No decoder: what the file says of itself is read where that is a few bytes at a known place. A client may write there what it likes,
so only what no decoder can take for longer counts as a bound: the length of plain samples. Anything else is bounded by its size, at
a rate below which speech cannot be made out.
"""

import re
import struct
from dataclasses import dataclass

# Bytes a second. MP3 has no lower rate; Opus at 6 kbit/s is the least that its makers call speech. Silence may be coded in less: a
# file of nothing else is longer than this, and its record is then flagged `over_hold`.
_LEAST_MP3 = 1_000
_LEAST = 750
_USUAL = 8_000  # 64 kbit/s: of what tells nothing
_SAMPLES = frozenset({1, 3, 6, 7})  # PCM, float, A-law, mu-law
_EXTENSIBLE = 0xFFFE
_LONGEST = 1 << 26  # seconds; two years

NEEDED = 64 * 1024  # bytes of the file's beginning, and of its end, that are looked at

_MP3_RATES = {  # kbit/s of layer III by the header's index, for MPEG-1 and for 2 and 2.5
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_MP3_SAMPLING = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")  # layer III of any version
_MOVIE = re.compile(rb"mvhd([\x00\x01])...", re.DOTALL)
_DURATION = re.compile(rb"\x44\x89([\x84\x88])")  # Matroska's, a float of four or eight bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """Seconds, begun ones counted whole."""

    most: int
    likely: int


def sound(first: bytes, last: bytes, size: int) -> Sound:
    """`first`, `last`: at least the first and last NEEDED bytes of a file of `size` bytes, or all there are."""
    if first.startswith(b"RIFF") and first[8:12] == b"WAVE" and (rate := _sample_bytes(first)):
        exact = _seconds(size / rate)
        return Sound(exact, exact)
    is_mp3 = first.startswith(b"ID3") or _MP3_FRAME.match(first) is not None
    most = _seconds(size / (_LEAST_MP3 if is_mp3 else _LEAST))
    told = _told(first, last, size, is_mp3=is_mp3)
    if told is None:
        return Sound(most, min(most, _seconds(size / _USUAL)))
    likely = _seconds(told)
    return Sound(max(most, likely), likely)


def _seconds(value: float) -> int:
    if not 0 <= value < _LONGEST:  # NaN as well
        return _LONGEST
    return max(1, -int(-value // 1))


def _sample_bytes(first: bytes) -> int:
    """Bytes of one second of plain samples; 0 if the file holds another kind."""
    at = 12
    while at + 8 <= len(first):
        kind, size = first[at : at + 4], int.from_bytes(first[at + 4 : at + 8], "little")
        if kind == b"fmt " and size >= 16:
            form = first[at + 8 : at + 8 + size]
            code, channels = int.from_bytes(form[:2], "little"), int.from_bytes(form[2:4], "little")
            sampling, bits = int.from_bytes(form[4:8], "little"), int.from_bytes(form[14:16], "little")
            if code == _EXTENSIBLE:
                code = int.from_bytes(form[24:26], "little")
            return sampling * channels * (-(-bits // 8)) if code in _SAMPLES else 0
        at += 8 + size + size % 2
    return 0


def _told(first: bytes, last: bytes, size: int, *, is_mp3: bool) -> float | None:
    """What the file says of its length; None if nothing is found."""
    if first.startswith(b"OggS"):
        return _ogg(first, last)
    if first.startswith(b"fLaC"):
        return _flac(first)
    if first[4:8] == b"ftyp":
        return _mp4(first) or _mp4(last)
    if first.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska(first)
    return _mp3(first, size) if is_mp3 else None


def _ogg(first: bytes, last: bytes) -> float | None:
    """The last page's position, in samples."""
    page = last.rfind(b"OggS")
    if page < 0 or page + 14 > len(last):
        return None
    position = int.from_bytes(last[page + 6 : page + 14], "little", signed=True)
    at = first.find(b"\x01vorbis")
    sampling = (
        int.from_bytes(first[at + 12 : at + 16], "little") if at >= 0 else 48_000
    )  # Opus counts at 48 kHz, whatever it is
    return position / sampling if sampling and position > 0 else None


def _flac(first: bytes) -> float | None:
    sampling = int.from_bytes(first[18:21], "big") >> 4
    samples = int.from_bytes(first[21:26], "big") & 0xF_FFFF_FFFF
    return samples / sampling if sampling and samples else None


def _mp4(piece: bytes) -> float | None:
    found = _MOVIE.search(piece)
    if found is None:
        return None
    wide = found[1] == b"\x01"
    at = found.end() + (16 if wide else 8)
    width = 8 if wide else 4
    scale, length = int.from_bytes(piece[at : at + 4], "big"), int.from_bytes(piece[at + 4 : at + 4 + width], "big")
    return length / scale if scale and length and length != (1 << 8 * width) - 1 else None


def _matroska(first: bytes) -> float | None:
    found = _DURATION.search(first)
    if found is None:
        return None
    width = found[1][0] & 0x0F
    raw = first[found.end() : found.end() + width]
    if len(raw) < width:
        return None
    (ticks,) = struct.unpack(">f" if width == 4 else ">d", raw)
    at = first.find(b"\x2a\xd7\xb1\x83")  # TimestampScale of three bytes, in nanoseconds
    scale = int.from_bytes(first[at + 4 : at + 7], "big") if at >= 0 else 1_000_000
    return ticks * scale / 1e9 if ticks > 0 else None


def _mp3(first: bytes, size: int) -> float | None:
    """By the number of frames that encoders write into the first one, else by that one's rate."""
    start = 0
    if first.startswith(b"ID3"):
        tag = first[6:10]
        start = 10 + (tag[0] << 21 | tag[1] << 14 | tag[2] << 7 | tag[3]) if len(tag) == 4 else 10
    found = _MP3_FRAME.search(first, start)
    if found is None or found.start() + 4 > len(first):
        return None
    at = found.start()
    version, sampled = first[at + 1] >> 3 & 3, first[at + 2] >> 2 & 3
    if version == 1 or sampled == 3:
        return None
    is_first, sampling = version == 3, _MP3_SAMPLING[version][sampled]
    frame = first[at : at + 200]
    counted = max(frame.find(b"Xing"), frame.find(b"Info"))
    if counted >= 0 and frame[counted + 7 : counted + 8] and frame[counted + 7] & 1:
        frames = int.from_bytes(frame[counted + 8 : counted + 12], "big")
        return frames * (1152 if is_first else 576) / sampling
    rate = _MP3_RATES[is_first][first[at + 2] >> 4] * 125
    return (size - at) / rate if rate else None
