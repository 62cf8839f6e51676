"""Forms as they are read and written again: whole whatever their pieces, refused where two readers could differ."""

import asyncio
import contextlib
import email.parser
import email.policy
import io
import itertools
import os
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidForm, InvalidValue, UploadsUnavailable
from apps.gateway.uploads.disk import PIECE, UploadDisk
from apps.gateway.uploads.form import Form
from apps.gateway.uploads.multipart import PARTS_MAX, MultipartReader, PartHead, boundary_of
from apps.gateway.uploads.sound import NEEDED, Sound, sound

pytestmark = pytest.mark.filterwarnings("error")

B = b"xYz"


@pytest.fixture(autouse=True)
def db() -> None:
    """None is needed here."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[UploadDisk]:
    made = UploadDisk(tmp_path / "uploads", 64 << 20)
    yield made
    made.stop()


def part(head: str, body: bytes = b"") -> bytes:
    return b"--xYz\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n"


def field(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value.encode())


END = b"--xYz--\r\n"


def read(body: bytes, pieces: Callable[[bytes], list[bytes]] = lambda body: [body]) -> list[tuple[PartHead, bytes]]:
    found: list[tuple[PartHead, bytearray]] = []
    reader = MultipartReader(
        B, lambda head: found.append((head, bytearray())), lambda piece: found[-1][1].extend(piece), lambda: None
    )
    for piece in pieces(body):
        reader.feed(piece)
    reader.finish()
    return [(head, bytes(content)) for head, content in found]


def cut_at(places: list[int]) -> Callable[[bytes], list[bytes]]:
    def cut(body: bytes) -> list[bytes]:
        edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
        return [body[start:end] for start, end in itertools.pairwise(edges)]

    return cut


contents = st.lists(
    st.tuples(
        st.sampled_from(["file", "model", "image[]", "timestamp_granularities[]", "expires_after[anchor]"]),
        st.none() | st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]), max_size=20),
        st.binary(max_size=80) | st.sampled_from([b"\r\n", b"\r\n--", b"\r\n--xY", b"--xYz", b"\n--xYz", b"\r\r\n--x"]),
    ),
    min_size=1,
    max_size=5,
)


@given(contents=contents, places=st.lists(st.integers(0, 10_000), max_size=30))
@settings(max_examples=300, deadline=None)
def test_a_form_is_the_same_whatever_pieces_it_comes_in(
    contents: list[tuple[str, str | None, bytes]], places: list[int]
) -> None:
    body = b""
    for name, filename, content in contents:
        shown = "" if filename is None else '; filename="{}"'.format(filename.replace("\\", "\\\\").replace('"', '\\"'))
        body += part(f'Content-Disposition: form-data; name="{name}"{shown}', content)
    expected = [(name, filename, content) for name, filename, content in contents]
    for pieces in (cut_at([]), cut_at(places), cut_at(list(range(len(body))))):
        assert [(head.name, head.filename, content) for head, content in read(body + END, pieces)] == expected


@given(body=st.binary(max_size=300), places=st.lists(st.integers(0, 400), max_size=10))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_read_or_refused(body: bytes, places: list[int]) -> None:
    for start in (b"", b"--xYz\r\n", b"--xYz\r\nContent-Disposition: form-data; "):
        with contextlib.suppress(InvalidForm):
            read(start + body, cut_at(places))


def test_what_httpx_writes_is_read() -> None:
    request = httpx.Request(
        "POST",
        "http://x/",
        data={"model": "whisper-1", "timestamp_granularities[]": ["word", "segment"]},
        files={"file": ('a "quoted" näme.mp3', b"\0\1\r\n--", "audio/mpeg")},
    )
    body = request.read()
    found: list[Any] = []
    reader = MultipartReader(
        boundary_of(request.headers["content-type"].encode()),
        lambda head: found.append([head, b""]),
        lambda piece: found[-1].__setitem__(1, found[-1][1] + piece),
        lambda: None,
    )
    reader.feed(body)
    reader.finish()
    assert [(head.name, content) for head, content in found] == [
        ("model", b"whisper-1"),
        ("timestamp_granularities[]", b"word"),
        ("timestamp_granularities[]", b"segment"),
        ("file", b"\0\1\r\n--"),
    ]
    assert found[3][0].content_type == "audio/mpeg"


DISPOSITION = "Content-Disposition: form-data; "


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n--xYz--\r\n",
        field("model", "a"),  # without its end
        field("model", "a") + b"--xYz-",
        field("model", "a") + b"--xYzw\r\n",  # another boundary, of which ours is the beginning
        part("Content-Type: text/plain", b"a") + END,  # no name
        part(DISPOSITION + 'name=""') + END,
        part(DISPOSITION + 'name="a b"') + END,
        part(DISPOSITION + 'name="model"; name="other"') + END,
        part(DISPOSITION + 'name="model"\r\nContent-Disposition: form-data; name="other"') + END,
        part(DISPOSITION + 'name="model"; filename="a') + END,
        part("Content-Disposition: attachment; name=model") + END,
        part(DISPOSITION + 'name="model"\r\n folded: yes') + END,
        part(DISPOSITION + 'name="model"\r\nContent-Transfer-Encoding: base64', b"YQ==") + END,
        part(DISPOSITION + 'name="model"\r\nContent-Type: \x01') + END,
        part(DISPOSITION + 'name="model"; filename="' + "a" * 600 + '"') + END,
        part(DISPOSITION + 'name="model"\r\nX: ' + "a" * 5000) + END,
        b"--xYz\r\n\xff\xfe: a\r\n\r\n\r\n" + END,
        field("a", "b") * (PARTS_MAX + 1) + END,
        b"--xYz\n" + (DISPOSITION + 'name="a"').encode() + b"\n\nb\n--xYz--\n",  # line ends of one byte
    ],
)
def test_a_form_that_readers_could_take_differently_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidForm):
        read(body)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a",
     'multipart/form-data; boundary="a\tb"', "multipart/form-data; boundary=" + "a" * 71,
     "multipart/form-data; boundary=a; boundary=b"],
)  # fmt: skip
def test_a_content_type_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidForm):
        boundary_of(content_type.encode())


def test_a_boundary_may_be_quoted() -> None:
    assert boundary_of(b'Multipart/Form-Data; charset=utf-8; boundary="a b:c"') == b"a b:c"


# --- On disk, and out again ---


async def filled(disk: UploadDisk, body: bytes, step: int = 10_000) -> Form:
    form = Form(B, disk)
    for start in range(0, len(body), step):
        await form.feed(body[start : start + step])
    form.finish()
    return form


def parsed(content_type: bytes, body: bytes) -> list[tuple[Any, Any, Any, bytes]]:
    """By Python's own reader of messages, which knows nothing of ours."""
    raw = b"Content-Type: " + content_type + b"\r\n\r\n" + body
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    return [
        (
            item.get_param("name", header="content-disposition"),
            item.get_filename(),
            item.get("content-type"),
            item.get_payload(decode=True),
        )
        for item in message.iter_parts()  # type: ignore[attr-defined]  # of HTTP's policy, messages have it
    ]


async def test_a_form_goes_on_with_its_files_as_they_came_and_the_model_replaced(disk: UploadDisk) -> None:
    big = os.urandom(3 * PIECE + 17)
    body = part(DISPOSITION + 'name="file"; filename="a.wav"\r\nContent-Type: audio/wav', big)
    body += field("model", "ours") + field("prompt", "Grüße") + field("x[]", "1") + field("x[]", "2")
    body += part(DISPOSITION + 'name="mask"; filename="m\\"; name=\\"model.png"', b"") + END
    form = await filled(disk, body)
    framed = form.framed({"model": "theirs"})
    pieces = [piece async for piece in framed.pieces()]
    out = b"".join(pieces)
    assert len(out) == framed.size
    assert max(map(len, pieces)) < PIECE + 4096
    found = parsed(framed.content_type, out)
    assert [(name, filename) for name, filename, _, _ in found] == [
        ("model", None),
        ("file", "a.wav"),
        ("prompt", None),
        ("x[]", None),
        ("x[]", None),
        ("mask", "m%22; name=%22model.png"),
    ]
    assert found[0][3] == b"theirs"
    assert (found[1][2], found[1][3]) == ("audio/wav", big)
    assert found[2][3] == "Grüße".encode()
    form.close()


async def test_a_field_can_be_taken_out(disk: UploadDisk) -> None:
    form = await filled(disk, field("model", "a") + field("stream", "true") + END)
    framed = form.framed({"model": None})
    out = b"".join([piece async for piece in framed.pieces()])
    assert [name for name, *_ in parsed(framed.content_type, out)] == ["stream"]
    form.close()


async def test_what_is_larger_than_a_piece_is_on_disk_and_gone_with_its_form(disk: UploadDisk) -> None:
    form = await filled(disk, part(DISPOSITION + 'name="file"; filename="a"', b"x" * (2 * PIECE + 5)) + END)
    assert disk.taken == 2 * PIECE
    assert await form.content(form.parts[0], 2 * PIECE - 3, 100) == b"x" * 8
    handle = form.file._file
    assert handle is not None
    assert os.fstat(handle.fileno()).st_nlink == 0, "it has no name"
    form.close()
    assert (disk.taken, handle.closed) == (0, True)
    form.close()
    assert disk.taken == 0


async def test_uploads_beyond_the_space_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    disk = UploadDisk(tmp_path, 2 * PIECE)
    form = Form(B, disk)
    with pytest.raises(UploadsUnavailable):
        await form.feed(part(DISPOSITION + 'name="file"; filename="a"', b"x" * (4 * PIECE)))
    form.close()
    assert disk.taken == 0
    disk.stop()


async def test_a_folder_that_cannot_be_made_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    disk = UploadDisk(tmp_path / "file", 1 << 30)
    form = Form(B, disk)
    with pytest.raises(UploadsUnavailable):
        await form.feed(part(DISPOSITION + 'name="file"; filename="a"', b"x" * (2 * PIECE)))
    form.close()
    disk.stop()


async def test_a_form_that_is_given_up_while_a_thread_writes_closes_its_file_after_that(disk: UploadDisk) -> None:
    form = Form(B, disk)
    body = part(DISPOSITION + 'name="file"; filename="a"', b"x" * (8 * PIECE))
    for turns in range(12):
        form = Form(B, disk)
        task = asyncio.create_task(form.feed(body))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        working = form.file._working
        form.close()
        if working is not None and not working.cancelled():
            await asyncio.wrap_future(working)
    assert disk.taken == 0


async def test_fields_are_bounded(disk: UploadDisk) -> None:
    form = Form(B, disk)
    with pytest.raises(InvalidForm, match="too long"):
        await form.feed(field("prompt", "x" * 300_000))
    form.close()


async def test_a_file_is_asked_for_by_name(disk: UploadDisk) -> None:
    form = await filled(disk, field("file", "text") + part(DISPOSITION + 'name="image"; filename=""', b"") + END)
    for name in ("file", "image"):
        with pytest.raises(InvalidValue) as caught:
            form.only_file(name)
        assert caught.value.param == name
    form.close()


# --- How long sound is ---


def a_wave(seconds: float, *, rate: int = 8000, channels: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(channels)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(b"\0" * round(seconds * rate) * channels * 2)
    return out.getvalue()


def heard(data: bytes) -> Sound:
    return sound(data[:NEEDED], data[-NEEDED:], len(data))


def test_a_wave_is_as_long_as_its_samples() -> None:
    assert heard(a_wave(9.5)) == Sound(10, 10)


def test_a_wave_whose_header_lies_about_its_size_is_as_long_as_its_bytes() -> None:
    data = bytearray(a_wave(100))
    data[40:44] = struct.pack("<I", 8)  # the data's size
    data[28:32] = struct.pack("<I", 10**9)  # bytes a second, which nobody needs
    assert heard(bytes(data)).most == 101


def test_an_mp3_of_a_constant_rate() -> None:
    frame = b"\xff\xfb\x90\x00" + b"\0" * 413  # 128 kbit/s, 44.1 kHz
    assert heard(frame * 1000) == Sound(most=417, likely=27)


def test_an_mp3_that_tells_its_frames() -> None:
    first = b"\xff\xfb\x90\x00" + b"\0" * 32 + b"Xing\0\0\0\1" + (1000).to_bytes(4, "big") + b"\0" * 300
    tagged = b"ID3\4\0\0\0\0\0\x0a" + b"\0" * 10 + first
    assert heard(tagged + b"\0" * 200_000).likely == 27  # 1000 x 1152 samples


def test_opus_in_ogg() -> None:
    first = b"OggS\0\2" + b"\0" * 22 + b"OpusHead" + b"\0" * 100
    last = b"OggS\0\4" + (48_000 * 61).to_bytes(8, "little") + b"\0" * 20
    assert heard(first + b"\1" * 90_000 + last).likely == 61


def test_flac_and_mp4_and_webm_tell_their_length() -> None:
    flac = b"fLaC\0\0\0\x22" + b"\0" * 10 + ((44_100 << 44) | (1 << 41) | (15 << 36) | 44_100 * 7).to_bytes(8, "big")
    assert heard(flac + b"\0" * 90_000).likely == 7
    movie = b"\0\0\0\x20ftypM4A \0\0\0\0" + b"\0" * 90_000
    movie += b"\0\0\0\x6cmvhd\0\0\0\0" + b"\0" * 8 + struct.pack(">II", 1000, 12_300) + b"\0" * 80
    assert heard(movie).likely == 13
    webm = b"\x1a\x45\xdf\xa3" + b"\x2a\xd7\xb1\x83\x0f\x42\x40" + b"\x44\x89\x88" + struct.pack(">d", 4200.0)
    assert heard(webm + b"\0" * 90_000).likely == 5


def test_what_tells_nothing_is_bounded_by_its_size() -> None:
    assert heard(b"?" * 75_000) == Sound(most=100, likely=10)


@given(
    start=st.sampled_from(
        [b"RIFF0000WAVEfmt ", b"OggS", b"fLaC", b"0000ftyp", b"\x1a\x45\xdf\xa3", b"ID3", b"\xff\xfb", b""]
    ),
    rest=st.binary(max_size=300),
)
@settings(max_examples=500, deadline=None)
def test_whatever_a_file_says_its_length_is_a_number(start: bytes, rest: bytes) -> None:
    found = heard(start + rest)
    assert 1 <= found.likely <= found.most
