"""Streams of Messages: read however they are cut, and written legally whatever comes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.translation.form import (
    Begun,
    Citation,
    Cited,
    Ended,
    Event,
    Failed,
    Finished,
    Image,
    ImageMade,
    Message,
    Ping,
    RefusalDelta,
    Request,
    Signed,
    Text,
    TextDelta,
    ThinkingDelta,
    ToolBegun,
    ToolDelta,
    Used,
)
from apps.providers.translation.messages import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.support import messages
from tests.support.bodies import event
from tests.translation import strategies
from tests.translation.legal_messages import heard

REQUEST = Request(model="claude-test", messages=[Message("user", [Text("Hello")])])
SHOWN = Shown(id="0" * 31 + "1", model="shown-model", created=1_767_225_600, input_tokens=12)
USED = Usage(input=9, cache_read=4, output=20, reasoning=5)


def written(*events: Event) -> bytes:
    return SPOKEN.stream_writer(REQUEST, SHOWN).feed(list(events))


def read(*chunks: bytes) -> list[Event]:
    reader = SPOKEN.stream_reader(REQUEST)
    found = [each for chunk in chunks for each in reader.feed(chunk)]
    return found + reader.finish()


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    out = messages.named({"type": "content_block_start", "index": index, "content_block": opening})
    for delta in deltas:
        out += messages.named({"type": "content_block_delta", "index": index, "delta": delta})
    return out + messages.named({"type": "content_block_stop", "index": index})


# --- Reading ---


def test_a_stream_of_text_is_read() -> None:
    assert read(b"".join(messages.stream("Hel", "lo"))) == [
        Begun("msg_fake", "claude-test", Usage(input=9, cache_read=0, cache_write_5m=0, output=1)),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished("stop"),
        Used(Usage(input=9, cache_read=0, cache_write_5m=0, output=2), "standard"),
        Ended(),
    ]


def test_tools_are_counted_as_tools_and_not_as_blocks() -> None:
    stream = b"".join(
        [
            messages.start(),
            *messages.text_block("Let me see.", index=0),
            *messages.tool_block("weather", '{"city":', '"Madrid"}', index=1),
            *messages.tool_block("time", index=2),
            *messages.end(stop="tool_use"),
        ]
    )
    assert read(stream)[1:-2] == [
        TextDelta("Let me see."),
        ToolBegun(0, "toolu_1", "weather"),
        ToolDelta(0, '{"city":'),
        ToolDelta(0, '"Madrid"}'),
        ToolBegun(1, "toolu_2", "time"),
        ToolDelta(1, "{}"),
        Finished("tool_calls"),
    ]


def test_a_tool_whose_input_comes_whole_is_read_once() -> None:
    opening = {"type": "tool_use", "id": "", "name": "weather", "input": {"city": "Madrid"}}
    found = read(messages.start(), block(0, opening), *messages.end(stop="tool_use"))
    assert found[1:3] == [ToolBegun(0, "call_qZCDHdAkrZAtAJ6H7E492dKU", "weather"), ToolDelta(0, '{"city":"Madrid"}')]


def test_thoughts_come_with_their_signature_whole() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    deltas = [
        {"type": "thinking_delta", "thinking": "Hm. "},
        {"type": "thinking_delta", "thinking": "Yes."},
        {"type": "signature_delta", "signature": "sig"},
        {"type": "signature_delta", "signature": "ned"},
    ]
    hidden = {"type": "redacted_thinking", "data": "secret"}
    found = read(messages.start(), block(0, thinking, *deltas), block(1, hidden), *messages.end())
    assert found[1:5] == [
        ThinkingDelta("Hm. "),
        ThinkingDelta("Yes."),
        Signed("signed", "anthropic"),
        Signed("secret", "anthropic", redacted=True),
    ]


def test_what_runs_at_anthropic_is_passed_over_and_indices_stay_right() -> None:
    asked = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
    found = read(
        messages.start(),
        block(0, asked, {"type": "input_json_delta", "partial_json": '{"query":"x"}'}),
        block(1, result),
        block(2, {"type": "block_of_tomorrow", "text": "?"}, {"type": "text_delta", "text": "?"}),
        *messages.tool_block("weather", "{}", index=3),
        messages.named({"type": "event_of_tomorrow"}),
        *messages.end(stop="tool_use"),
    )
    assert found[1:3] == [ToolBegun(0, "toolu_3", "weather"), ToolDelta(0, "{}")]
    assert found[3] == Finished("tool_calls")


def test_citations_are_told_with_the_place_of_their_block() -> None:
    location = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "so it is",
        "encrypted_index": "x",
    }
    found = read(
        messages.start(),
        *messages.text_block("One. ", index=0),
        block(
            1,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": location},
            {"type": "text_delta", "text": "Two."},
        ),
        *messages.end(),
    )
    cited = [each for each in found if isinstance(each, Cited)]
    assert cited == [Cited(Citation(url="https://a.example", title="A", start=5, end=9, quoted="so it is"))]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause"),
        ("reason_of_tomorrow", "stop"),
    ],
)
def test_every_reason_to_stop_is_known(reason: str, finish: str) -> None:
    found = read(messages.start(), *messages.text_block("So"), *messages.end(stop=reason))
    assert [each.finish for each in found if isinstance(each, Finished)] == [finish]


def test_the_explanation_of_a_refusal_is_told() -> None:
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": {"type": "refusal", "explanation": "No."}}
    end = messages.named({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}})
    found = read(messages.start(), end, messages.named({"type": "message_stop"}))
    assert found[1:3] == [RefusalDelta("No."), Finished("content_filter")]


def test_usage_is_cumulative_and_what_is_not_told_again_stays() -> None:
    start = messages.start({"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 0})
    found = read(start, *messages.end(7, cache_read_input_tokens=None, output_tokens_details={"thinking_tokens": 3}))
    [used] = [each for each in found if isinstance(each, Used)]
    assert used.usage == Usage(input=9, cache_read=4, output=7, reasoning=3)


def test_an_error_ends_the_stream_and_nothing_follows() -> None:
    error = messages.named(messages.error("overloaded_error", "Overloaded"))
    found = read(messages.start(), *messages.text_block("He"), error, *messages.end())
    assert found[-1] == Failed(message="Overloaded", type="overloaded_error", status=529)
    assert read(error) == [Failed(message="Overloaded", type="overloaded_error", status=529)]


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    assert not any(isinstance(each, Ended) for each in read(messages.start(), *messages.text_block("He")))
    # Its last event may be missing, if the reason to stop has come.
    ended = list(messages.end())
    assert read(messages.start(), *messages.text_block("He"), ended[0])[-1] == Ended()
    assert read(messages.start(), *messages.text_block("He"), ended[0], ended[1].removesuffix(b"\n\n"))[-1] == Ended()


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


RICH = b"".join(
    [
        messages.start(),
        messages.named({"type": "ping"}),
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Añadir…"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        b": a comment\n\n",
        *messages.text_block("Grüße ", "\u2028 \U0001f600", index=1),
        *messages.tool_block("weather", '{"city":', '"M\\u00e1laga"}', index=2),
        *messages.end(stop="tool_use"),
    ]
)


@given(st.data(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_where_a_stream_is_cut_makes_no_difference(data: st.DataObject, newline: bytes) -> None:
    stream = RICH.replace(b"\n", newline)
    assert read(*data.draw(cut(stream))) == read(RICH)
    assert len(read(RICH)) > 10


KINDS = st.sampled_from(
    [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"),
        *("message_stop", "ping", "error", "unknown"),
    ]
)
WORDS = st.sampled_from(
    [
        *("type", "text", "thinking", "signature", "data", "id", "name", "input", "partial_json", "stop_reason"),
        *(
            "stop_sequence",
            "usage",
            "model",
            "input_tokens",
            "output_tokens",
            "citations",
            "citation",
            "url",
            "message",
        ),
        *("stop_details", "explanation", "cache_creation"),
    ]
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["text", "tool_use", "text_delta", "thinking"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.dictionaries(st.sampled_from(["message", "content_block", "delta", "usage", "error"]), VALUES, max_size=3)
CHUNKS = st.builds(
    lambda kind, index, fields: event({"type": kind, "index": index} | fields, name=kind),
    KINDS,
    st.integers(-1, 2) | st.none() | st.text(max_size=2),
    FIELDS,
)


@given(st.lists(CHUNKS | st.binary(max_size=20), max_size=12))
def test_no_stream_breaks_the_reader_or_what_is_written_of_it(chunks: list[bytes]) -> None:
    found = read(*chunks)
    if found:
        assert isinstance(found[0], Begun | Failed)
        assert sum(isinstance(each, Begun | Finished) for each in found) <= 2
        assert sum(isinstance(each, Ended | Failed) for each in found) <= 1
        heard(written(*found), whole=False)


# --- Writing ---

ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=3)))


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def legal_events(draw: st.DrawFn) -> list[Event]:
    """A sequence that a reader may give: strands of text, thoughts and calls, woven into one another."""
    strands: list[Iterator[Event]] = []
    for index in range(draw(st.integers(0, 3))):
        arguments = json.dumps(draw(ARGUMENTS), ensure_ascii=draw(st.booleans()))
        signature = draw(st.sampled_from(["", "call-sig"]))
        begun = ToolBegun(index, draw(st.sampled_from(["", f"call_{index}"])), f"tool{index}", 0, signature, "gemini")
        strands.append(iter([begun, *[ToolDelta(index, piece) for piece in pieces(draw, arguments)]]))
    spoken: list[Event] = []
    for kind in draw(
        st.lists(st.sampled_from(["text", "thought", "signed", "hidden", "refusal", "cited", "ping", "image"]))
    ):
        match kind:
            case "text":
                spoken.append(TextDelta(draw(st.text(max_size=20)), draw(st.sampled_from([0, 0, 0, 1]))))
            case "thought":
                spoken.append(ThinkingDelta(draw(st.text(max_size=20))))
            case "signed":
                spoken.append(Signed(draw(st.text("abc", max_size=3)), draw(st.sampled_from(["gemini", "anthropic"]))))
            case "hidden":
                spoken.append(Signed("data", "openai_responses", redacted=True))
            case "refusal":
                spoken.append(RefusalDelta("No."))
            case "cited":
                spoken.append(Cited(Citation(url=draw(st.sampled_from(["", "https://a.example"])), title="A")))
            case "image":
                spoken.append(ImageMade(Image(data="AAAA", media_type="image/png")))
            case _:
                spoken.append(Ping())
    strands.append(iter(spoken))
    found: list[Event] = [Begun("id", "model", draw(st.sampled_from([None, Usage(input=3)])))]
    begun_calls = 0
    while strands:
        # Calls begin in the order of their indices.
        place = draw(st.integers(0, len(strands) - 1))
        step = next(strands[place], None)
        if step is None:
            del strands[place]
            continue
        if isinstance(step, ToolBegun):
            step.index, begun_calls = step.index, begun_calls + 1
        found.append(step)
    found.append(
        Finished(draw(st.sampled_from(["", "stop", "stop_sequence", "length", "tool_calls", "content_filter"])))
    )
    if draw(st.booleans()):
        found.append(Used(USED))
    end = draw(st.sampled_from([Ended(), Failed(message="Broken", status=500), None]))
    return found if end is None else [*found, end]


@given(legal_events(), st.integers(1, 5))
def test_every_legal_sequence_becomes_a_legal_stream(events: list[Event], at_once: int) -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    batches = [events[place : place + at_once] for place in range(0, len(events), at_once)]
    stream = b"".join(writer.feed(batch) for batch in batches)
    found = heard(stream, whole=isinstance(events[-1], Ended | Failed))
    assert writer.events == found.events
    texts = [each.text for each in events if isinstance(each, TextDelta | RefusalDelta) and each.choice == 0]
    assert found.text.replace("![image](data:image/png;base64,AAAA)", "") == "".join(texts)
    assert found.thought == "".join(each.text for each in events if isinstance(each, ThinkingDelta))
    begun = [each for each in events if isinstance(each, ToolBegun)]
    assert [call[:2] for call in found.calls] == [
        (each.id or f"toolu_{SHOWN.id}_{each.index}", each.name) for each in begun
    ]
    for call, (_, _, arguments) in zip(begun, found.calls, strict=True):
        assert arguments == "".join(
            each.arguments for each in events if isinstance(each, ToolDelta) and each.index == call.index
        )


@given(legal_events())
def test_a_written_stream_reads_as_what_it_was(events: list[Event]) -> None:
    back = read(written(*events))
    for kind in (TextDelta, ThinkingDelta):
        said = [each for each in events if isinstance(each, kind) and each.choice == 0]
        if not any(isinstance(each, ImageMade | RefusalDelta) for each in events):
            assert "".join(each.text for each in back if isinstance(each, kind)) == "".join(each.text for each in said)
    assert isinstance(back[-1], Ended) == isinstance(events[-1], Ended)
    assert isinstance(back[-1], Failed) == isinstance(events[-1], Failed)
    if isinstance(events[-1], Ended):
        [asked] = [each.finish for each in events if isinstance(each, Finished)]
        calls = any(isinstance(each, ToolBegun) for each in events)
        expected = asked or "stop"
        assert [each.finish for each in back if isinstance(each, Finished)] == [
            "tool_calls" if expected == "stop" and calls else expected
        ]
        [used] = [each.usage for each in back if isinstance(each, Used)]
        if any(isinstance(each, Used) for each in events):
            assert (used.input, used.cache_read, used.output, used.reasoning) == (9, 4, 20, 5)


@given(strategies.streams(choices=2), st.data())
def test_what_any_dialect_reads_is_written_legally(events: list[Event], data: st.DataObject) -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    stream = b"".join(writer.feed(batch) for batch in data.draw(strategies.in_batches(events)))
    found = heard(stream, whole=isinstance(events[-1], Ended | Failed))
    assert writer.events == found.events
    if isinstance(events[-1], Ended):
        assert [call[1] for call in found.calls] == [
            each.name for each in events if isinstance(each, ToolBegun) and each.choice == 0
        ]
        used = [each.usage for each in events if isinstance(each, Used)]
        assert not used or found.usage["output_tokens"] == used[-1].output


@given(strategies.disordered())
def test_what_no_dialect_reads_is_written_legally_all_the_same(events: list[Event]) -> None:
    heard(written(*events), whole=any(isinstance(each, Ended | Failed) for each in events))


ANY_EVENT = st.one_of(
    st.builds(Begun),
    st.builds(TextDelta, st.text(max_size=3), st.integers(0, 1)),
    st.builds(RefusalDelta, st.text(max_size=3), st.integers(0, 1)),
    st.builds(ThinkingDelta, st.text(max_size=3), st.integers(0, 1)),
    st.builds(Signed, st.text("ab", max_size=2), st.sampled_from(["", "anthropic", "gemini"]), st.booleans()),
    st.builds(ToolBegun, st.integers(0, 3), st.text("ab", max_size=2), st.text("ab", max_size=2)),
    st.builds(ToolDelta, st.integers(0, 4), st.text('{}["\\a', max_size=4), st.integers(0, 1)),
    st.builds(Cited, st.builds(Citation, url=st.text("h", max_size=1))),
    st.builds(ImageMade, st.builds(Image)),
    st.builds(Ping),
    st.builds(
        Finished, st.sampled_from(["", "stop", "error", "pause", "length"]), st.integers(0, 1), st.text("s", max_size=1)
    ),
    st.builds(Used, st.builds(Usage, output=st.none() | st.integers(0, 9))),
    st.builds(Ended),
    st.builds(Failed, message=st.text(max_size=3), type=st.text(max_size=3), status=st.integers(0, 599)),
)


@given(st.lists(ANY_EVENT, max_size=30))
def test_no_sequence_of_events_breaks_the_writer(events: list[Event]) -> None:
    heard(written(*events), whole=any(isinstance(each, Ended | Failed) for each in events))


def test_calls_that_come_one_after_the_other_stream_as_they_come() -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    writer.feed([Begun()])
    assert b"toolu_a" in writer.feed([ToolBegun(0, "toolu_a", "one")])
    assert b'{\\"x\\":' in writer.feed([ToolDelta(0, '{"x":')])
    assert writer.feed([ToolDelta(0, '"}\\"}"'), ToolDelta(0, "}")]).count(b"input_json_delta") == 2
    second = writer.feed([ToolBegun(1, "toolu_b", "two")])
    assert b"content_block_stop" in second
    assert b"toolu_b" in second, "the first call is whole, so the second need not wait"
    assert writer.feed([ToolDelta(1, "{")])


def test_only_a_call_that_comes_in_between_waits() -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    writer.feed([Begun(), ToolBegun(0, "a", "one"), ToolDelta(0, '{"x":"\\')])
    assert writer.feed([ToolBegun(1, "b", "two"), ToolDelta(1, '{"y"')]) == b""
    assert writer.feed([ToolDelta(0, '"}')]) != b"", "the open call goes on"
    assert writer.feed([TextDelta("after")]) == b"", "what stands behind a waiting call waits with it"
    assert b"message_stop" not in writer.feed([ToolDelta(0, '"}')])
    rest = writer.feed([ToolDelta(1, ":1}")])
    assert rest.index(b'"two"') < rest.index(b"after")
    assert b"content_block_stop" in writer.feed([Finished("tool_calls"), Ended()])


def test_a_call_of_geminis_keeps_its_signature_in_thoughts_before_it() -> None:
    found = heard(
        written(
            Begun(),
            ThinkingDelta("Hm."),
            ToolBegun(0, "call_1", "weather", 0, "c2ln", "gemini"),
            ToolDelta(0, "{}"),
            Finished("tool_calls"),
            Ended(),
        )
    )
    assert [each["type"] for each in found.blocks] == ["thinking", "thinking", "tool_use"]
    assert [each["signature"] for each in found.blocks[:2]] == ["", "tollgate.gemini.c2ln"]
    assert found.blocks[1]["thinking"] == ""
    assert found.stop == "tool_use"


def test_signatures_of_its_own_are_passed_on_as_they_are() -> None:
    found = heard(written(Begun(), ThinkingDelta("Hm."), Signed("sig", "anthropic"), TextDelta("Hi"), Ended()))
    assert found.blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": "sig"}


def test_the_input_is_estimated_until_it_is_known() -> None:
    stream = written(Begun(), TextDelta("12345678"), Finished("stop"), Ended())
    assert b'"input_tokens":12' in stream.split(b"\n\n")[0]
    assert heard(stream).usage == {
        "input_tokens": 12,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
    }
    assert heard(written(Begun(), Finished("stop"), Used(USED), Ended())).usage == {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_a_failure_is_an_error_event_and_the_end() -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    stream = writer.feed([Begun(), TextDelta("He"), Failed(message="Busy", status=503, code="busy"), TextDelta("llo")])
    found = heard(stream)
    assert found.error == {"type": "overloaded_error", "message": "Busy", "details": {"error_code": "busy"}}
    assert found.stop is None
    assert writer.feed([Ended()]) == b""
    assert heard(written(Failed(message="Slow down", type="rate_limit_error"))).error == {
        "type": "rate_limit_error",
        "message": "Slow down",
    }


def test_citations_with_an_address_are_shown_in_their_text() -> None:
    found = heard(
        written(
            Begun(), TextDelta("So."), Cited(Citation(url="https://a.example", quoted="so")), Finished("stop"), Ended()
        )
    )
    assert found.blocks[0]["citations"] == [
        {
            "type": "web_search_result_location",
            "url": "https://a.example",
            "title": None,
            "cited_text": "so",
            "encrypted_index": "",
        }
    ]


def test_what_is_told_twice_is_written_once() -> None:
    call = ToolBegun(0, "call_1", "weather")
    found = heard(
        written(Begun(), Begun(), call, call, Finished("length"), Finished("stop"), Used(USED), Ended(), Ended())
    )
    assert [block["type"] for block in found.blocks] == ["tool_use"]
    assert found.stop == "max_tokens"
