"""Whole chat answers: read from every server, written as every client reads them."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.translation.chat.usage import chat_usage
from apps.providers.translation.form import Answer, Choice, Citation, Image, Refusal, Text, Thinking, ToolCall
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage, openai_usage
from tests.translation.strategies import answers, json_values, words

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)
REQUEST = form.Request(model="asked-for", messages=[])


def read(message: dict[str, Any], finish: Any = "stop", **said: Any) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return SPOKEN.read_answer(json.dumps({"id": "chatcmpl-1", "model": "m-1", "choices": [choice]} | said).encode())


def parts(message: dict[str, Any]) -> list[form.Part]:
    return read(message).choices[0].parts


def written(*said: form.Part, finish: form.Finish = "stop", request: form.Request = REQUEST, **more: Any) -> Any:
    answer = Answer(choices=[Choice(parts=list(said), finish=finish)], **more)
    return orjson.loads(SPOKEN.write_answer(answer, request, SHOWN))


# --- Written ---


@settings(max_examples=300, deadline=None)
@given(answers(choices=3))
def test_every_answer_is_one_that_all_clients_read(answer: Answer) -> None:
    said = orjson.loads(SPOKEN.write_answer(answer, REQUEST, SHOWN))
    ChatCompletion.model_validate(said, strict=True)
    assert (said["id"], said["created"], said["model"]) == (f"chatcmpl-{SHOWN.id}", SHOWN.created, "asked-for")
    assert [choice["index"] for choice in said["choices"]] == list(range(len(answer.choices)))
    for choice, meant in zip(said["choices"], answer.choices, strict=True):
        message = choice["message"]
        assert {"role", "content", "refusal", "annotations"} <= set(message)
        assert (message["content"] or "") == "".join(part.text for part in meant.parts if isinstance(part, Text))
        calls = [part for part in meant.parts if isinstance(part, ToolCall)]
        assert len(message.get("tool_calls", [])) == len(calls)
        assert (choice["finish_reason"] == "tool_calls") == bool(calls)


@settings(max_examples=300, deadline=None)
@given(answers(choices=2))
def test_what_is_written_reads_back_as_it_was(answer: Answer) -> None:
    back = SPOKEN.read_answer(SPOKEN.write_answer(answer, REQUEST, SHOWN))
    for found, meant in zip(back.choices, answer.choices, strict=True):
        assert texts(found) == texts(meant)
        assert [call for call in found.parts if isinstance(call, ToolCall)] == [
            call for call in meant.parts if isinstance(call, ToolCall)
        ]
        signed = [
            part for part in meant.parts if isinstance(part, Thinking) and part.signature and part.origin != "openai"
        ]
        assert [
            part for part in found.parts if isinstance(part, Thinking) and part.signature and part.origin != "openai"
        ] == signed
        assert found.finish == {"stop_sequence": "stop", "pause": "stop"}.get(meant.finish, meant.finish)
    if answer.usage is not None:
        assert back.usage is not None
        assert chat_usage(back.usage) == chat_usage(answer.usage)


def texts(choice: Choice) -> tuple[str, str]:
    said = "".join(part.text for part in choice.parts if isinstance(part, Text))
    return said, "".join(part.text for part in choice.parts if isinstance(part, Refusal))


def test_a_plain_answer() -> None:
    assert written(Text("Hello"), usage=Usage(input=3, output=4)) == {
        "id": f"chatcmpl-{SHOWN.id}",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "asked-for",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_content_is_null_only_where_something_else_is_said() -> None:
    assert written()["choices"][0]["message"]["content"] == ""
    assert written(ToolCall(id="a", name="f"), finish="tool_calls")["choices"][0]["message"]["content"] is None
    assert written(Refusal("No."), finish="content_filter")["choices"][0]["message"]["content"] is None


@pytest.mark.parametrize(
    ("finish", "shown"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("pause", "stop"),
        ("", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
    ],
)
def test_finishes(finish: Any, shown: str) -> None:
    assert written(Text("a"), finish=finish)["choices"][0]["finish_reason"] == shown
    cut = "tool_calls" if finish in ("stop", "") else shown
    assert written(ToolCall(id="a", name="f"), finish=finish)["choices"][0]["finish_reason"] == cut


def test_citations_are_for_places_of_the_whole_text() -> None:
    message = written(
        Text("It is "),
        Text("sunny", citations=[Citation(url="https://a.example", title="A"), Citation(title="Book", quoted="q")]),
        Text(" now", citations=[Citation(url="https://b.example", start=1, end=4)]),
    )["choices"][0]["message"]
    assert [each["url_citation"] for each in message["annotations"]] == [
        {"start_index": 6, "end_index": 11, "url": "https://a.example", "title": "A"},
        {"start_index": 12, "end_index": 15, "url": "https://b.example", "title": ""},
    ]
    assert message["citations"] == [{"title": "Book", "quoted": "q"}]


def test_thoughts_and_what_proves_them() -> None:
    message = written(
        Thinking(text="One", signature="c2ln", origin="anthropic"),
        Thinking(signature="ZW5j", origin="anthropic", redacted=True),
        Thinking(text="Two"),
        ToolCall(id="a", name="f", signature="Zw==", origin="gemini"),
        finish="tool_calls",
    )["choices"][0]["message"]
    assert message["reasoning_content"] == "One\n\nTwo"
    assert message["reasoning_details"] == [
        {
            "index": 0,
            "type": "reasoning.text",
            "text": "One",
            "signature": "tollgate.anthropic.c2ln",
            "format": "anthropic-claude-v1",
        },
        {
            "index": 1,
            "type": "reasoning.encrypted",
            "data": "tollgate.anthropic.ZW5j",
            "format": "anthropic-claude-v1",
        },
    ]
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "tollgate.gemini.Zw=="}}


@settings(max_examples=200, deadline=None)
@given(answers())
def test_what_proves_thoughts_survives_the_way_over_a_client(answer: Answer) -> None:
    """A client sends back the message that it got: whatever had a signature has it again, with its text."""
    message = orjson.loads(SPOKEN.write_answer(answer, REQUEST, SHOWN))["choices"][0]["message"]
    back = SPOKEN.read_request(orjson.dumps({"model": "m", "messages": [message]}), "", None)
    found = [part for turn in back.messages for part in turn.parts]

    for kind in (Thinking, ToolCall):
        signed = [
            [part for part in said if isinstance(part, kind) and part.signature and part.origin != "openai"]
            for said in (found, answer.choices[0].parts)
        ]
        assert signed[0] == signed[1]
    assert back.left == []
    assert back.fatal == {}


def test_a_picture() -> None:
    message = written(Image(data="AAAA", media_type="image/png"))["choices"][0]["message"]
    assert message["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]


def test_a_client_of_functions_gets_the_older_form() -> None:
    request = form.Request(model="m", messages=[], echo={"functions": True})
    calls = ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g")
    choice = written(*calls, finish="tool_calls", request=request)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("tier", "shown"), [("priority", "priority"), ("default", "default"), ("standard", None), ("", None)]
)
def test_only_tiers_that_clients_know_are_shown(tier: str, shown: str | None) -> None:
    assert written(Text("a"), service_tier=tier).get("service_tier") == shown


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Usage,
        **{
            name: st.none() | st.integers(0, 5000)
            for name in (
                "input",
                "cache_read",
                "cache_write_5m",
                "cache_write_1h",
                "audio_input",
                "audio_output",
                "output",
            )
        },
    )
)
def test_usage_reads_back_with_the_same_totals(usage: Usage) -> None:
    said = chat_usage(usage)
    back = openai_usage(said)
    assert back is not None
    assert not back.mismatch
    assert chat_usage(back) == said


# --- Read ---

NAMES = words(
    "id model choices index message role content reasoning_content reasoning reasoning_details tool_calls function name "
    "arguments type custom input finish_reason stop_reason usage prompt_tokens completion_tokens error code x_groq "
    "logprobs refusal annotations url_citation url images image_url text signature data thinking citations service_tier "
    "extra_content google thought_signature object function_call"
)


@settings(max_examples=500, deadline=None)
@given(json_values(NAMES), json_values(NAMES))
def test_whatever_a_server_sends_is_an_answer_or_none(said: Any, message: Any) -> None:
    whole = {"choices": [{"message": message} | (said if isinstance(said, dict) else {})]}
    for body in (said, whole, whole | (said if isinstance(said, dict) else {})):
        try:
            answer = SPOKEN.read_answer(json.dumps(body).encode())
        except ValueError:
            continue
        assert answer.choices or answer.error
        SPOKEN.write_answer(answer, REQUEST, SHOWN)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b"{}", b'{"choices":[]}', b'{"choices":null}'])
def test_what_is_no_answer_is_none(body: bytes) -> None:
    with pytest.raises(ValueError):
        SPOKEN.read_answer(body)


def test_everything_that_an_answer_tells() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    message = {"role": "assistant", "content": "Hi", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "length"}
    said = {"id": "chatcmpl-1", "model": "m-1", "choices": [choice], "usage": usage, "service_tier": "flex"}
    assert SPOKEN.read_answer(b"\n\n  \n" + json.dumps(said).encode()) == Answer(
        choices=[Choice(parts=[Text("Hi")], finish="length", logprobs=logprobs)],
        id="chatcmpl-1",
        model="m-1",
        usage=Usage(input=3, output=4, tier="flex"),
        service_tier="flex",
    )


def test_several_answers() -> None:
    message = {"role": "assistant", "content": "Hi"}
    answer = read({}, choices=[{"index": place, "message": message, "finish_reason": "stop"} for place in range(3)])
    assert [choice.parts for choice in answer.choices] == [[Text("Hi")]] * 3


def test_calls() -> None:
    answer = read(
        {
            "content": "",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "function": {"name": "g", "arguments": {"y": 2}}},
                {"function": {"name": "h", "arguments": ""}},
                {"id": "d", "type": "custom", "custom": {"name": "i", "input": "text"}},
                {"id": "e", "function": {"name": ""}},
                {"id": "j", "function": {"name": "k"}, "extra_content": {"google": {"thought_signature": "Zw=="}}},
            ],
        }
    )
    invented = answer.choices[0].parts[2]
    assert isinstance(invented, ToolCall)
    assert invented.id.startswith("call_")
    assert answer.choices[0].parts == [
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments='{"y":2}'),
        ToolCall(id=invented.id, name="h"),
        ToolCall(id="d", name="i", arguments="text", custom=True),
        ToolCall(id="j", name="k", signature="Zw==", origin="openai"),
    ]
    assert answer.choices[0].finish == "tool_calls"


def test_a_function_call_of_the_older_form_is_a_call() -> None:
    (call,) = parts({"content": None, "function_call": {"name": "f", "arguments": "{}"}})
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("f", "{}")


@pytest.mark.parametrize(
    "message",
    [
        {"content": "So.", "reasoning_content": "Hm"},
        {"content": "So.", "reasoning": "Hm"},
        {"content": "So.", "reasoning": "Hm", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
                {"type": "text", "text": "So."},
                {"type": "reference", "reference_ids": [1]},
            ]
        },
    ],
)
def test_thoughts_are_read_under_every_name(message: dict[str, Any]) -> None:
    assert parts(message) == [Thinking(text="Hm"), Text("So.")]


def test_refusals_pictures_and_citations() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
    }
    assert parts(
        {
            "content": "Hi",
            "refusal": "No.",
            "annotations": [cited, {"type": "other"}],
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        }
    ) == [
        Text("Hi", citations=[Citation(url="https://a.example", title="A", start=0, end=2)]),
        Refusal("No."),
        Image(data="AAAA", media_type="image/png"),
    ]
    (text,) = read({"content": "Hi"}, citations=["https://b.example"]).choices[0].parts
    assert isinstance(text, Text)
    assert text.citations == [Citation(url="https://b.example")]


def test_the_sequence_that_stopped_it() -> None:
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "stop_reason": "END"}
    found = read({}, choices=[choice]).choices[0]
    assert (found.finish, found.stopped_by) == ("stop_sequence", "END")
    found = read({}, choices=[choice | {"stop_reason": 128009}]).choices[0]
    assert (found.finish, found.stopped_by) == ("stop", "")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"error": {"message": "Overloaded", "code": 502}}, "Overloaded"),
        ({"error": "Overloaded"}, "Overloaded"),
        ({"object": "error", "message": "Overloaded"}, "Overloaded"),
        (
            {
                "choices": [
                    {"message": {"content": "Hel"}, "finish_reason": "error", "error": {"message": "Overloaded"}}
                ]
            },
            "Overloaded",
        ),
        (
            {"choices": [{"message": {"content": "Hel"}, "finish_reason": "error"}]},
            "The provider could not complete its answer.",
        ),
    ],
)
def test_an_answer_that_is_a_failure_after_all(said: dict[str, Any], message: str) -> None:
    answer = SPOKEN.read_answer(json.dumps(said).encode())
    assert answer.error is not None
    assert answer.error.message == message


# --- Refusals ---


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"error":{"message":"No.","type":"invalid_request_error","param":"n","code":"bad"}}',
            form.Failed(message="No.", type="invalid_request_error", param="n", code="bad", status=400),
        ),
        (
            b'{"error":{"message":"No.","code":429}}',
            form.Failed(message="No.", type="invalid_request_error", code="429", status=400),
        ),
        (b'{"error":"No."}', form.Failed(message="No.", type="invalid_request_error", status=400)),
        (
            b'{"object":"error","message":"No.","type":"x","code":40001}',
            form.Failed(message="No.", type="x", code="40001", status=400),
        ),
        (
            b'{"detail":[{"loc":["body","messages",0],"msg":"Field required"}]}',
            form.Failed(
                message="messages.0: Field required", type="invalid_request_error", param="messages.0", status=400
            ),
        ),
        (b"<html>Bad</html>", form.Failed(message="<html>Bad</html>", type="invalid_request_error", status=400)),
        (
            b"",
            form.Failed(
                message="The provider answered with status 400 and said no more.",
                type="invalid_request_error",
                status=400,
            ),
        ),
    ],
)
def test_refusals_are_read_in_every_form(body: bytes, expected: form.Failed) -> None:
    assert SPOKEN.read_error(400, body) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.integers(300, 599),
    st.binary(max_size=100)
    | json_values(words("error message type code param detail msg loc")).map(lambda said: json.dumps(said).encode()),
)
def test_whatever_is_refused_has_a_message(status: int, body: bytes) -> None:
    failed = SPOKEN.read_error(status, body)
    assert 0 < len(failed.message) <= 2000
    assert failed.status == status
