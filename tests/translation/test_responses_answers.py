"""Whole answers and refusals of Responses, in both directions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.form import Answer, Choice, Request
from apps.providers.translation.responses import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.translation import strategies
from tests.translation.legal_responses import check_response

SHOWN = Shown(id="0" * 31 + "1", model="asked", created=1_767_225_600, input_tokens=11)
REQUEST = Request(model="asked", messages=[])


def write(answer: Answer, request: Request = REQUEST) -> dict[str, Any]:
    return check_response(json.loads(SPOKEN.write_answer(answer, request, SHOWN)))


def read(**body: Any) -> Answer:
    return SPOKEN.read_answer(json.dumps({"status": "completed", "output": []} | body).encode())


# --- To clients ---


@given(strategies.answers())
def test_every_answer_becomes_a_legal_response(answer: Answer) -> None:
    write(answer)


@given(strategies.answers())
def test_what_is_written_is_read_again(answer: Answer) -> None:
    again = SPOKEN.read_answer(SPOKEN.write_answer(answer, REQUEST, SHOWN))
    before, after = answer.choices[0], again.choices[0]

    def kept(choice: Choice, kind: Any, *names: str) -> list[list[Any]]:
        return [[getattr(part, name) for name in names] for part in choice.parts if isinstance(part, kind)]

    assert kept(after, form.ToolCall, "id", "name", "arguments") == kept(
        before, form.ToolCall, "id", "name", "arguments"
    )
    assert kept(after, form.Text | form.Refusal, "text") == kept(before, form.Text | form.Refusal, "text")
    assert kept(after, form.Image, "data") == kept(before, form.Image, "data")
    thoughts = [text for (text,) in kept(before, form.Thinking, "text") if text]
    assert [text for (text,) in kept(after, form.Thinking, "text") if text] == thoughts
    cut = before.finish in ("length", "content_filter")
    assert after.finish == (before.finish if cut else "tool_calls" if kept(before, form.ToolCall, "id") else "stop")
    if answer.usage is not None:
        assert again.usage is not None
        assert again.usage.output == answer.usage.output


@given(strategies.answers())
def test_a_client_that_sends_the_output_back_gives_back_all_signatures(answer: Answer) -> None:
    output = write(answer)["output"]
    body = {"model": "m", "input": [{"role": "user", "content": "x"}, *output]}
    request = SPOKEN.read_request(json.dumps(body).encode(), "", None)
    assert request.fatal == {}
    returned = [part for message in request.messages for part in message.parts]
    for kind in (form.Thinking, form.ToolCall):
        given_out = [part for part in answer.choices[0].parts if isinstance(part, kind) and part.signature]
        back = [part for part in returned if isinstance(part, kind) and part.signature]
        own = "openai_responses"  # proves thoughts only
        assert [(part.signature, part.origin) for part in back] == [
            (part.signature, part.origin) for part in given_out if kind is form.Thinking or part.origin != own
        ]
    hidden = [part.redacted for part in answer.choices[0].parts if isinstance(part, form.Thinking) and part.signature]
    assert [p.redacted for p in returned if isinstance(p, form.Thinking) and p.signature] == hidden


def test_a_response_repeats_what_was_asked() -> None:
    tool = {"type": "function", "name": "f"}
    asked = {
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "temperature": 0.5,
        "tools": [tool],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "metadata": {"a": "b", "c": 7},
        "prompt_cache_key": "key",
        "safety_identifier": "who",
        "parallel_tool_calls": False,
        "store": True,
    }
    request = SPOKEN.read_request(json.dumps({"model": "m", "input": "x"} | asked).encode(), "", None)
    response = write(Answer(choices=[Choice(parts=[form.Text("Hi")])]), request)
    shown = {
        "tools": [{**tool, "description": None, "parameters": None, "strict": None}],
        "metadata": {"a": "b"},
        "store": False,
        "previous_response_id": None,
    }
    assert {name: response[name] for name in asked | shown} == asked | shown
    assert (response["id"], response["model"]) == (f"resp_{SHOWN.id}", "asked")


def test_the_tier_is_openai_s_word_or_none() -> None:
    choices = [Choice(parts=[form.Text("Hi")])]
    assert write(Answer(choices=choices, service_tier="priority"))["service_tier"] == "priority"
    assert write(Answer(choices=choices, service_tier="batch"))["service_tier"] == "default"
    assert write(Answer(choices=choices, usage=Usage(output=1, tier="flex")))["service_tier"] == "flex"


def test_an_answer_that_the_model_could_not_finish_has_failed() -> None:
    response = write(Answer(choices=[Choice(finish="error")]))
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")


def test_calls_have_ids_of_their_own() -> None:
    calls: list[form.Part] = [form.ToolCall(id=each, name="f") for each in ("a", "", "a", "")]
    ids = [item["call_id"] for item in write(Answer(choices=[Choice(parts=calls)]))["output"]]
    assert ids[0] == "a"
    assert len(set(ids)) == 4


def test_what_was_cited_is_annotated() -> None:
    cited = form.Citation(url="https://a.example", title="A")
    part = form.Text("Hello", citations=[cited, form.Citation(quoted="no address")])
    content = write(Answer(choices=[Choice(parts=[part])]))["output"][0]["content"][0]
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}
    assert content["annotations"] == [note]


# --- From providers ---


def test_all_items_are_read() -> None:
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    answer = read(
        id="resp_1",
        model="gpt",
        service_tier="flex",
        output=[
            {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "proof"},
            {"type": "reasoning", "summary": [], "encrypted_content": "hidden"},
            {"type": "reasoning", "summary": []},
            {"type": "web_search_call", "id": "ws_1"},
            {
                "type": "message",
                "content": [{"type": "output_text", "text": "Hi", "annotations": [note], "logprobs": [token]}],
            },
            {"type": "message", "content": [{"type": "refusal", "refusal": "no"}, {"type": "unheard_of"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call", "name": "g", "arguments": ""},
            {"type": "custom_tool_call", "call_id": "c3", "name": "h", "input": "free"},
            {"type": "image_generation_call", "result": "AAAA", "output_format": "webp"},
            7,
        ],
        usage={
            "input_tokens": 9,
            "output_tokens": 4,
            "total_tokens": 13,
            "output_tokens_details": {"reasoning_tokens": 2},
        },
    )
    own = "openai_responses"
    assert answer.choices[0].parts == [
        form.Thinking(text="a\n\nb", signature="proof", origin=own),
        form.Thinking(signature="hidden", origin=own, redacted=True),
        form.Text("Hi", citations=[form.Citation(url="https://a.example", title="A", start=0, end=2)]),
        form.Refusal("no"),
        form.ToolCall(id="c1", name="f", arguments='{"a":1}'),
        form.ToolCall(id="call_lCYf6v5KS0aA73aP9NYKZkEB", name="g", arguments="{}"),
        form.ToolCall(id="c3", name="h", arguments="free", custom=True),
        form.Image(data="AAAA", media_type="image/webp"),
    ]
    assert answer.choices[0].finish == "tool_calls"
    assert answer.choices[0].logprobs == {"content": [token], "refusal": None}
    assert (answer.id, answer.model, answer.service_tier) == ("resp_1", "gpt", "flex")
    assert answer.usage == Usage(input=9, output=4, reasoning=2, tier="flex", searches=1)


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        ({}, "stop"),
        ({"output": [{"type": "function_call"}]}, "tool_calls"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete"}, "length"),
    ],
)
def test_why_it_is_over_is_read(body: dict[str, Any], finish: str) -> None:
    assert read(**body).choices[0].finish == finish


def test_a_failed_response_is_an_error() -> None:
    answer = read(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."}, output=[])
    assert answer.error == form.Failed(message="Slow down.", code="rate_limit_exceeded", status=429)
    assert read(status="cancelled").error is not None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"status":"in_progress","output":[]}', b'{"output":{}}']
)
def test_what_is_no_response_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        SPOKEN.read_answer(body)


WORDS = st.sampled_from(
    [
        *("output", "usage", "error", "status", "type", "content", "text", "summary", "message", "reasoning"),
        *("function_call", "output_text", "annotations", "logprobs", "arguments", "call_id", "name"),
        *("result", "code", "detail", "title"),
    ]
)
VALUES = strategies.json_values(WORDS)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "image_generation_call"])}
    | dict.fromkeys(
        ("content", "summary", "arguments", "input", "call_id", "name", "result", "encrypted_content"), VALUES
    )
)


@given(VALUES | st.fixed_dictionaries({"output": st.lists(ITEMS, max_size=3), "usage": VALUES, "model": VALUES}))
def test_no_provider_s_mistake_is_an_error_of_ours(body: Any) -> None:
    try:
        answer = SPOKEN.read_answer(json.dumps(body).encode())
    except ValueError:
        return
    write(answer)


# --- Refusals ---


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (
            {"error": {"message": "No.", "type": "invalid_request_error", "code": "bad", "param": "input"}},
            form.Failed(message="No.", type="invalid_request_error", code="bad", param="input", status=400),
        ),
        ({"error": "No."}, form.Failed(message="No.", status=400)),
        ({"message": "No.", "type": "Bad", "code": 400}, form.Failed(message="No.", type="Bad", status=400)),
        ({"detail": "No."}, form.Failed(message="No.", status=400)),
        ({"detail": [{"msg": "No."}]}, form.Failed(message='{"detail": [{"msg": "No."}]}', status=400)),
        ([{"error": {"message": "No."}}], form.Failed(message="No.", status=400)),
        ([], form.Failed(message="", status=400)),
        ({}, form.Failed(message="", status=400)),
        ({"error": {}}, form.Failed(message="", status=400)),
        ("No.", form.Failed(message="No.", status=400)),
        (7, form.Failed(message="", status=400)),
    ],
)
def test_a_refusal_is_read_whatever_its_form(body: Any, failed: form.Failed) -> None:
    assert SPOKEN.read_error(400, json.dumps(body).encode()) == failed


def test_what_is_no_json_says_what_it_says() -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    assert SPOKEN.read_error(502, page) == form.Failed(message="502 Bad Gateway", status=502)
    assert SPOKEN.read_error(503, b"no healthy upstream\n") == form.Failed(message="no healthy upstream", status=503)
    assert SPOKEN.read_error(500, b"") == form.Failed(message="", status=500)
    assert len(SPOKEN.read_error(500, b"\xff" * 9000).message) == 2000


@given(st.integers(400, 599), VALUES)
def test_any_json_is_a_refusal(status: int, body: Any) -> None:
    failed = SPOKEN.read_error(status, json.dumps(body).encode())
    assert failed.status == status
    assert len(failed.message) <= 2000


def test_calls_without_ids_are_told_apart_in_every_answer_of_a_conversation() -> None:
    ids = []
    for answer in ("resp_1", "resp_2"):
        calls = [{"type": "function_call", "name": name} for name in ("weather", "time")]
        body = {"id": answer, "status": "completed", "output": calls}
        found = SPOKEN.read_answer(json.dumps(body).encode()).choices[0].parts
        assert found == SPOKEN.read_answer(json.dumps(body).encode()).choices[0].parts
        ids += [part.id for part in found if isinstance(part, form.ToolCall)]
    assert len(set(ids)) == 4
