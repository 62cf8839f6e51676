"""Streams of Responses: legal for whatever a provider sends, and the same wherever its bytes are cut."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.form import Event, Request
from apps.providers.translation.responses import SPOKEN
from apps.providers.translation.responses.stream_reader import _READ
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.translation import strategies
from tests.translation.legal_responses import check_stream, read_events

REQUEST = Request(model="asked", messages=[])
SHOWN = Shown(id="0" * 31 + "1", model="asked", created=1_767_225_600, input_tokens=11)


def write(*batches: list[Event], request: Request = REQUEST) -> bytes:
    writer = SPOKEN.stream_writer(request, SHOWN)
    data = b"".join(writer.feed(batch) for batch in batches)
    assert writer.events == len(read_events(data))
    return data


def read(*pieces: bytes) -> list[Event]:
    reader = SPOKEN.stream_reader(REQUEST)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def events_of(*batches: list[Event]) -> list[dict[str, Any]]:
    return check_stream(write(*batches))


def joined(events: list[Event]) -> dict[str, Any]:
    """What a stream says, however it is cut."""
    calls: dict[int, list[Any]] = {}
    for event in events:
        match event:
            case form.ToolBegun():
                calls[event.index] = [event.id, event.name, event.custom, ""]
            case form.ToolDelta():
                calls[event.index][3] += event.arguments
    return {
        "text": "".join(event.text for event in events if isinstance(event, form.TextDelta)),
        "refusal": "".join(event.text for event in events if isinstance(event, form.RefusalDelta)),
        "calls": [call for _, call in sorted(calls.items())],
        "finish": [event.finish for event in events if isinstance(event, form.Finished)],
        "citations": [event.citation.url for event in events if isinstance(event, form.Cited)],
        "images": [event.image.data for event in events if isinstance(event, form.ImageMade)],
    }


# --- The writer ---


@given(strategies.streams(custom=True).flatmap(strategies.in_batches))
def test_every_sequence_becomes_a_legal_stream(batches: list[list[Event]]) -> None:
    check_stream(write(*batches))


@given(
    st.lists(
        st.sampled_from(
            [
                form.Begun("x", "y"),
                form.TextDelta("a"),
                form.TextDelta(""),
                form.TextDelta("b", 1),
                form.RefusalDelta("r"),
                form.ThinkingDelta("t"),
                form.Signed("s", "anthropic"),
                form.Signed("s", "gemini", redacted=True),
                form.Signed("", "gemini"),
                form.ToolBegun(0, "same", "f"),
                form.ToolBegun(1, "same", "f", signature="s", origin="gemini"),
                form.ToolBegun(1, "", "g", custom=True),
                form.ToolDelta(0, "{"),
                form.ToolDelta(7, "{}"),
                form.Cited(form.Citation(url="https://a.example")),
                form.Cited(form.Citation(quoted="q")),
                form.ImageMade(form.Image(data="AAAA", media_type="image/png")),
                form.ImageMade(form.Image(url="https://a.example/i.png")),
                form.ImageMade(form.Image()),
                form.Ping(),
                form.Finished("length"),
                form.Finished("error"),
                form.Finished("tool_calls", 1),
                form.Used(Usage(input=1, output=2)),
                form.Ended(),
                form.Failed(message="no"),
            ]
        ),
        max_size=12,
    )
)
def test_no_sequence_is_so_wrong_that_the_stream_becomes_illegal(events: list[Event]) -> None:
    check_stream(write(events))


def test_a_text_has_its_events_in_openai_s_order() -> None:
    begun, said, ended = form.Begun("up", "their-model"), form.TextDelta("Hi"), form.Finished("stop")
    events = events_of([begun, said, form.TextDelta(" you"), ended, form.Used(Usage(input=3, output=2)), form.Ended()])
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hi you"
    assert events[-1]["response"]["usage"]["total_tokens"] == 5
    assert events[-1]["response"]["model"] == "asked"


def test_a_piece_leaves_as_soon_as_it_has_come() -> None:
    writer = SPOKEN.stream_writer(REQUEST, SHOWN)
    writer.feed([form.Begun()])
    assert b'"delta":"a"' in writer.feed([form.TextDelta("a")])
    assert b"function_call_arguments" not in writer.feed([form.ToolBegun(0, "c0", "f"), form.ToolBegun(1, "c1", "g")])
    assert b'"delta":"{"' in writer.feed([form.ToolDelta(1, "{")])
    assert b'"delta":"{}"' in writer.feed([form.ToolDelta(0, "{}")])


def test_pieces_of_two_calls_may_come_in_between_one_another() -> None:
    calls = [form.ToolBegun(0, "c0", "f"), form.ToolDelta(0, '{"a"'), form.ToolBegun(1, "c1", "g")]
    rest = [form.ToolDelta(1, '{"b":2}'), form.ToolDelta(0, ":1}"), form.Finished("tool_calls"), form.Ended()]
    output = events_of([*calls, *rest])[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("c0", '{"a":1}'), ("c1", '{"b":2}')]


def test_thoughts_are_over_when_something_is_said() -> None:
    events = events_of([form.ThinkingDelta("hm"), form.TextDelta("Hi"), form.Finished("stop"), form.Ended()])
    kinds = [event["type"] for event in events]
    assert kinds.index("response.output_item.done") < kinds.index("response.output_text.delta")
    assert events[-1]["response"]["output"][0]["summary"] == [{"type": "summary_text", "text": "hm"}]


def test_each_signed_thought_is_an_item_of_its_own() -> None:
    events = [form.ThinkingDelta("a"), form.Signed("s1", "anthropic"), form.ThinkingDelta("b")]
    events += [form.Signed("s2", "anthropic"), form.Signed("s3", "anthropic", redacted=True), form.TextDelta("x")]
    output = events_of([*events, form.Ended()])[-1]["response"]["output"]
    assert [item.get("encrypted_content") for item in output] == [
        "tollgate.anthropic.s1",
        "tollgate.anthropic.s2",
        "tollgate.anthropic.redacted:s3",
        None,
    ]
    assert [item.get("summary") and item["summary"][0]["text"] for item in output] == ["a", "b", [], None]


@given(strategies.streams(whole=True))
def test_a_client_that_sends_the_output_back_gives_back_all_signatures(events: list[Event]) -> None:
    output = check_stream(write(events))[-1]["response"]["output"]
    body = {"model": "m", "input": [{"role": "user", "content": "x"}, *output]}
    parts = [part for turn in SPOKEN.read_request(json.dumps(body).encode(), "", None).messages for part in turn.parts]
    own = "openai_responses"
    proofs = [(event.signature, event.origin) for event in events if isinstance(event, form.Signed)]
    hidden = [event.redacted for event in events if isinstance(event, form.Signed)]
    signed = [part for part in parts if isinstance(part, form.Thinking) and part.signature]
    assert [(part.signature, part.origin) for part in signed] == proofs
    assert [part.redacted for part in signed] == hidden
    assert [bool(part.text) for part in signed] == [not each for each in hidden]
    begun = [event for event in events if isinstance(event, form.ToolBegun)]
    calls = [part for part in parts if isinstance(part, form.ToolCall)]
    assert [(call.id, call.signature) for call in calls] == [
        (event.id, event.signature if event.origin != own else "") for event in begun
    ]


def test_what_comes_after_the_answer_is_over_is_passed_over() -> None:
    said = [form.ToolBegun(0, "c", "f"), form.ToolDelta(0, "{}"), form.Finished("tool_calls")]
    late = [
        form.ToolDelta(0, "late"),
        form.TextDelta("late"),
        form.ToolBegun(1, "d", "g"),
        form.Signed("late", "gemini"),
    ]
    assert b"late" not in write([*said, *late, form.Ended()])
    events_of([*said, *late, form.Ended()])


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_calls", "completed", None),
        ("pause", "completed", None),
        ("", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_why_it_is_over_is_told(finish: Any, status: str, reason: str | None) -> None:
    last = events_of([form.TextDelta("a"), form.Finished(finish), form.Ended()])[-1]["response"]
    assert last["status"] == status
    assert last["incomplete_details"] == (reason and {"reason": reason})
    assert last["output"][0]["status"] == status


def test_only_what_was_cut_short_is_incomplete() -> None:
    calls = [form.ToolBegun(0, "c0", "f"), form.ToolDelta(0, "{}"), form.ToolBegun(1, "c1", "g")]
    output = events_of([*calls, form.ToolDelta(1, '{"a'), form.Finished("length"), form.Ended()])[-1]["response"][
        "output"
    ]
    assert [item["status"] for item in output] == ["completed", "incomplete"]


def test_a_failure_in_the_midst_is_the_last_event_and_ends_no_call() -> None:
    events = events_of(
        [form.TextDelta("a"), form.ToolBegun(0, "c", "f"), form.ToolDelta(0, "{")],
        [form.Failed(message="Slow down.", code="rate_limit_exceeded")],
        [form.TextDelta("more"), form.Ended()],
    )
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    done = [event["item"]["type"] for event in events if event["type"] == "response.output_item.done"]
    assert done == ["message"]


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (form.Failed(message="m", code="context_length_exceeded"), "context_length_exceeded"),
        (form.Failed(message="m", type="rate_limit_error", status=429), "rate_limit_exceeded"),
        (form.Failed(message="m", type="overloaded_error", status=529), "server_error"),
        (form.Failed(message=""), "server_error"),
    ],
)
def test_clients_are_given_codes_that_they_know(failure: form.Failed, code: str) -> None:
    # Codex and OpenAI know more of them than the SDK's types, which the checker holds events against.
    assert read_events(write([form.Begun(), failure]))[-1]["response"]["error"]["code"] == code


def test_an_answer_that_the_model_could_not_finish_has_failed() -> None:
    events = events_of([form.TextDelta("a"), form.ToolBegun(0, "c", "f"), form.Finished("error"), form.Ended()])
    assert events[-1]["type"] == "response.failed"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message"]


def test_a_call_without_arguments_has_none_in_json() -> None:
    output = events_of([form.ToolBegun(0, "c", "f"), form.Finished("tool_calls"), form.Ended()])[-1]["response"][
        "output"
    ]
    assert output[0]["arguments"] == "{}"


def test_usage_that_nobody_told_is_estimated() -> None:
    usage = events_of([form.TextDelta("a" * 40), form.Finished("stop"), form.Ended()])[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (11, 10)


def test_usage_that_is_told_again_replaces_what_was_told() -> None:
    told = [form.Begun(usage=Usage(input=1)), form.Used(Usage(input=2)), form.Finished("stop")]
    used = Usage(input=5, cache_read=3, cache_write_5m=1, cache_write_1h=2, output=7, reasoning=4)
    usage = events_of([*told, form.Used(used), form.Ended()])[-1]["response"]["usage"]
    assert usage == {
        "input_tokens": 11,
        "input_tokens_details": {
            "cached_tokens": 3,
            "cache_write_tokens": 3,
            "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 2},
        },
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 18,
    }


def test_a_provider_that_is_still_there_keeps_the_line_open() -> None:
    assert write([form.Begun(), form.Ping()]).endswith(b"\n\n: keep-alive\n\n")


def test_likelihoods_come_with_their_text() -> None:
    token = {
        "token": "é",
        "logprob": -0.5,
        "bytes": None,
        "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
    }
    events = events_of([form.TextDelta("é", logprobs=[token]), form.Finished("stop"), form.Ended()])
    told = {"token": "é", "bytes": [195, 169], "logprob": -0.5}
    told["top_logprobs"] = [{"token": "e", "bytes": [101], "logprob": -1}]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [told]


def test_a_call_of_a_tool_in_a_namespace_is_told_in_the_client_s_words() -> None:
    member = {"type": "function", "name": "find"}
    tools = [
        {"type": "namespace", "name": "mail", "tools": [member]},
        {"type": "namespace", "name": "web", "tools": [member]},
    ]
    body = {"model": "m", "input": "x", "tools": tools}
    request = SPOKEN.read_request(json.dumps(body).encode(), "", None)
    assert [tool.name for tool in request.tools] == ["mail__find", "web__find"]
    called = [form.ToolBegun(0, "c", "web__find"), form.ToolDelta(0, "{}"), form.Finished("tool_calls"), form.Ended()]
    item = check_stream(write(called, request=request))[-1]["response"]["output"][0]
    assert (item["namespace"], item["name"]) == ("web", "find")


# --- The reader ---


@given(st.data())
def test_bytes_may_be_cut_anywhere(data: st.DataObject) -> None:
    stream = write(data.draw(strategies.streams(custom=True)))
    assert read(*data.draw(strategies.cuts(stream))) == read(stream)


@given(strategies.streams(custom=True, whole=True))
def test_what_is_written_is_read_again(events: list[Event]) -> None:
    found = read(write(events))
    assert isinstance(found[0], form.Begun)
    assert isinstance(found[-1], form.Ended)
    before, after = joined(events), joined(found)
    finish = before["finish"][0]
    kept = finish if finish in ("length", "content_filter") else "tool_calls" if before["calls"] else "stop"
    assert after["finish"] == [kept]
    links = "".join(f"![]({e.image.url})" for e in events if isinstance(e, form.ImageMade) and not e.image.data)
    assert len(after["text"]) == len(before["text"]) + len(links)
    if not links:
        assert after["text"] == before["text"]
    assert after["refusal"] == before["refusal"]
    calls = [[*call[:3], call[3] or ("" if call[2] else "{}")] for call in before["calls"]]
    assert after["calls"] == calls
    assert after["images"] == [data for data in before["images"] if data]
    used = [event.usage for event in events if isinstance(event, form.Used)]
    told = [event.usage for event in found if isinstance(event, form.Used)]
    if used:
        assert told[0].output == used[-1].output
        assert told[0].reasoning == used[-1].reasoning


@given(strategies.streams(custom=True))
def test_a_stream_begins_once_and_ends_once(events: list[Event]) -> None:
    found = read(write(events))
    assert [isinstance(event, form.Begun) for event in found] == [True] + [False] * (len(found) - 1) if found else True
    assert [isinstance(event, form.Ended | form.Failed) for event in found[:-1]].count(True) == 0


def events_as_bytes(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


WORDS = st.sampled_from(
    [
        *("type", "response", "item", "output_index", "content_index", "delta", "text", "arguments"),
        *("output", "error", "id", "response.created", "response.output_item.added"),
        *("response.output_item.done", "response.output_text.delta", "response.output_text.done"),
        *("response.completed", "response.failed", "function_call", "message", "usage", "reasoning"),
        *("summary", "encrypted_content", "image_generation_call", "result", "annotation", "url_citation"),
        *("url", "response.reasoning_summary_text.delta", "response.function_call_arguments.delta"),
        *("call_id", "name", "content", "response.output_text.annotation.added", "output_text"),
        *("annotations", "logprobs", "token", "top_logprobs", "code"),
    ]
)


VALUES = strategies.json_values(WORDS)
KINDS = st.sampled_from(
    ["message", "function_call", "custom_tool_call", "reasoning", "image_generation_call", "output_text"]
)
ITEMS = st.fixed_dictionaries(
    {"type": KINDS} | dict.fromkeys(("content", "summary", "arguments", "call_id", "name", "encrypted_content"), VALUES)
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(_READ)), "output_index": st.integers(0, 2), "item": ITEMS | VALUES}
    | {
        "response": st.fixed_dictionaries({"output": st.lists(ITEMS, max_size=2), "usage": VALUES, "error": VALUES})
        | VALUES
    }
    | dict.fromkeys(("delta", "annotation", "text", "refusal", "error", "code"), VALUES)
)


@given(st.lists(VALUES, max_size=6))
def test_no_provider_s_mistake_is_an_error_of_ours(values: list[Any]) -> None:
    stream = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    found = read(stream)
    assert not found or isinstance(found[0], form.Begun)
    check_stream(write(found))


@settings(max_examples=50, deadline=None)  # they are large
@given(st.lists(EVENTS, max_size=4))
def test_no_event_of_a_known_type_is_an_error_of_ours(values: list[Any]) -> None:
    check_stream(write(read(events_as_bytes(*values))))


def test_thoughts_and_what_proves_them_are_read() -> None:
    place = {"output_index": 0, "item_id": "rs_1", "summary_index": 0}
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a\n\nb"}]}
    stream = events_as_bytes(
        {"type": "response.created", "response": {"id": "resp_1", "model": "gpt"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
        {"type": "response.reasoning_summary_part.added", **place},
        {"type": "response.reasoning_summary_text.delta", **place, "delta": "a"},
        {"type": "response.reasoning_summary_part.added", **place, "summary_index": 1},
        {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 1, "delta": "b"},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "encrypted_content": "proof"}},
        {
            "type": "response.output_item.done",
            "output_index": 1,
            "item": {"type": "reasoning", "encrypted_content": "p2"},
        },
    )
    assert read(stream) == [
        form.Begun("resp_1", "gpt"),
        form.ThinkingDelta("a"),
        form.ThinkingDelta("\n\n"),
        form.ThinkingDelta("b"),
        form.Signed("proof", "openai_responses"),
        form.Signed("p2", "openai_responses", redacted=True),
    ]


def test_a_server_that_says_all_at_an_item_s_end_is_understood() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    part = {"type": "output_text", "text": "Hi", "annotations": [note]}
    said = {"type": "message", "content": [part, {"type": "refusal", "refusal": "no"}]}
    stream = events_as_bytes(
        {"type": "response.output_item.done", "output_index": 0, "item": said},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
    )
    assert read(stream) == [
        form.Begun(),
        form.TextDelta("Hi"),
        form.Cited(form.Citation(url="https://a.example", title="A", start=0, end=2)),
        form.RefusalDelta("no"),
        form.ToolBegun(0, "c", "f"),
        form.ToolDelta(0, '{"a":1}'),
    ]


def test_what_an_item_s_end_repeats_is_told_once() -> None:
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    part = {"type": "output_text", "text": "Hi", "annotations": [note, note | {"url": "https://b.example"}]}
    done = {"type": "response.output_item.done"}
    proof = {"type": "reasoning", "summary": [], "encrypted_content": "proof"}
    stream = events_as_bytes(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"},
        {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": note},
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hi"},
        {**done, "output_index": 0, "item": {"type": "message", "content": [part]}},
        {**done, "output_index": 1, "item": proof},
        {**done, "output_index": 1, "item": proof},
    )
    first, second = (form.Citation(url=f"https://{name}.example", title="A", start=0, end=2) for name in "ab")
    said = [form.TextDelta("Hi"), form.Cited(first), form.Cited(second)]
    assert read(stream) == [form.Begun(), *said, form.Signed("proof", "openai_responses", redacted=True)]


def test_a_server_that_says_all_in_its_last_event_is_understood() -> None:
    said = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    response = {"id": "r", "model": "m", "status": "completed", "output": [said]}
    stream = events_as_bytes({"type": "response.completed", "response": response})
    assert read(stream) == [form.Begun("r", "m"), form.TextDelta("Hi"), form.Finished("stop"), form.Ended()]


def test_what_was_told_in_pieces_is_not_told_again() -> None:
    whole = write([form.TextDelta("Hi"), form.ToolBegun(0, "c", "f"), form.ToolDelta(0, "{}"), form.Ended()])
    assert joined(read(whole))["text"] == "Hi"
    assert joined(read(whole))["calls"] == [["c", "f", False, "{}"]]


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (
            {
                "type": "error",
                "code": "rate_limit_exceeded",
                "message": "Slow down.",
                "param": None,
                "sequence_number": 1,
            },
            form.Failed(message="Slow down.", code="rate_limit_exceeded", status=429),
        ),
        (
            {"type": "error", "error": {"type": "server_error", "code": None, "message": "Oh.", "param": "input"}},
            form.Failed(message="Oh.", type="server_error", param="input"),
        ),
        (
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "server_error", "message": "Oh."}},
            },
            form.Failed(message="Oh.", code="server_error", status=500),
        ),
        ({"type": "", "error": {"message": "Oh.", "code": 503}}, form.Failed(message="Oh.", status=503)),
        ({"type": "", "error": "Oh."}, form.Failed(message="Oh.")),
    ],
)
def test_a_failure_is_read_in_any_of_its_forms(event: dict[str, Any], failed: form.Failed) -> None:
    assert read(events_as_bytes(event, {"type": "response.output_text.delta", "delta": "x"})) == [form.Begun(), failed]


def test_a_response_that_was_cut_short_says_why() -> None:
    for reason, finish in (("max_output_tokens", "length"), ("content_filter", "content_filter")):
        response = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
        stream = events_as_bytes({"type": "response.incomplete", "response": response})
        assert form.Finished(finish) in read(stream)  # type: ignore[arg-type]  # both are words of Finish


def test_a_stream_that_breaks_off_has_no_end() -> None:
    whole = write([form.TextDelta("Hi"), form.Finished("stop"), form.Ended()])
    broken = whole[: whole.index(b"event: response.completed")]
    assert not any(isinstance(event, form.Ended | form.Finished) for event in read(broken))


def test_a_line_kept_open_is_told() -> None:
    assert read(events_as_bytes({"type": "keepalive"})) == [form.Begun(), form.Ping()]
