"""Streams pass unchanged, however they are cut: but for the hidden usage event, and with the usage read on the way.

Properties of apps.gateway.streams itself, over streams and cuts that hypothesis chooses; what they mean on sockets is tested beside
the calls that stream.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.gateway.streams import ChatMeter, MendedChatMeter, ResponsesMeter, StreamMeter, event_json, split_events
from apps.providers.usage import Usage

HELD_MAX = 64 * 1024  # what the gateway may hold back of an event that is not whole

LINE_ENDS = (b"\n", b"\r\n", b"\r")
NASTY = st.text(st.sampled_from(list('"\\usage:{}[]DONE data\n\ré€')), max_size=20) | st.text(max_size=8)
COUNTS = st.integers(0, 1 << 36)


@dataclass(frozen=True)
class Event:
    """One event of a generated stream: its lines, and the line end it is written with."""

    lines: tuple[str, ...]
    end: bytes
    is_extra: bool = False  # the usage event that a client has to ask for

    @property
    def raw(self) -> bytes:
        return self.end.join(line.encode() for line in self.lines) + self.end * 2


@dataclass(frozen=True)
class Stream:
    """Events, and what they tell when all have passed."""

    events: tuple[Event, ...]
    usage: Usage | None
    model: str

    @property
    def raw(self) -> bytes:
        return b"".join(event.raw for event in self.events)

    def seen(self, *, hide_usage: bool) -> bytes:
        return b"".join(event.raw for event in self.events if not (hide_usage and event.is_extra))


def dumped(value: object, *, spaced: bool) -> str:
    """As providers write JSON: compact or with spaces, on one line."""
    return json.dumps(value, ensure_ascii=False, separators=None if spaced else (",", ":"))


def chat_chunk(**fields: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-test", **fields}


@st.composite
def chat_streams(draw: st.DrawFn) -> Stream:
    """A whole chat stream: deltas, comments and pings between them, a finish, perhaps usage anywhere, `[DONE]`."""
    ends = st.sampled_from(LINE_ENDS) if draw(st.booleans()) else st.just(draw(st.sampled_from(LINE_ENDS)))
    spaced = draw(st.booleans())
    colon = draw(st.sampled_from(["data: ", "data:"]))
    usage: Usage | None = None
    events: list[Event] = []

    def add(data: object, *, is_extra: bool = False) -> None:
        before = draw(st.sampled_from([(), (), (": ping",), ("event: message", "id: 7")]))
        events.append(Event((*before, colon + dumped(data, spaced=spaced)), draw(ends), is_extra))

    null_usage = {"usage": None} if draw(st.booleans()) else {}
    for text in draw(st.lists(NASTY, max_size=6)):
        add(chat_chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], **null_usage))
        if draw(st.integers(0, 5)) == 0:
            events.append(Event((": keep-alive",), draw(ends)))
    finish = chat_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], **null_usage)
    told = draw(st.sampled_from(["nowhere", "with the finish", "by an event of its own", "both"]))
    if told in ("with the finish", "both"):
        spent = draw(COUNTS), draw(COUNTS)
        finish["usage"] = {"prompt_tokens": spent[0], "completion_tokens": spent[1]}
        usage = Usage(input=spent[0], output=spent[1])
    add(finish)
    if told in ("by an event of its own", "both"):
        spent = draw(COUNTS), draw(COUNTS)
        own = {"prompt_tokens": spent[0], "completion_tokens": spent[1], "prompt_tokens_details": {"cached_tokens": 0}}
        add(chat_chunk(choices=[], usage=own), is_extra=True)
        usage = Usage(input=spent[0], output=spent[1], cache_read=0)
    events.append(Event((colon + "[DONE]",), draw(ends)))
    return Stream(tuple(events), usage, "gpt-test" if usage else "")


@st.composite
def responses_streams(draw: st.DrawFn) -> Stream:
    """A whole Responses stream, ending as it may end."""
    ends = st.sampled_from(LINE_ENDS) if draw(st.booleans()) else st.just(draw(st.sampled_from(LINE_ENDS)))
    spaced = draw(st.booleans())
    events: list[Event] = []

    def add(kind: str, **fields: Any) -> None:
        data = {"type": kind, "sequence_number": len(events), **fields}
        events.append(Event((f"event: {kind}", "data: " + dumped(data, spaced=spaced)), draw(ends)))

    response: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "gpt-test", "usage": None}
    add("response.created", response=response)
    for text in draw(st.lists(NASTY, max_size=6)):
        add("response.output_text.delta", delta=text)
    last = draw(st.sampled_from(["completed", "incomplete", "failed", "error"]))
    if last == "error":
        add("error", code="server_error", message=draw(NASTY), param=None)
        return Stream(tuple(events), None, "")
    spent = draw(st.none() | st.tuples(COUNTS, COUNTS))
    usage = None if spent is None else {"input_tokens": spent[0], "output_tokens": spent[1]}
    add(f"response.{last}", response={**response, "usage": usage, "output": [draw(NASTY)]})
    return Stream(tuple(events), None if spent is None else Usage(input=spent[0], output=spent[1]), "gpt-test")


@st.composite
def cut(draw: st.DrawFn, streams: st.SearchStrategy[Stream]) -> tuple[Stream, list[bytes]]:
    """A stream, and its bytes in pieces: byte by byte, at random places, or at the ends of events."""
    stream = draw(streams)
    raw = stream.raw
    manner = draw(st.sampled_from(["bytes", "anywhere", "events", "whole"]))
    if manner == "bytes":
        return stream, [raw[at : at + 1] for at in range(len(raw))]
    if manner == "events":
        return stream, [event.raw for event in stream.events]
    places = draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=12)) if manner == "anywhere" else set()
    return stream, [raw[start:end] for start, end in pairwise([0, *sorted(places), len(raw)]) if start < end]


def passed(meter: StreamMeter, pieces: Sequence[bytes]) -> bytes:
    return b"".join([meter.feed(piece) for piece in pieces]) + meter.finish()


MANY = settings(max_examples=150, deadline=None)


# --- What goes out ---


@MANY
@given(cut(chat_streams()), st.booleans())
def test_a_chat_stream_passes_unchanged_but_for_the_event_nobody_asked_for(
    whole: tuple[Stream, list[bytes]], hide_usage: bool
) -> None:
    stream, pieces = whole
    assert passed(ChatMeter(hide_usage=hide_usage), pieces) == stream.seen(hide_usage=hide_usage)


@MANY
@given(cut(chat_streams()), st.booleans())
def test_a_chat_stream_that_needs_no_mending_passes_unchanged_as_well(
    whole: tuple[Stream, list[bytes]], hide_usage: bool
) -> None:
    stream, pieces = whole
    assert passed(MendedChatMeter(hide_usage=hide_usage), pieces) == stream.seen(hide_usage=hide_usage)


@pytest.mark.parametrize("size", [1, 7, 100, HELD_MAX])
def test_a_chat_stream_is_mended_alike_however_it_is_cut(size: int) -> None:
    thought = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        thought,
        {"role": "assistant", "content": "x"},
    ]
    raw = b"".join(
        Event(("data: " + json.dumps(chat_chunk(choices=[{"index": 0, "delta": delta}])),), b"\n").raw
        for delta in deltas
    )
    out = passed(MendedChatMeter(), [raw[at : at + size] for at in range(0, len(raw), size)])
    assert [event_json(event)["choices"][0]["delta"] for event in split_events(out)] == [
        {"role": "assistant", "content": ""},
        {"content": "", "reasoning_content": "Hm"},
        {"content": "x"},
    ]


def test_an_event_that_is_too_large_to_be_looked_into_passes_as_it_is() -> None:
    large = {"content": [{"type": "text", "text": "x" * 2 * HELD_MAX}]}
    raw = Event(("data: " + json.dumps(chat_chunk(choices=[{"index": 0, "delta": large}])),), b"\n").raw
    assert passed(MendedChatMeter(), [raw[: HELD_MAX + 9], raw[HELD_MAX + 9 :]]) == raw


@MANY
@given(cut(responses_streams()), st.booleans())
def test_a_responses_stream_passes_unchanged(whole: tuple[Stream, list[bytes]], hide_usage: bool) -> None:
    stream, pieces = whole
    assert passed(ResponsesMeter(hide_usage=hide_usage), pieces) == stream.raw


@MANY
@given(cut(chat_streams() | responses_streams()), st.booleans(), st.sampled_from([ChatMeter, ResponsesMeter]))
def test_whole_events_leave_with_the_chunk_that_completes_them(
    whole: tuple[Stream, list[bytes]], hide_usage: bool, kind: Callable[..., StreamMeter]
) -> None:
    stream, pieces = whole
    meter = kind(hide_usage=hide_usage)
    hidden = [event.raw for event in stream.events if hide_usage and event.is_extra and kind is ChatMeter]
    came = left = 0
    ends = [0]
    for event in stream.events:
        ends.append(ends[-1] + len(event.raw))
    for piece in pieces:
        came += len(piece)
        left += len(meter.feed(piece))
        # An event that ends in CR may go on with LF: only then is its last byte awaited.
        last_end = max(end for end in ends if end <= came)
        withheld = sum(map(len, hidden)) if hidden and came >= stream.raw.index(hidden[0]) + len(hidden[0]) else 0
        assert last_end - withheld - 1 <= left <= came
        assert not meter.is_inside_event


# --- What is learned ---


@MANY
@given(cut(chat_streams()), st.booleans())
def test_usage_and_model_of_a_chat_stream_are_found_across_any_boundary(
    whole: tuple[Stream, list[bytes]], hide_usage: bool
) -> None:
    stream, pieces = whole
    meter = ChatMeter(hide_usage=hide_usage)
    passed(meter, pieces)
    assert (meter.usage, meter.model) == (stream.usage, stream.model)
    assert meter.size == len(stream.raw)


@MANY
@given(cut(responses_streams()))
def test_usage_and_model_of_a_responses_stream_are_found_across_any_boundary(
    whole: tuple[Stream, list[bytes]],
) -> None:
    stream, pieces = whole
    meter = ResponsesMeter()
    passed(meter, pieces)
    assert (meter.usage, meter.model) == (stream.usage, stream.model)


@MANY
@given(cut(chat_streams()) | cut(responses_streams()))
def test_a_stream_is_complete_exactly_when_its_terminal_event_has_passed(whole: tuple[Stream, list[bytes]]) -> None:
    stream, pieces = whole
    is_chat = b"[DONE]" in stream.events[-1].raw and b"chat.completion" in stream.raw
    meter: StreamMeter = ChatMeter() if is_chat else ResponsesMeter()
    came = 0
    for piece in pieces:
        came += len(piece)
        meter.feed(piece)
        if came <= len(stream.raw) - len(stream.events[-1].raw):
            assert not meter.complete
    meter.finish()
    assert meter.complete


@MANY
@given(cut(chat_streams()), st.data())
def test_a_chat_stream_that_breaks_off_before_its_finish_is_never_complete(
    whole: tuple[Stream, list[bytes]], data: st.DataObject
) -> None:
    stream, _ = whole
    finish = stream.raw.index(b'"finish_reason": "' if b'"finish_reason": "' in stream.raw else b'"finish_reason":"')
    meter = ChatMeter()
    meter.feed(stream.raw[: data.draw(st.integers(0, finish))])
    meter.finish()
    assert not meter.complete


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_provider_without_done_is_believed_when_it_gave_a_finish_reason(end: bytes) -> None:
    finish = chat_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "length"}])
    meter = ChatMeter()
    meter.feed(Event(("data: " + json.dumps(finish),), end).raw)
    assert not meter.complete  # something may come yet, such as usage
    meter.finish()
    assert meter.complete


@pytest.mark.parametrize(
    "text", ["[DONE]", "\ndata: [DONE]\n\n", '{"usage": {"prompt_tokens": 1}}', '"type":"response.completed"']
)
@pytest.mark.parametrize("kind", [ChatMeter, ResponsesMeter])
def test_a_model_that_talks_about_the_protocol_does_not_speak_it(text: str, kind: Callable[..., StreamMeter]) -> None:
    meter = kind(hide_usage=True)
    chat = Event(("data: " + json.dumps(chat_chunk(choices=[{"index": 0, "delta": {"content": text}}])),), b"\n")
    response = Event(("data: " + json.dumps({"type": "response.output_text.delta", "delta": text}),), b"\n")
    event = chat if kind is ChatMeter else response
    assert meter.feed(event.raw) == event.raw
    assert not meter.complete
    assert meter.usage is None


def test_usage_that_is_told_again_and_again_counts_once_as_it_was_told_last() -> None:
    meter = ChatMeter(hide_usage=True)
    events = [
        chat_chunk(
            choices=[{"index": 0, "delta": {"content": "a"}}], usage={"prompt_tokens": 5, "completion_tokens": n}
        )
        for n in (1, 2, 3)
    ]
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    assert meter.feed(raw) == raw  # none of them is the extra event: they carry text
    assert meter.usage == Usage(input=5, output=3)


# --- Bounds ---


@pytest.mark.parametrize(
    ("size", "piece_size", "end"),
    [
        *((HELD_MAX - 1_000, 1_000, end) for end in LINE_ENDS),
        *((HELD_MAX * 4, size, end) for end in LINE_ENDS for size in (1_000, 300_000)),
        (20 * 1024 * 1024, 64 * 1024, b"\n"),
    ],
)
def test_a_huge_event_passes_in_pieces_and_little_of_it_is_kept(size: int, piece_size: int, end: bytes) -> None:
    content = {"index": 0, "delta": {"content": "x" * size}, "finish_reason": "stop"}
    huge = Event(("data: " + json.dumps(chat_chunk(choices=[content])),), end).raw
    done = Event(("data: [DONE]",), end).raw
    meter = ChatMeter(hide_usage=True)
    came = left = 0
    out = bytearray()
    for at in range(0, len(huge), piece_size):
        piece = huge[at : at + piece_size]
        out += meter.feed(piece)
        came, left = came + len(piece), len(out)
        assert came - left <= HELD_MAX
        assert len(meter._pending) <= 16 * 1024 * 1024 + piece_size
        assert meter.is_inside_event == (left > 0 and at + piece_size < len(huge) - 1)
    out += meter.feed(done) + meter.finish()
    assert bytes(out) == huge + done
    assert meter.complete
    assert not meter.is_inside_event


def test_usage_is_read_out_of_a_huge_event_too() -> None:
    item = {"type": "message", "content": "x" * 3_000_000}
    whole = {"model": "gpt-test", "output": [item], "usage": {"input_tokens": 4, "output_tokens": 750_000}}
    raw = b"event: response.completed\ndata: " + json.dumps({"type": "response.completed", "response": whole}).encode()
    meter = ResponsesMeter()
    raw += b"\n\n"
    assert passed(meter, [raw[at : at + 65_536] for at in range(0, len(raw), 65_536)]) == raw
    assert meter.complete
    assert meter.usage == Usage(input=4, output=750_000)


# --- Garbage ---


SHARDS = [
    *(b"data: ", b"\n\n", b"\r\n\r\n", b"\r", b"\n"),
    *(b'{"usage":{', b"[DONE]", b'"usage":{}}', b'"finish_reason":"', b'"type":"response.completed"', b"data:[DONE]"),
    *(b'data: {"usage":{"prompt_tokens":1},"choices":[]}', b'data: {"usage":{"prompt_tokens":-1}}'),
    *(b'data: [{"usage":{}}]', b'data: {"type":[],"response.failed"'),
]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from(SHARDS),
        max_size=12,
    ),
    st.sampled_from([ChatMeter, ResponsesMeter]),
)
@example([b'data: {"type":{},"x":{"type":"response.completed"}}\n\n'], ResponsesMeter)
@example([b'data: {"type":[],"x":{"type":"error"}}\n\n'], ResponsesMeter)
def test_garbage_passes_and_is_no_error(pieces: list[bytes], kind: Callable[..., StreamMeter]) -> None:
    raw = b"".join(pieces)
    meter = kind()
    assert passed(meter, pieces) == raw
    assert meter.estimated_output() >= 0
    meter = kind(hide_usage=True)
    assert len(passed(meter, pieces)) <= len(raw)


@MANY
@given(chat_streams())
def test_events_are_split_as_they_were_written(stream: Stream) -> None:
    if {event.end for event in stream.events} == {b"\n"} or len({event.end for event in stream.events}) == 1:
        assert split_events(stream.raw) == [event.raw for event in stream.events]
    assert b"".join(split_events(stream.raw)) == stream.raw


def test_the_data_lines_of_one_event_are_one_text() -> None:
    assert event_json(b'event: x\ndata: {"a":\ndata: 1}\n\n') == {"a": 1}
    assert event_json(b'data:{"a":1}\r\n\r\n') == {"a": 1}
    for nothing in (b"", b": ping\n\n", b"data: [1]\n\n", b"data: nonsense\n\n", b"data: [DONE]\n\n"):
        assert event_json(nothing) == {}


# --- Estimates ---


def test_an_estimate_grows_with_what_has_passed_and_is_nothing_before() -> None:
    meter = ChatMeter()
    assert meter.estimated_output() == 0
    seen = []
    for text in ("Hello", " world", " and all " * 20):
        chunk = chat_chunk(choices=[{"index": 0, "delta": {"content": text}}])
        meter.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        seen.append(meter.estimated_output())
    assert seen == sorted(seen)
    assert seen[0] >= 1
    assert seen[-1] >= 40  # 180 letters in one event are no single token
