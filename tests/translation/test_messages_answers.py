"""Whole answers of Messages and its refusals: read, and written as the strictest client reads them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.translation.form import (
    Answer,
    Choice,
    Citation,
    Failed,
    Image,
    Message,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.messages import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.support import messages
from tests.translation import strategies
from tests.translation.legal_messages import check_answer

type Json = dict[str, Any]

REQUEST = Request(model="claude-test", messages=[Message("user", [Text("Hello")])])
SHOWN = Shown(id="0" * 31 + "1", model="shown-model", created=1_767_225_600, input_tokens=12)


def read(body: Json) -> Answer:
    return SPOKEN.read_answer(json.dumps(body).encode())


def write(*parts: Part, finish: Any = "stop", stopped_by: str = "", usage: Usage | None = None) -> Json:
    choice = Choice(parts=list(parts), finish=finish, stopped_by=stopped_by)
    return check_answer(SPOKEN.write_answer(Answer(choices=[choice], usage=usage), REQUEST, SHOWN))


# --- Reading ---


def test_an_answer_is_read() -> None:
    answer = read(messages.message())
    assert answer == Answer(
        choices=[Choice(parts=[Text("Hello")], finish="stop")],
        id="msg_fake",
        model="claude-test",
        usage=Usage(input=9, cache_read=0, cache_write_5m=0, output=2),
        service_tier="standard",
    )


def test_every_block_that_says_something_is_read() -> None:
    location = {"type": "char_location", "document_title": "D", "cited_text": "q", "document_index": 0}
    answer = read(
        messages.message(
            {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "hidden"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {"type": "text", "text": "So.", "citations": [location]},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Madrid"}},
            {"type": "tool_use", "name": "time", "input": {}},
            {"type": "block_of_tomorrow"},
            stop="tool_use",
        )
    )
    assert answer.choices[0].parts == [
        Thinking(text="Hm.", signature="sig", origin="anthropic"),
        Thinking(signature="hidden", origin="anthropic", redacted=True),
        Text("So.", citations=[Citation(title="D", start=0, end=3, quoted="q")]),
        ToolCall(id="toolu_1", name="weather", arguments='{"city":"Madrid"}'),
        ToolCall(id="call_3JNqlnLOQ3kGxyY3rHXDfaAk", name="time", arguments="{}"),
    ]
    assert answer.choices[0].finish == "tool_calls"


def test_a_stop_sequence_and_a_refusal_are_told() -> None:
    stopped = read(messages.message(stop="stop_sequence") | {"stop_sequence": "END"}).choices[0]
    assert (stopped.finish, stopped.stopped_by) == ("stop_sequence", "END")
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    refused = read(messages.message(stop="refusal") | {"stop_details": details}).choices[0]
    assert (refused.finish, refused.parts) == ("content_filter", [Text("Hello"), Refusal("No.")])


def test_an_error_in_an_answers_place_is_a_failure() -> None:
    answer = read(messages.error("overloaded_error", "Overloaded"))
    assert (answer.choices, answer.error) == ([], Failed(message="Overloaded", type="overloaded_error", status=529))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"content":7}', b"<html>", b'{"content":[{"type":"tool_use","input":%s}]}']
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    with pytest.raises(ValueError):  # any of them: that is what is promised
        SPOKEN.read_answer(body.replace(b"%s", deep))


ANYTHING = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=3)
    | st.sampled_from(["text", "tool_use", "thinking", "message", "end_turn"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "type",
                        "text",
                        "content",
                        "usage",
                        "id",
                        "name",
                        "input",
                        "stop_reason",
                        "stop_details",
                        "error",
                    ),
                    *("explanation", "citations", "signature", "message", "input_tokens"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
)


@given(ANYTHING)
def test_any_json_is_an_answer_or_none(body: Any) -> None:
    try:
        answer = SPOKEN.read_answer(json.dumps(body).encode())
    except ValueError:
        return
    check_answer(SPOKEN.write_answer(answer, REQUEST, SHOWN))


# --- Writing ---


def test_an_answer_is_written() -> None:
    usage = Usage(
        input=9, cache_read=4, cache_write_5m=2, cache_write_1h=1, output=20, reasoning=5, searches=2, tier="priority"
    )
    assert write(Text("Hello"), usage=usage) == {
        "id": f"msg_{SHOWN.id}",
        "type": "message",
        "role": "assistant",
        "model": "shown-model",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 5},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            "service_tier": "priority",
        },
    }


@given(strategies.answers(choices=2))
def test_whatever_is_answered_is_written_legally_and_reads_as_what_it_was(answer: Answer) -> None:
    message = check_answer(SPOKEN.write_answer(answer, REQUEST, SHOWN))
    back = SPOKEN.read_answer(json.dumps(message).encode())
    calls = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    assert [(part.id, json.loads(part.arguments)) for part in back.choices[0].parts if isinstance(part, ToolCall)] == [
        (part.id, json.loads(part.arguments)) for part in calls
    ]
    assert back.choices[0].finish == answer.choices[0].finish
    turn = {"role": "assistant", "content": message["content"]}
    if turn["content"]:
        SPOKEN.read_request(json.dumps({"model": "m", "messages": [turn]}).encode(), "", None)


def test_usage_that_nobody_told_is_estimated() -> None:
    usage = write(Text("Hello"))["usage"]
    assert usage["input_tokens"] == 12
    assert usage["output_tokens"] > 0
    assert write(Text("x"), usage=Usage(audio_input=3, image_output=4))["usage"]["input_tokens"] == 3


def test_every_part_is_written() -> None:
    content = write(
        Thinking(text="Hm.", signature="sig", origin="anthropic"),
        Thinking(text="Hm?", signature="enc", origin="openai_responses"),
        Thinking(signature="enc", origin="openai_responses", redacted=True),
        Thinking(text="unsigned"),
        Thinking(),
        Text("So.", citations=[Citation(url="https://a.example", title="A", quoted="q"), Citation(title="no address")]),
        Text(""),
        Refusal("No."),
        Image(data="AAAA", media_type="image/png"),
        ToolCall(id="call_1", name="weather", arguments='{"city": "Madrid"}', signature="c2ln", origin="gemini"),
        ToolCall(id="", name="time", arguments=""),
        ToolCall(id="call_3", name="broken", arguments="{"),
        finish="tool_calls",
    )["content"]
    citation = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "q",
        "encrypted_index": "",
    }
    assert content == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "thinking", "thinking": "Hm?", "signature": "tollgate.openai_responses.enc"},
        {"type": "redacted_thinking", "data": "tollgate.openai_responses.enc"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "text", "text": "So.", "citations": [citation]},
        {"type": "text", "text": "No."},
        {"type": "text", "text": "![image](data:image/png;base64,AAAA)"},
        {"type": "thinking", "thinking": "", "signature": "tollgate.gemini.c2ln"},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Madrid"}},
        {"type": "tool_use", "id": f"toolu_{SHOWN.id}_1", "name": "time", "input": {}},
        {"type": "tool_use", "id": "call_3", "name": "broken", "input": {"input": "{"}},
    ]


def test_what_is_given_back_is_what_it_was() -> None:
    parts: list[Part] = [
        Thinking(text="Hm.", signature="enc", origin="openai_responses"),
        Text("So."),
        ToolCall(id="call_1", name="weather", arguments='{"city":"Madrid"}', signature="c2ln", origin="gemini"),
        ToolCall(id="call_2", name="time", arguments="{}"),
    ]
    back = {"role": "assistant", "content": write(*parts)["content"]}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}, back]}).encode()
    assert SPOKEN.read_request(body, "", None).messages[1].parts == parts


@pytest.mark.parametrize(
    ("finish", "stopped_by", "has_call", "stop"),
    [
        ("stop", "", False, "end_turn"),
        ("", "", False, "end_turn"),
        ("stop", "", True, "tool_use"),
        ("", "", True, "tool_use"),
        ("tool_calls", "", True, "tool_use"),
        ("stop_sequence", "END", False, "stop_sequence"),
        ("stop_sequence", "", False, "stop_sequence"),
        ("stop", "END", False, "stop_sequence"),
        ("length", "", True, "max_tokens"),
        ("content_filter", "", False, "refusal"),
        ("pause", "", False, "pause_turn"),
        ("error", "", False, "end_turn"),
    ],
)
def test_why_it_ended(finish: str, stopped_by: str, has_call: bool, stop: str) -> None:
    parts: list[Part] = [ToolCall(id="a", name="b")] if has_call else [Text("x")]
    message = write(*parts, finish=finish, stopped_by=stopped_by)
    assert (message["stop_reason"], message["stop_sequence"]) == (stop, stopped_by or None)
    assert (message["stop_details"] is not None) == (stop == "refusal")


# --- Refusals ---


@pytest.mark.parametrize(
    ("status", "body", "failed"),
    [
        (
            429,
            json.dumps(messages.error("rate_limit_error", "Slow down")).encode(),
            Failed(message="Slow down", type="rate_limit_error", status=429),
        ),
        (
            400,
            b'{"type":"error","error":{"type":"invalid_request_error","message":"No","details":{"error_code":"x","param":"p"}}}',
            Failed(message="No", type="invalid_request_error", code="x", param="p", status=400),
        ),
        (
            401,
            b'{"error":{"message":"Bad key","type":"auth","param":null,"code":401}}',
            Failed(message="Bad key", type="auth", code="401", status=401),
        ),
        (404, b'{"error":"no such model"}', Failed(message="no such model", status=404)),
        (422, b'{"detail":"wrong"}', Failed(message="wrong", status=422)),
        (500, b'{"message":"flat","code":"c"}', Failed(message="flat", code="c", status=500)),
        (500, b'[{"error":{"message":"listed"}}]', Failed(message="listed", status=500)),
        (500, b'"just text"', Failed(message="just text", status=500)),
        (
            502,
            b"<html><head><style>a{}</style></head><body><h1>Bad\n gateway</h1></body></html>",
            Failed(message="Bad gateway", status=502),
        ),
        (503, b"", Failed(message="", status=503)),
        (500, b"[]", Failed(message="", status=500)),
        (500, b"\xff\xfe", Failed(message="\ufffd\ufffd", status=500)),
    ],
)
def test_refusals_are_read_in_whatever_form(status: int, body: bytes, failed: Failed) -> None:
    assert SPOKEN.read_error(status, body) == failed


@given(st.integers(0, 599), st.binary(max_size=50) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_refusal_is_read(status: int, body: bytes) -> None:
    failed = SPOKEN.read_error(status, body)
    assert failed.status == status or status == 0
    assert len(SPOKEN.read_error(status, body * 2000).message) <= 2000
