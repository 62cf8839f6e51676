"""Gemini's streams, cut anywhere: the same bytes, the same usage, and as an array the same elements."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.gemini_streams import ELEMENT_MAX, GeminiArrayMeter, GeminiMeter
from apps.gateway.streams import StreamMeter
from tests.support import contents

TEXTS = st.lists(st.text(max_size=20), min_size=1, max_size=6)


@st.composite
def cut(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """The bytes, in pieces of any size."""
    places = sorted({0, len(whole), *draw(st.lists(st.integers(0, len(whole)), max_size=12))})
    return [whole[start:end] for start, end in pairwise(places)]


def fed(meter: StreamMeter, pieces: list[bytes]) -> bytes:
    out = b"".join([meter.feed(piece) for piece in pieces])
    return out if meter.complete else out + meter.finish()


def used(meter: StreamMeter) -> tuple[int | None, int | None, bool]:
    usage = meter.spent(lambda: 77)
    return usage.input, usage.output, usage.estimated


@given(st.data(), TEXTS, st.sampled_from([b"\r\n", b"\n"]))
def test_wherever_a_stream_is_cut_the_bytes_and_the_usage_are_the_same(
    data: st.DataObject, texts: list[str], line: bytes
) -> None:
    whole = b"".join(contents.chunks(*texts)).replace(b"\r\n", line)
    meter = GeminiMeter()
    assert fed(meter, data.draw(cut(whole))) == whole
    assert meter.complete
    assert meter.model == contents.MODEL
    assert used(meter) == (9, 5, False)


@given(st.data(), TEXTS)
def test_as_an_array_every_chunk_is_an_element(data: st.DataObject, texts: list[str]) -> None:
    events = list(contents.chunks(*texts))
    out = fed(GeminiArrayMeter(), data.draw(cut(b"".join(events))))
    assert json.loads(out) == [json.loads(event[6:]) for event in events]


@given(st.data(), TEXTS, st.binary(max_size=30))
def test_what_breaks_off_is_not_whole_and_not_free(data: st.DataObject, texts: list[str], rubbish: bytes) -> None:
    events = list(contents.chunks(*texts, "the last"))[:-1]
    meter = GeminiMeter()
    fed(meter, data.draw(cut(b"".join(events) + rubbish.replace(b"finishReason", b""))))
    assert not meter.complete
    usage = meter.spent(lambda: 77)
    assert usage.input == 9
    assert usage.output
    assert usage.estimated


def test_usage_told_on_the_way_counts_where_the_rest_is_missing() -> None:
    meter = GeminiMeter()
    told = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
    meter.feed(contents.event(contents.content(text="abc", finish=None, usageMetadata=told)))
    assert used(meter)[:2] == (9, 4)


def test_an_error_event_ends_it_by_its_name() -> None:
    for make in (GeminiMeter, GeminiArrayMeter):
        meter = make()
        out = meter.feed(contents.event(contents.error(429, "RESOURCE_EXHAUSTED")))
        assert (meter.complete, meter.error) == (True, "RESOURCE_EXHAUSTED")
        assert b"RESOURCE_EXHAUSTED" in out


def test_searches_of_all_chunks_are_counted() -> None:
    grounded: dict[str, Any] = contents.content(finish=None)
    grounded["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["a", "b"]}
    meter = GeminiMeter()
    fed(meter, [contents.event(grounded), *contents.chunks("x")])
    assert meter.spent(lambda: 0).searches == 2


def test_an_element_that_is_too_large_ends_the_array() -> None:
    meter = GeminiArrayMeter()
    out = meter.feed(b'data: {"candidates":"' + b"x" * ELEMENT_MAX)
    assert meter.complete
    assert json.loads(out)[-1]["error"]["status"] == "UNAVAILABLE"
