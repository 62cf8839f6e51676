"""Streams of pictures and of speech, cut anywhere: the same bytes, the same usage, and nothing large is kept."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.gateway.media_streams import ImagesMeter, SpeechMeter
from apps.gateway.streams import StreamMeter
from apps.providers.usage import Usage

LONG = "QUJD" * 40_000
USAGE = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}


def event(ends: str = "\n", **data: Any) -> bytes:
    return f"event: {data['type']}{ends}data: {json.dumps(data)}{ends}{ends}".encode()


def pictures(ends: str) -> bytes:
    partial = event(ends, type="image_generation.partial_image", b64_json=LONG, partial_image_index=0)
    return partial + event(ends, type="image_generation.completed", b64_json=LONG, usage=USAGE)


def speech(ends: str) -> bytes:
    return event(ends, type="speech.audio.delta", audio=LONG) + event(ends, type="speech.audio.done", usage=USAGE)


@settings(max_examples=60)
@given(
    cuts=st.lists(st.integers(0, 10**6), max_size=12),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    kind=st.sampled_from([(ImagesMeter, pictures), (SpeechMeter, speech)]),
)
def test_bytes_pass_unchanged_and_usage_is_found_wherever_a_stream_is_cut(
    cuts: list[int], ends: str, kind: tuple[type[StreamMeter], Any]
) -> None:
    make, script = kind
    data = script(ends)
    meter = make()
    out = b""
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts), *range(0, len(data), 50_000)})
    for start, end in itertools.pairwise(places):
        out += meter.feed(data[start:end])
        assert len(meter._pending) < 130_000
    out += meter.finish()
    assert out == data
    assert (meter.complete, meter.error, meter.is_inside_event) == (True, "", False)
    expected = Usage(input=5, image_output=100, images=1) if make is ImagesMeter else Usage(input=5, audio_output=100)
    assert meter.usage == expected


def test_a_stream_of_several_pictures_ends_with_the_last_that_was_asked_for() -> None:
    meter = ImagesMeter(answers=2)
    one = event(type="image_generation.completed", b64_json="QUJD", usage=USAGE)
    seen = []
    for _ in range(2):
        meter.feed(one)
        seen.append(meter.complete)
    assert seen == [False, True]
    assert meter.usage == Usage(input=10, image_output=200, images=2)


def test_a_stream_of_fewer_pictures_than_were_asked_for_is_complete_when_it_ends() -> None:
    meter = ImagesMeter(answers=2)
    meter.feed(event(type="image_generation.completed", b64_json="QUJD", usage=USAGE))
    meter.finish()
    assert meter.complete


@pytest.mark.parametrize("meter", [ImagesMeter(), SpeechMeter()])
@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"type": "error", "error": {"type": "server_error", "code": "broken", "message": "x"}}, "broken"),
        ({"error": {"type": "server_error", "message": "x"}}, "server_error"),
        ({"type": "error", "code": "late", "message": "x"}, "late"),
        ({"type": "error"}, "error"),
    ],
)
def test_an_error_ends_a_stream(meter: StreamMeter, data: dict[str, Any], named: str) -> None:
    meter.feed(b"data: " + json.dumps(data).encode() + b"\n\n")
    assert (meter.complete, meter.error) == (True, named)


@pytest.mark.parametrize("make", [ImagesMeter, SpeechMeter])
def test_a_stream_without_its_last_event_is_not_complete(make: type[StreamMeter]) -> None:
    meter = make()
    meter.feed(event(type="image_generation.partial_image", b64_json="QUJD"))
    meter.finish()
    assert not meter.complete
