"""Streams of Anthropic's Messages: however they are cut, the same bytes, usage and end. Properties of the meter, and on sockets."""

import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.gateway.streams import MessagesMeter
from apps.providers.usage import Usage, anthropic_usage
from tests.support import messages
from tests.support.provider import CLOSE, FakeProvider
from tests.support.tenant import Tenant

MANY = settings(max_examples=150, deadline=None)

LINE_ENDS = (b"\n", b"\r\n", b"\r")
COUNTS = st.integers(0, 1 << 36)
NASTY = st.text(st.sampled_from(list('"\\usage:{}[] data\n\ré€')), max_size=20) | st.text(max_size=8)
# What a model may say of the protocol without speaking it.
SPOKEN = st.sampled_from(
    ['{"type":"message_stop"}', 'event: error\ndata: {"type":"error"}\n\n', '"usage":{"output_tokens":9}']
)
PING = {"type": "ping"}


@dataclass(frozen=True)
class Stream:
    """Its events as bytes, and what they tell when all have passed."""

    events: tuple[bytes, ...]
    usage: Usage | None
    error: str

    @property
    def raw(self) -> bytes:
        return b"".join(self.events)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """A whole stream: blocks of any kind with pings between, usage told once or often, and its end or its error."""
    line_end = draw(st.sampled_from(LINE_ENDS))
    separators = None if draw(st.booleans()) else (",", ":")
    events: list[bytes] = []

    def add(data: dict[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=draw(st.booleans()), separators=separators)
        lines = (f"event: {data['type']}", f"data: {text}", "", "")
        events.append(line_end.join(line.encode("utf-8", "surrogatepass") for line in lines))
        if draw(st.integers(0, 6)) == 0:
            events.append(line_end.join((b"event: ping", b'data: {"type": "ping"}', b"", b"")))

    caches = {name: draw(COUNTS) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")}
    said = {"input_tokens": draw(COUNTS), "output_tokens": 1, **(caches if draw(st.booleans()) else {})}
    add({"type": "message_start", "message": {**messages.message(), "content": [], "usage": said}})
    for index in range(draw(st.integers(0, 3))):
        kind, field, opening = draw(
            st.sampled_from(
                [
                    ("text_delta", "text", {"type": "text", "text": ""}),
                    ("thinking_delta", "thinking", {"type": "thinking", "thinking": "", "signature": ""}),
                    ("input_json_delta", "partial_json", {"type": "tool_use", "id": "t", "name": "n", "input": {}}),
                ]
            )
        )
        add({"type": "content_block_start", "index": index, "content_block": opening})
        for text in draw(st.lists(NASTY | SPOKEN, max_size=4)):
            add({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}})
        if kind == "thinking_delta":
            signed = {"type": "signature_delta", "signature": draw(st.text("abc+/=", max_size=40))}
            add({"type": "content_block_delta", "index": index, "delta": signed})
        add({"type": "content_block_stop", "index": index})
    for _ in range(draw(st.integers(0, 2))):
        told: dict[str, Any] = {"output_tokens": draw(COUNTS)}
        told |= draw(st.sampled_from([{}, {"input_tokens": 7}, {"server_tool_use": {"web_search_requests": 2}}]))
        add({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": told})
        said |= told
    if draw(st.integers(0, 4)) == 0:
        add({"type": "error", "error": {"type": "overloaded_error", "message": draw(NASTY)}})
        return Stream(tuple(events), anthropic_usage(said), "overloaded_error")
    add({"type": "message_stop"})
    return Stream(tuple(events), anthropic_usage(said), "")


@st.composite
def cut(draw: st.DrawFn) -> tuple[Stream, list[bytes]]:
    """A stream, and its bytes in pieces: byte by byte, at random places, or at the ends of events."""
    stream = draw(streams())
    raw = stream.raw
    match draw(st.sampled_from(["bytes", "anywhere", "events", "whole"])):
        case "bytes":
            return stream, [raw[at : at + 1] for at in range(len(raw))]
        case "events":
            return stream, list(stream.events)
        case "anywhere":
            places = draw(st.sets(st.integers(1, len(raw) - 1), max_size=12))
            return stream, [raw[start:end] for start, end in pairwise([0, *sorted(places), len(raw)])]
    return stream, [raw]


def passed(meter: MessagesMeter, pieces: Sequence[bytes]) -> bytes:
    return b"".join([meter.feed(piece) for piece in pieces]) + meter.finish()


@MANY
@given(cut())
def test_the_same_bytes_and_the_same_usage_however_it_is_cut(whole: tuple[Stream, list[bytes]]) -> None:
    stream, pieces = whole
    meter = MessagesMeter()
    assert passed(meter, pieces) == stream.raw
    assert (meter.usage, meter.model, meter.error) == (stream.usage, messages.MODEL, stream.error)
    assert meter.complete


@MANY
@given(cut())
def test_a_stream_is_complete_exactly_when_its_last_event_has_passed(whole: tuple[Stream, list[bytes]]) -> None:
    stream, pieces = whole
    last = max(at for at, event in enumerate(stream.events) if b'"ping"' not in event)
    meter, came = MessagesMeter(), 0
    for piece in pieces:
        came += len(piece)
        meter.feed(piece)
        if came < len(b"".join(stream.events[: last + 1])) - 1:  # an event that ends in CR may be held to be whole
            assert not meter.complete


@MANY
@given(streams(), st.data())
@example(Stream((messages.start(), *messages.text_block("x" * 400)), None, ""), None)
def test_what_breaks_off_is_charged_for_what_passed(stream: Stream, data: st.DataObject | None) -> None:
    meter = MessagesMeter()
    events = stream.events[:-1]
    kept = events[: data.draw(st.integers(1, len(events)))] if data is not None else stream.events
    for event in kept:
        meter.feed(event)
    spent = meter.spent(lambda: 99)
    assert not meter.complete or meter.error or b"message_stop" in kept[-1] + kept[-2]
    assert spent.input is not None
    assert spent.output is not None
    if data is None:
        assert (spent.output, spent.estimated) == (100, True)
        assert spent.input == messages.USAGE["input_tokens"]


@MANY
@given(st.lists(st.binary(max_size=30) | st.sampled_from([*messages.stream()]), max_size=20))
def test_no_garbage_is_lost_or_added(pieces: list[bytes]) -> None:
    assert passed(MessagesMeter(), pieces) == b"".join(pieces)


@pytest.mark.parametrize("ending", [b"", messages.named(messages.error("overloaded_error", "Overloaded"))])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_guess_of_the_output_is_not_its_bill(ending: bytes, at_once: bool) -> None:
    events = [messages.start(), *list(messages.text_block("x" * 200, "x" * 200))[:-1], ending]
    meter = MessagesMeter()
    for piece in [b"".join(events)] if at_once else filter(None, events):
        meter.feed(piece)
    spent = meter.spent(lambda: 99)
    assert (spent.input, spent.output, spent.estimated) == (messages.USAGE["input_tokens"], 100, True)


def test_signatures_and_the_ends_of_blocks_are_no_text() -> None:
    signed = {"type": "signature_delta", "signature": "s" * 4000}
    meter = MessagesMeter()
    for event in (
        messages.start(),
        *list(messages.text_block("abcdefgh", "abcdefgh", "abcdefgh"))[:-1],
        messages.named({"type": "content_block_delta", "index": 0, "delta": signed}),
        messages.named({"type": "content_block_stop", "index": 0}),
    ):
        meter.feed(event)
    assert meter.spent(lambda: 0).output in (6, 7)  # 24 bytes


def test_a_later_total_of_what_was_written_to_the_cache_counts() -> None:
    parts = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
    meter = MessagesMeter()
    meter.feed(messages.start({**messages.USAGE, "cache_creation_input_tokens": 300, "cache_creation": parts}))
    meter.feed(b"".join(messages.end(5, cache_creation_input_tokens=450)))
    assert meter.usage is not None
    assert (meter.usage.cache_write_5m, meter.usage.cache_write_1h, meter.usage.mismatch) == (250, 200, False)


# --- On sockets ---


@pytest.fixture
def claude(acme: Tenant, upstream: FakeProvider) -> Tenant:
    credential = acme.add_credential(upstream.url, provider="anthropic")
    acme.add_model(messages.MODEL, credential=credential, provider="anthropic")
    return acme


def call(claude: Tenant) -> socket.socket:
    """A streamed call on a socket of its own."""
    url = httpx.URL(claude.gateway.url)
    body = {"model": messages.MODEL, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    raw = json.dumps(body).encode()
    client = socket.create_connection((url.host, url.port or 80), timeout=10)
    client.sendall(
        b"POST /v1/messages?beta=true HTTP/1.1\r\nhost: x\r\nx-api-key: %s\r\ncontent-length: %d\r\n\r\n%s"
        % (claude.token.encode(), len(raw), raw)
    )
    return client


def read_until(client: socket.socket, text: bytes) -> bytes:
    data = b""
    while text not in data:
        piece = client.recv(65536)
        assert piece, f"closed before {text!r}: {data!r}"
        data += piece
    return data


def unchunked(data: bytes) -> bytes:
    body, rest = b"", data
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


def test_every_event_leaves_whole_as_soon_as_it_is_whole(claude: Tenant, upstream: FakeProvider) -> None:
    first, second, *others = messages.stream()
    half, more = threading.Event(), threading.Event()
    upstream.streams_raw([first, half, second[:20], more, second[20:], *others])
    with call(claude) as client:
        data = read_until(client, first)
        half.set()
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)  # half an event
        client.settimeout(10)
        more.set()
        data += read_until(client, b"0\r\n\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert b"x-accel-buffering: no" in head
    assert unchunked(body) == b"".join(messages.stream())


def test_a_cut_stream_ends_in_one_whole_error_event_and_an_orderly_end(claude: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([messages.start(), b"event: content_block_delta\ndata: {", CLOSE])
    with call(claude) as client:
        data = read_until(client, b"0\r\n\r\n")
    body = unchunked(data.partition(b"\r\n\r\n")[2])
    assert body.startswith(messages.start() + b'event: error\ndata: {"type":"error","error":{"type":"api_error"')
    assert body.count(b"\n\n") == 2
    assert b"message_stop" not in body
