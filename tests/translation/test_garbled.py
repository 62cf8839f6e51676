"""Providers whose JSON is of the wrong types: what cannot be read is passed over, and nothing else is lost."""

import json
from typing import Any

import pytest

from apps.core import endpoints
from apps.providers.translation.form import Ended, Event, TextDelta
from apps.providers.translation.registry import SPOKEN
from apps.providers.translation.spoken import Shown

SHOWN = Shown(id="0" * 32, model="m", created=1, input_tokens=7)
WRONG: list[Any] = [{"a": 1}, ["a"], 1.5, True, "x", None]
ASKED = {
    endpoints.CHAT_COMPLETIONS: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    endpoints.RESPONSES: {"model": "m", "input": "Hi"},
    endpoints.MESSAGES: {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    endpoints.GENERATE_CONTENT: {"contents": [{"parts": [{"text": "Hi"}]}]},
}


def events_of(dialect: str, *said: Any) -> list[Event]:
    spoken = SPOKEN[dialect]
    reader = spoken.stream_reader(spoken.read_request(json.dumps(ASKED[dialect]).encode(), "m", True))
    return [*reader.feed(b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in said)), *reader.finish()]


@pytest.mark.parametrize("wrong", WRONG)
def test_an_event_of_messages_whose_type_is_none_is_passed_over(wrong: Any) -> None:
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    begun = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    events = events_of(endpoints.MESSAGES, {"type": wrong, "index": 0}, begun, piece, stop, {"type": "message_stop"})
    assert TextDelta("Hello") in events
    assert isinstance(events[-1], Ended)


@pytest.mark.parametrize("wrong", WRONG)
def test_an_item_of_responses_whose_type_is_none_is_passed_over(wrong: Any) -> None:
    item = {"type": "response.output_item.added", "output_index": 0, "item": {"type": wrong}}
    piece = {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Hello"}
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    events = events_of(endpoints.RESPONSES, item, piece, end)
    assert TextDelta("Hello") in events
    assert isinstance(events[-1], Ended)


@pytest.mark.parametrize("client", [endpoints.RESPONSES, endpoints.GENERATE_CONTENT])
@pytest.mark.parametrize("wrong", WRONG)
def test_log_probabilities_of_wrong_types_spoil_no_answer(client: str, wrong: Any) -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": wrong}
    asked = SPOKEN[client].read_request(json.dumps(ASKED[client]).encode(), "m", False)
    for content in (wrong, [wrong], [token]):
        choice = {"message": {"content": "Hello"}, "finish_reason": "stop", "logprobs": {"content": content}}
        answer = SPOKEN[endpoints.CHAT_COMPLETIONS].read_answer(json.dumps({"choices": [choice]}).encode())
        assert b"Hello" in SPOKEN[client].write_answer(answer, asked, SHOWN)
