"""What is written for Anthropic's clients, taken by its own client: strictly, over a socket, through every helper that it has."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings

from apps.providers.translation.form import (
    Answer,
    Begun,
    Choice,
    Citation,
    Cited,
    Ended,
    Event,
    Failed,
    Finished,
    Message,
    Ping,
    Request,
    Signed,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolBegun,
    ToolCall,
    ToolDelta,
    Used,
)
from apps.providers.translation.messages import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.translation.legal_messages import heard
from tests.translation.test_messages_streams import legal_events

REQUEST = Request(model="claude-test", messages=[Message("user", [Text("Hello")])])
SHOWN = Shown(id="0" * 31 + "1", model="shown-model", created=1_767_225_600, input_tokens=12)
ASKED: Any = {"model": "shown-model", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
USED = Usage(input=9, cache_read=4, output=20, reasoning=5)

AGENTS_TURN: list[Event] = [
    Begun(),
    ThinkingDelta("Look "),
    ThinkingDelta("first."),
    Signed("enc", "openai_responses"),
    Ping(),
    TextDelta("I "),
    TextDelta("look."),
    Cited(Citation(url="https://a.example", title="A", quoted="q")),
    ToolBegun(0, "call_1", "weather"),
    ToolBegun(1, "call_2", "time", 0, "c2ln", "gemini"),
    ToolDelta(1, '{"zone":'),
    ToolDelta(0, '{"city":"Mad'),
    ToolDelta(0, 'rid"}'),
    ToolDelta(1, '"CET"}'),
    Finished("tool_calls"),
    Used(USED),
    Ended(),
]


@pytest.fixture
def answering() -> Iterator[Callable[[bytes, str], anthropic.Anthropic]]:
    """A client of a server that gives these bytes, a few at a time, to whatever it is asked."""
    said: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", said["type"])
            self.send_header("content-length", str(len(said["body"])))
            self.end_headers()
            for place in range(0, len(said["body"]), 37):
                self.wfile.write(said["body"][place : place + 37])

        def log_message(self, *args: Any) -> None:
            """Tests have nothing to log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with httpx2.Client() as http:
        client = anthropic.Anthropic(
            base_url=url, api_key="k", max_retries=0, http_client=http, _strict_response_validation=True
        )

        def answer(body: bytes, kind: str = "text/event-stream; charset=utf-8") -> anthropic.Anthropic:
            said.update(body=body, type=kind)
            return client

        yield answer
    server.shutdown()
    server.server_close()
    thread.join()


def written(events: list[Event]) -> bytes:
    return SPOKEN.stream_writer(REQUEST, SHOWN).feed(events)


def check_turn(message: Any) -> None:
    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "text", "tool_use", "thinking", "tool_use"]
    thinking, text, weather, signed, time = message.content
    assert (thinking.thinking, thinking.signature) == ("Look first.", "tollgate.openai_responses.enc")
    assert text.text == "I look."
    assert text.citations[0].url == "https://a.example"
    assert (weather.id, weather.name, weather.input) == ("call_1", "weather", {"city": "Madrid"})
    assert (signed.thinking, signed.signature) == ("", "tollgate.gemini.c2ln")
    assert (time.id, time.input) == ("call_2", {"zone": "CET"})
    assert (message.model, message.stop_reason, message.id) == ("shown-model", "tool_use", f"msg_{SHOWN.id}")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 20)
    assert message.usage.cache_read_input_tokens == 4


def test_a_stream_through_the_stream_helper(answering: Any) -> None:
    client = answering(written(AGENTS_TURN))
    with client.messages.stream(**ASKED) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    check_turn(message)
    assert {"text", "input_json", "thinking", "signature", "citation", "message_stop"} <= set(kinds)


def test_a_stream_through_the_beta_helper(answering: Any) -> None:
    with answering(written(AGENTS_TURN)).beta.messages.stream(**ASKED) as stream:
        check_turn(stream.get_final_message())


def test_a_stream_event_by_event(answering: Any) -> None:
    events = list(answering(written(AGENTS_TURN)).messages.create(**ASKED, stream=True))
    assert events[0].type == "message_start"
    assert events[0].message.usage.input_tokens == 12
    assert events[-1].type == "message_stop"


def test_a_whole_answer(answering: Any) -> None:
    parts: Any = [
        Thinking(text="Look first.", signature="enc", origin="openai_responses"),
        Text("I look.", citations=[Citation(url="https://a.example", title="A", quoted="q")]),
        ToolCall(id="call_1", name="weather", arguments='{"city":"Madrid"}'),
        ToolCall(id="call_2", name="time", arguments='{"zone":"CET"}', signature="c2ln", origin="gemini"),
    ]
    answer = Answer(choices=[Choice(parts=parts, finish="tool_calls")], usage=USED)
    body = SPOKEN.write_answer(answer, REQUEST, SHOWN)
    check_turn(answering(body, "application/json").messages.create(**ASKED))


def test_a_failure_in_the_midst_is_raised(answering: Any) -> None:
    stream = written([Begun(), TextDelta("He"), Failed(message="Overloaded", type="overloaded_error")])
    with answering(stream).messages.stream(**ASKED) as events, pytest.raises(anthropic.APIStatusError) as caught:
        list(events)
    assert caught.value.type == "overloaded_error"
    assert "Overloaded" in str(caught.value)


def test_a_refusal_is_a_reason_to_stop(answering: Any) -> None:
    stream = written([Begun(), TextDelta("I"), Finished("content_filter"), Used(USED), Ended()])
    with answering(stream).messages.stream(**ASKED) as events:
        message = events.get_final_message()
    assert (message.stop_reason, message.stop_details.type) == ("refusal", "refusal")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(legal_events())
def test_whatever_is_said_is_heard(answering: Any, events: list[Event]) -> None:
    if not isinstance(events[-1], Ended):
        return
    stream = written(events)
    with answering(stream).messages.stream(**ASKED) as stream_of:
        message = stream_of.get_final_message()
    expected = heard(stream)
    assert [block.type for block in message.content] == [block["type"] for block in expected.blocks]
    assert "".join(block.text for block in message.content if block.type == "text") == expected.text
    assert message.stop_reason == expected.stop
