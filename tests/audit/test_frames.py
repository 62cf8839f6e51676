"""What was written is read back, whatever happens to the bytes around it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.frames import check_frames, encode_frame, payload_of

payloads = st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.integers(-(2**53), 2**53), max_size=4).map(
    orjson.dumps
)
several = st.lists(payloads, min_size=1, max_size=8, unique=True)


def read(data: bytes) -> list[bytes]:
    checked = check_frames(data)
    found = [payload_of(line) for line in checked.lines.splitlines(keepends=True)]
    assert len(found) == checked.records
    return found


@given(several)
def test_frames_are_read_back_in_order(written: list[bytes]) -> None:
    assert read(b"".join(map(encode_frame, written))) == written


@given(several, st.data())
def test_a_flipped_byte_costs_at_most_the_frame_it_lies_in(written: list[bytes], data: st.DataObject) -> None:
    frames = [encode_frame(payload) for payload in written]
    hit = data.draw(st.integers(0, len(frames) - 1))
    at = data.draw(st.integers(0, len(frames[hit]) - 2))  # not its line feed
    bit = data.draw(st.integers(0, 7))
    frames[hit] = frames[hit][:at] + bytes([frames[hit][at] ^ 1 << bit]) + frames[hit][at + 1 :]

    checked = check_frames(b"".join(frames))

    assert read(b"".join(frames)) == written[:hit] + written[hit + 1 :]
    assert checked.damaged


@given(several, st.data())
def test_a_flipped_line_feed_costs_nothing(written: list[bytes], data: st.DataObject) -> None:
    frames = [encode_frame(payload) for payload in written]
    hit = data.draw(st.integers(0, len(frames) - 1))
    frames[hit] = frames[hit][:-1] + data.draw(st.sampled_from([b"\x0b", b"\x00", b"x", b"\x8a"]))

    found = read(b"".join(frames) + b"\n")

    assert found == written


@given(several, several, st.binary(max_size=200))
def test_garbage_between_frames_costs_no_frame(before: list[bytes], after: list[bytes], garbage: bytes) -> None:
    data = b"".join(map(encode_frame, before)) + garbage + b"".join(map(encode_frame, after))

    assert read(data) == before + after


@given(st.binary(max_size=2000))
def test_garbage_is_never_taken_for_a_record(garbage: bytes) -> None:
    checked = check_frames(garbage + b"\n")

    assert checked.records == 0
    assert b"".join(checked.damaged).replace(b"\n", b"") == garbage.replace(b"\n", b"")
