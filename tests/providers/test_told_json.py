"""Halves of characters, which some providers tell as escapes of their own, cost neither text nor usage."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.streams import ChatMeter, ResponsesMeter
from apps.providers.told_json import loads, mended
from apps.providers.translation.registry import SPOKEN
from apps.providers.usage import read_answer

USAGE = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
HALF = "a\ud83d"


def chat(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return json.dumps({"id": "c", "model": "m", "choices": choices, "usage": USAGE}).encode()


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\ud83d\ud83d\ude00\u0000\"'")), max_size=20))
def test_any_text_is_read_and_whole_characters_stay(text: str) -> None:
    read = loads(json.dumps({"t": text}).encode())["t"]
    pairs = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\ufffd" in read
        assert [each for each in read if each != "\ufffd"] == [each for each in pairs if each != "\ufffd"]
    else:
        assert read == text


def test_what_is_broken_otherwise_stays_broken() -> None:
    for broken in (b"{", b'{"a": "\\ud83d"', b'"\\x"'):
        with pytest.raises(orjson.JSONDecodeError):
            loads(broken)
    sound = b'{"a": "\\ud83d\\ude00 \\\\ud83d"}'
    assert mended(sound) is sound


def test_usage_is_read_beside_half_a_character() -> None:
    told = read_answer(chat(HALF)).usage
    assert told is not None
    assert (told.input, told.output) == (5, 6)


def test_a_translated_answer_keeps_the_rest_of_its_text() -> None:
    (choice,) = SPOKEN["chat_completions"].read_answer(chat(HALF)).choices
    assert "a\ufffd" in str(choice)


def test_a_streams_delta_and_usage_are_read_beside_half_a_character() -> None:
    delta = {"choices": [{"index": 0, "delta": {"content": HALF}, "finish_reason": "stop"}], "usage": USAGE}
    data = b"data: " + json.dumps(delta).encode() + b"\n\ndata: [DONE]\n\n"
    meter = ChatMeter()
    assert meter.feed(data) == data
    assert meter.usage is not None
    request = SPOKEN["messages"].read_request(
        b'{"model": "m", "max_tokens": 5, "stream": true, "messages": [{"role": "user", "content": "a"}]}', "m", True
    )
    assert "a\ufffd" in str(SPOKEN["chat_completions"].stream_reader(request).feed(data))


def test_a_response_whose_text_has_half_a_character_is_complete() -> None:
    response = {"model": "m", "output": [{"text": HALF}], "usage": {"input_tokens": 5, "output_tokens": 6}}
    event = {"type": "response.completed", "response": response}
    meter = ResponsesMeter()
    meter.feed(b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n")
    assert meter.complete
    assert meter.usage is not None
