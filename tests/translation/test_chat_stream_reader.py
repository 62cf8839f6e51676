"""A provider's chat stream says the same however it arrives, and whatever its server makes of the form."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.usage import Usage
from tests.translation.gathered import Gathered, Said, gathered
from tests.translation.strategies import cuts, json_values, words

REQUEST = form.Request(model="m", messages=[], stream=True)
DONE = b"data: [DONE]\n\n"
WORDS = words(
    "id model choices index delta content role reasoning_content reasoning reasoning_details tool_calls "
    "function name arguments type custom input finish_reason stop_reason usage prompt_tokens completion_tokens "
    "error message code x_groq logprobs refusal annotations url_citation url images image_url text signature "
    "data thinking citations service_tier extra_content google thought_signature object function_call summary "
    "stop reasoning.text"
)


def chunk(delta: dict[str, Any] | None = None, finish: Any = None, index: int = 0, **extra: Any) -> bytes:
    choice: dict[str, Any] = {"index": index, "delta": delta or {}, "finish_reason": finish}
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice]}
    return b"data: " + json.dumps(said | extra).encode() + b"\n\n"


def read(*data: bytes) -> list[form.Event]:
    reader = SPOKEN.stream_reader(REQUEST)
    events = [event for piece in data for event in reader.feed(piece)]
    return events + reader.finish()


def heard(*data: bytes) -> Gathered:
    return gathered(read(*data))


def call(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None, **more: Any
) -> Any:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    said = {"index": index, "id": call_id, "function": function} | more
    return {key: value for key, value in said.items() if value is not None}


EVERYTHING = b"".join(
    [
        b": OPENROUTER PROCESSING\n\n",
        b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n',
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Well\u2026 \U0001f600"}),
        chunk({"content": "Hel"}),
        b": keep-alive\r\n\r\n",
        chunk({"content": "lo"}).replace(b"\n\n", b"\r\n\r\n"),
        chunk({"tool_calls": [call(0, "call_1", "weather", "")]}),
        chunk({"tool_calls": [call(0, None, None, '{"a":')]}),
        chunk({"tool_calls": [call(1, "call_2", "time", ""), call(0, None, None, "1}")]}).replace(b"\n", b"\r"),
        chunk({"tool_calls": [call(1, None, None, "{}")]}),
        chunk({}, "tool_calls"),
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}\n\n',
        DONE,
    ]
)


def test_everything_that_a_stream_may_hold_is_heard() -> None:
    found = heard(EVERYTHING)
    said = found.choices[0]
    assert (said.text, said.thinking) == ("Hello", "Well\u2026 \U0001f600")
    assert said.called() == [("call_1", "weather", {"a": 1}), ("call_2", "time", {})]
    assert said.finish == "tool_calls"
    assert found.usage == Usage(input=3, output=4)
    assert found.ended


@settings(max_examples=300, deadline=None)
@given(cuts(EVERYTHING))
def test_wherever_the_bytes_are_cut_the_events_are_the_same(pieces: list[bytes]) -> None:
    assert read(*pieces) == read(EVERYTHING)


def test_each_byte_alone_says_the_same() -> None:
    assert read(*[EVERYTHING[place : place + 1] for place in range(len(EVERYTHING))]) == read(EVERYTHING)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(EVERYTHING) - len(DONE) - 1))
def test_a_stream_that_breaks_off_does_not_end(place: int) -> None:
    assert place > EVERYTHING.index(b'"finish_reason": "tool_calls"') or not heard(EVERYTHING[:place]).ended


@settings(max_examples=400, deadline=None)
@given(st.lists(st.dictionaries(WORDS, json_values(WORDS), max_size=6), max_size=4), json_values(WORDS))
def test_whatever_a_server_sends_gives_events_in_order(said: list[dict[str, Any]], delta: Any) -> None:
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in said)
    data += b"".join(
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": each}]}).encode() + b"\n\n" for each in [delta, *said]
    )
    gathered(read(data, DONE))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300).filter(lambda data: b"[DONE]" not in data))
def test_bytes_that_are_no_stream_say_nothing(data: bytes) -> None:
    assert not heard(data).ended


# --- What servers make of the form ---


def test_without_its_last_event_a_finished_stream_is_whole() -> None:
    found = heard(chunk({"content": "Hi"}), chunk({}, "stop"))
    assert found.ended
    assert found.choices[0].finish == "stop"


def test_without_its_last_event_and_a_finish_it_has_broken_off() -> None:
    assert not heard(chunk({"content": "Hi"})).ended
    assert not heard(chunk({"content": "Hi"}, "stop"), chunk({"content": "Ho"}, index=1)).ended


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert heard(chunk({"content": "Hi"}), b"data: [DONE]").ended


def test_roles_names_and_ids_that_are_repeated_are_told_once() -> None:
    piece = {"role": "assistant", "content": None, "tool_calls": [call(0, "call_1", "add", "1")]}
    events = read(*[chunk(piece)] * 3, chunk({}, "tool_calls"), DONE)
    assert [event for event in events if isinstance(event, form.ToolBegun)] == [form.ToolBegun(0, "call_1", "add")]
    assert gathered(events).choices[0].calls[0][2] == "111"


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    found = heard(
        chunk({"tool_calls": [call(None, "a", "f", '{"x":')]}),
        chunk({"tool_calls": [call(None, None, None, "1}")]}),
        chunk({"tool_calls": [call(None, "b", "g", "{}"), call(None, "c", "h", "{}")]}),
        chunk({"tool_calls": [call(None, "b", None, " ")]}),
        DONE,
    )
    assert found.choices[0].called() == [("a", "f", {"x": 1}), ("b", "g", {}), ("c", "h", {})]


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    found = heard(
        chunk({"tool_calls": [call(0, "a", "f", "{}")]}), chunk({"tool_calls": [call(0, "b", "g", "{}")]}), DONE
    )
    assert found.choices[0].called() == [("a", "f", {}), ("b", "g", {})]


def test_a_call_without_an_id_is_given_one_that_no_other_answer_has() -> None:
    piece = chunk({"tool_calls": [call(0, None, "f", "{}"), call(1, None, "g", "{}")]})
    first, second = (found[0] for found in heard(piece, DONE).choices[0].calls.values())
    assert first != second
    assert first.startswith("call_")
    other = heard(piece.replace(b"chatcmpl-1", b"chatcmpl-2"), DONE).choices[0].calls[0][0]
    assert other not in (first, second)


def test_arguments_that_come_before_the_name_wait_for_it() -> None:
    found = heard(
        chunk({"tool_calls": [call(0, "a", None, '{"x"')]}), chunk({"tool_calls": [call(0, None, "f", ":1}")]}), DONE
    )
    assert found.choices[0].called() == [("a", "f", {"x": 1})]


def test_arguments_that_are_an_object_become_text() -> None:
    found = heard(chunk({"tool_calls": [call(0, "a", "f", {"x": [1]})]}), DONE)
    assert found.choices[0].called() == [("a", "f", {"x": [1]})]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("something new", "stop"),
        (7, "stop"),
        ("", "stop"),
    ],
)
def test_finishes_have_one_name_each(reason: Any, finish: str) -> None:
    found = heard(chunk({"content": "Hi"}), chunk({}, reason), DONE)
    assert found.choices[0].finish == finish


def test_a_stop_after_a_call_is_a_call() -> None:
    assert (
        heard(chunk({"tool_calls": [call(0, "a", "f", "{}")]}), chunk({}, "stop"), DONE).choices[0].finish
        == "tool_calls"
    )


def test_text_after_the_finish_is_still_text() -> None:
    assert heard(chunk({"content": "a"}, "stop"), chunk({"content": "b"}, "stop"), DONE).choices[0].text == "ab"


def test_the_sequence_that_stopped_it_is_told() -> None:
    events = read(
        chunk({"content": "a"}),
        chunk({}).replace(b'"finish_reason": null', b'"finish_reason": "stop", "stop_reason": "END"'),
        DONE,
    )
    assert form.Finished("stop_sequence", 0, "END") in events


@pytest.mark.parametrize(
    "last",
    [
        chunk({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
        chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}),
    ],
)
def test_usage_counts_wherever_it_stands_and_the_last_one_does(last: bytes) -> None:
    first = chunk({"content": "Hi"}, usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4})
    events = read(first, first, last, DONE)
    assert [event.usage for event in events if isinstance(event, form.Used)] == [Usage(input=3, output=4)]


def test_the_tier_that_served_it_is_told() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    events = read(chunk({"content": "a"}, "stop", service_tier="priority", usage=usage), DONE)
    assert events[-2] == form.Used(Usage(input=3, output=4, tier="priority"), "priority")


def test_thoughts_are_heard_under_every_name() -> None:
    def thought(delta: dict[str, Any]) -> Said:
        return heard(chunk(delta), DONE).choices[0]

    assert thought({"reasoning_content": "hm"}).thinking == "hm"
    assert thought({"reasoning": "hm"}).thinking == "hm"
    assert thought({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}).thinking == "hm"
    assert thought({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}).thinking == "hm"
    assert thought({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}).thinking == "hm"


def test_thoughts_that_are_said_twice_are_heard_once() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "index": 0}
    signed = {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
    said = heard(
        chunk({"reasoning": "hm", "reasoning_details": [detail]}), chunk({"reasoning_details": [signed]}), DONE
    ).choices[0]
    assert said.thinking == "hm"
    assert [json.loads(signature) for signature in said.signatures] == [
        {"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1"}
    ]


def test_what_proves_a_call_is_kept_with_it() -> None:
    piece = call(0, "a", "f", "{}", extra_content={"google": {"thought_signature": "c2ln"}})
    begun = next(event for event in read(chunk({"tool_calls": [piece]}), DONE) if isinstance(event, form.ToolBegun))
    assert (begun.signature, begun.origin) == ("c2ln", "openai")


def test_pieces_of_content_that_are_lists_are_heard() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Hi"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "image_url", "image_url": {"url": "https://p.example/1.png"}},
    ]
    said = heard(chunk({"content": content}), DONE).choices[0]
    assert (said.thinking, said.text) == ("hm", "Hi")
    assert said.images == [form.Image(url="https://p.example/1.png")]


def test_pictures_refusals_and_citations_are_heard() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
    }
    said = heard(
        chunk({"refusal": "No."}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}),
        chunk({"annotations": [cited]}),
        DONE,
    ).choices[0]
    assert said.refusal == "No."
    assert said.images == [form.Image(data="AAAA", media_type="image/png")]
    assert said.citations == [form.Citation(url="https://a.example", title="A", start=0, end=2)]


def test_urls_that_the_whole_answer_rests_on_are_its_citations() -> None:
    said = heard(chunk({"content": "Hi"}), chunk({}, "stop", citations=["https://a.example", 5]), DONE).choices[0]
    assert said.citations == [form.Citation(url="https://a.example")]


def test_logprobs_come_with_their_text() -> None:
    token = {"token": "Hi", "bytes": None, "logprob": -0.1, "top_logprobs": []}
    data = chunk({"content": "Hi"}).replace(
        b'"delta"', b'"logprobs": {"content": [%s]}, "delta"' % json.dumps(token).encode()
    )
    assert form.TextDelta("Hi", 0, [token]) in read(data, DONE)


def test_a_function_call_of_the_older_form_is_a_call() -> None:
    found = heard(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        DONE,
    )
    assert [(name, arguments) for _, name, arguments in found.choices[0].called()] == [("f", {})]
    assert found.choices[0].finish == "tool_calls"


def test_answers_of_one_stream_are_told_apart() -> None:
    found = heard(
        chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"), chunk({}, "length", 1), DONE
    )
    assert (found.choices[0].text, found.choices[1].text) == ("a", "b")
    assert (found.choices[0].finish, found.choices[1].finish) == ("stop", "length")


def test_an_answer_without_any_choice_is_empty() -> None:
    found = heard(DONE)
    assert found.ended
    assert found.choices[0] == Said(finish="stop")


def test_a_silent_provider_is_still_there() -> None:
    assert read(b": processing\n\n") == [form.Ping()]


def test_what_is_no_json_is_passed_over() -> None:
    assert (
        heard(b"data: {broken\n\n", b"data: 5\n\n", b"event: ping\ndata:\n\n", chunk({"content": "a"}), DONE)
        .choices[0]
        .text
        == "a"
    )


@pytest.mark.parametrize(
    ("said", "message", "code", "status"),
    [
        ({"error": {"message": "Overloaded", "type": "server_error", "code": 503}}, "Overloaded", "503", 503),
        ({"error": {"message": "Overloaded", "code": "busy"}, "choices": []}, "Overloaded", "busy", 0),
        ({"error": "Overloaded"}, "Overloaded", "", 0),
        ({"object": "error", "message": "Overloaded", "code": 40001}, "Overloaded", "40001", 0),
        (
            {
                "error": {"message": "Overloaded", "code": 502},
                "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}],
            },
            "Overloaded",
            "502",
            502,
        ),
        (
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "Overloaded"}}]},
            "Overloaded",
            "",
            0,
        ),
        (
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
            "The provider could not complete its answer.",
            "",
            0,
        ),
    ],
)
def test_a_failure_in_the_midst_is_one(said: dict[str, Any], message: str, code: str, status: int) -> None:
    events = read(
        chunk({"content": "Hel"}), b"data: " + json.dumps(said).encode() + b"\n\n", chunk({"content": "lo"}), DONE
    )
    failed = events[-1]
    assert isinstance(failed, form.Failed)
    assert (failed.message, failed.code, failed.status) == (message, code, status)
    assert gathered(events).choices[0].text == "Hel"


def test_an_event_that_is_too_large_is_refused() -> None:
    reader = SPOKEN.stream_reader(REQUEST)
    with pytest.raises(ValueError, match="too large"):
        for _ in range(40):
            reader.feed(b"data: " + b"x" * 1024 * 1024)
