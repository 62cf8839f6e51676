"""A relayed chat is put right where OpenAI's clients could not read it, and passes as it came where they can."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.providers.translation.chat.mending import mended_answer, mended_event, needs_mending

Json = dict[str, Any]
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
TALK = st.text(st.sampled_from(list('"\\rolecntsargumdh_:{}[] ,é')), max_size=40)


def event(said: Any) -> bytes:
    return f"data: {json.dumps(said, separators=(',', ':'))}\n\n".encode()


def chunk(delta: Json, finish: str | None = None, **more: Any) -> Json:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


def mended(said: Any, *, told_role: bool = False, takes_filters: bool = False) -> Any:
    """The event that goes on, read; None: none does."""
    out = mended_event(event(said), told_role=told_role, takes_filters=takes_filters)
    return json.loads(out.removeprefix(b"data: ")) if out else None


def answer(message: Json, finish: str = "stop") -> Json:
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }


def mended_message(message: Json) -> Json:
    found: Json = json.loads(mended_answer(json.dumps(answer(message)).encode()))["choices"][0]["message"]
    return found


def test_content_that_is_a_list_becomes_a_text_and_its_thoughts_another() -> None:
    said = {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Yes"}]}
    assert mended_message(said) == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}
    assert mended_message({"content": [THOUGHT]}) == {"content": "", "reasoning_content": "Hm"}
    assert mended(chunk({"content": [THOUGHT]})) == chunk({"content": "", "reasoning_content": "Hm"})
    assert mended(chunk({"content": [{"type": "text", "text": "Y"}]})) == chunk({"content": "Y"})


def test_a_picture_in_the_content_stays_where_it_is() -> None:
    said = {"content": [{"type": "image_url", "image_url": {"url": "https://p.example/1.png"}}]}
    assert mended_message(said) == said


def test_arguments_become_text() -> None:
    call = {"id": "AbCdEf123", "type": "function", "function": {"name": "f", "arguments": {"city": "Tromsø"}}}
    written = {**call, "function": {"name": "f", "arguments": '{"city":"Tromsø"}'}}
    assert mended_message({"content": "", "tool_calls": [call]}) == {"content": "", "tool_calls": [written]}
    assert mended(chunk({"tool_calls": [call]})) == chunk({"tool_calls": [written]})


def test_a_limit_of_the_models_own_is_a_length() -> None:
    body = json.dumps(answer({"content": "Yes"}, "model_length")).encode()
    assert json.loads(mended_answer(body)) == answer({"content": "Yes"}, "length")
    assert mended(chunk({"content": ""}, "model_length", usage={"prompt_tokens": 1})) == chunk(
        {"content": ""}, "length", usage={"prompt_tokens": 1}
    )


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": "x"},
        {"content": "x", "role": "assistant"},
        {"content": "x", "role": "assistant", "tool_calls": []},
    ],
)
def test_a_role_is_told_once(delta: Json) -> None:
    assert mended(chunk(delta)) == chunk(delta)
    assert mended(chunk(delta), told_role=True) == chunk({name: delta[name] for name in delta if name != "role"})


def test_what_azure_has_found_in_the_prompt_is_for_azures_own_clients() -> None:
    found = {"id": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    assert mended(found) is None
    assert mended(found, takes_filters=True) == found
    beside = chunk({"content": "x"}, prompt_filter_results=[])
    assert mended(beside) == beside
    usage = {**found, "usage": {"prompt_tokens": 1}}
    assert mended(usage) == usage


@pytest.mark.parametrize(
    ("said", "message", "code"),
    [
        ({"object": "error", "message": "No room", "type": "internal_server_error", "code": "3000"}, "No room", "3000"),
        ({"id": "1", "message": "No room"}, "No room", None),
        ({"error": "No room"}, "No room", None),
        ({"error": {"message": "No room", "code": 503}}, "No room", "503"),
    ],
)
def test_a_failure_in_a_stream_gets_the_form_that_clients_raise(said: Json, message: str, code: str | None) -> None:
    error = mended(said)["error"]
    assert (error["message"], error["code"]) == (message, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_a_failure_that_clients_can_read_passes_byte_for_byte() -> None:
    failure = event({"error": {"message": "m", "type": "t", "param": None, "code": "c", "more": 1}})
    assert mended_event(failure, told_role=True, takes_filters=False) is failure
    for other in (b"data: [DONE]\n\n", b": ping\n\n", b"data: {\n\n", event({"id": "c"})):
        assert mended_event(other, told_role=True, takes_filters=False) == other


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # whatever else the machine does
@given(TALK, TALK)
def test_what_a_model_says_is_never_taken_for_its_envelope(text: str, arguments: str) -> None:
    calls = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    said = event(chunk({"content": text, "tool_calls": calls}))
    assert mended_event(said, told_role=True, takes_filters=False) == said
    body = json.dumps(answer({"role": "assistant", "content": text, "tool_calls": calls})).encode()
    assert mended_answer(body) is body


def test_most_events_are_not_looked_into() -> None:
    assert not needs_mending(event(chunk({"content": 'my "role" and "arguments":{'})))
    assert needs_mending(event(chunk({"content": "x"})) + event("[DONE]"))


def test_what_is_no_json_passes_as_it_is() -> None:
    for body in (b'{"content":[', b'[{"content":[]}]', b'{"choices":5,"content":[]}', b'{"choices":[5],"content":[]}'):
        assert mended_answer(body) == body
