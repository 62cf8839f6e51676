"""What is written for OpenAI's clients, taken by its own client: strictly, over a socket, through every helper that it has."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from openai import OpenAI
from openai.types.responses import Response, ResponseCompletedEvent, ResponseIncompleteEvent
from pydantic import BaseModel

from apps.providers.translation import form
from apps.providers.translation.form import Event, Request
from apps.providers.translation.responses import SPOKEN
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.support.provider import FakeProvider, Received, Script
from tests.translation import strategies
from tests.translation.legal_responses import check_stream

SHOWN = Shown(id="0" * 31 + "1", model="shown-model", created=1_767_225_600, input_tokens=12)
USED = Usage(input=9, cache_read=4, output=20, reasoning=5)
TOOLS: Any = [
    {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False},
    {"type": "namespace", "name": "clock", "description": "", "tools": [{"type": "function", "name": "time"}]},
]

AGENTS_TURN: list[Event] = [
    form.Begun(),
    form.ThinkingDelta("Look "),
    form.ThinkingDelta("first."),
    form.Signed("enc", "anthropic"),
    form.Ping(),
    form.TextDelta("I "),
    form.TextDelta("look."),
    form.Cited(form.Citation(url="https://a.example", title="A")),
    form.ToolBegun(0, "call_1", "weather"),
    form.ToolBegun(1, "call_2", "time", signature="c2ln", origin="gemini"),
    form.ToolDelta(1, '{"zone":'),
    form.ToolDelta(0, '{"city":"Mad'),
    form.ToolDelta(0, 'rid"}'),
    form.ToolDelta(1, '"CET"}'),
    form.Finished("tool_calls"),
    form.Used(USED),
    form.Ended(),
]


class Gateway:
    """Reads what the client sends, and answers with events, or with one answer, a few bytes at a time."""

    def __init__(self, provider: FakeProvider) -> None:
        self._provider = provider
        self.client = OpenAI(
            base_url=f"{provider.url}/v1", api_key="k", max_retries=0, _strict_response_validation=True
        )
        self.request: Request

    def streams(self, events: list[Event]) -> OpenAI:
        return self._replies(
            lambda request: SPOKEN.stream_writer(request, SHOWN).feed(events), "text/event-stream; charset=utf-8"
        )

    def answers(self, answer: form.Answer) -> OpenAI:
        return self._replies(lambda request: SPOKEN.write_answer(answer, request, SHOWN), "application/json")

    def _replies(self, write: Callable[[Request], bytes], kind: str) -> OpenAI:
        def reply(received: Received) -> Script:
            self.request = SPOKEN.read_request(received.body, "", None)
            body = write(self.request)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            return Script(head, [body[place : place + 997] for place in range(0, len(body), 997)], framing="length")

        self._provider.reset()
        self._provider.replies(reply, always=True)
        return self.client


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with FakeProvider() as provider:
        served = Gateway(provider)
        with served.client:
            yield served


def check_turn(response: Response) -> None:
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "function_call", "reasoning", "function_call"]
    thoughts, message, weather, kept, time = response.output
    assert thoughts.type == "reasoning"
    assert thoughts.summary[0].text == "Look first."
    assert thoughts.encrypted_content == "tollgate.anthropic.enc"
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    assert message.content[0].annotations[0].type == "url_citation"
    assert response.output_text == "I look."
    assert weather.type == "function_call"
    assert (weather.call_id, weather.name, weather.arguments) == ("call_1", "weather", '{"city":"Madrid"}')
    assert kept.type == "reasoning"
    assert time.type == "function_call"
    assert (time.namespace, time.name, time.arguments) == ("clock", "time", '{"zone":"CET"}')
    assert (response.id, response.model, response.status) == (f"resp_{SHOWN.id}", "shown-model", "completed")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (13, 20, 33)
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.output_tokens_details.reasoning_tokens == 5


def test_a_stream_is_taken_event_by_event(gateway: Gateway) -> None:
    client = gateway.streams(AGENTS_TURN)
    with client.responses.create(model="m", input="Hello", tools=TOOLS, stream=True) as stream:
        events = list(stream)
    assert gateway.request.stream
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "I look."
    last = events[-1]
    assert last.type == "response.completed"
    check_turn(last.response)


def test_a_stream_is_gathered(gateway: Gateway) -> None:
    with gateway.streams(AGENTS_TURN).responses.stream(model="m", input="Hello", tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        check_turn(stream.get_final_response())
    assert kinds.count("response.function_call_arguments.delta") == 4


def test_a_whole_answer_is_taken(gateway: Gateway) -> None:
    parts: list[form.Part] = [
        form.Thinking(text="Look first.", signature="enc", origin="anthropic"),
        form.Text("I look.", citations=[form.Citation(url="https://a.example", title="A")]),
        form.ToolCall(id="call_1", name="weather", arguments='{"city":"Madrid"}'),
        form.ToolCall(id="call_2", name="time", arguments='{"zone":"CET"}', signature="c2ln", origin="gemini"),
    ]
    answer = form.Answer(choices=[form.Choice(parts=parts, finish="tool_calls")], usage=USED)
    check_turn(gateway.answers(answer).responses.create(model="m", input="Hello", tools=TOOLS))
    assert [tool.name for tool in gateway.request.tools] == ["weather", "time"]


def test_what_a_client_gives_back_is_what_it_was_given(gateway: Gateway) -> None:
    with gateway.streams(AGENTS_TURN).responses.stream(model="m", input="Hello", tools=TOOLS) as stream:
        response = stream.get_final_response()
    talk: Any = [{"role": "user", "content": "Hello"}]
    talk += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output]
    talk += [{"type": "function_call_output", "call_id": each, "output": "fine"} for each in ("call_1", "call_2")]
    gateway.client.responses.create(model="m", input=talk, tools=TOOLS, stream=True).close()
    request = gateway.request
    assert (request.left, request.fatal) == ([], {})
    _, model, results = request.messages
    assert model.parts[0] == form.Thinking(text="Look first.", signature="enc", origin="anthropic")
    assert [part.text for part in model.parts if isinstance(part, form.Text)] == ["I look."]
    calls = [part for part in model.parts if isinstance(part, form.ToolCall)]
    assert [(call.id, call.name, call.signature, call.origin) for call in calls] == [
        ("call_1", "weather", "", ""),
        ("call_2", "time", "c2ln", "gemini"),
    ]
    assert [(part.id, part.name) for part in results.parts if isinstance(part, form.ToolResult)] == [
        ("call_1", "weather"),
        ("call_2", "time"),
    ]


def test_an_answer_of_a_shape_is_parsed(gateway: Gateway) -> None:
    class Place(BaseModel):
        city: str

    said: list[Event] = [form.TextDelta('{"city":'), form.TextDelta('"Rome"}'), form.Finished("stop"), form.Ended()]
    with gateway.streams(said).responses.stream(model="m", input="Where?", text_format=Place) as stream:
        assert stream.get_final_response().output_parsed == Place(city="Rome")
    assert gateway.request.format is not None
    assert (gateway.request.format.name, gateway.request.format.strict) == ("Place", True)
    whole = form.Answer(choices=[form.Choice(parts=[form.Text('{"city":"Rome"}')])])
    parsed = gateway.answers(whole).responses.parse(model="m", input="Where?", text_format=Place)
    assert parsed.output_parsed == Place(city="Rome")


def test_a_refusal_is_one(gateway: Gateway) -> None:
    said: list[Event] = [form.RefusalDelta("I can"), form.RefusalDelta("not."), form.Finished("stop"), form.Ended()]
    with gateway.streams(said).responses.stream(model="m", input="Do it") as stream:
        message = stream.get_final_response().output[0]
    assert message.type == "message"
    assert message.content[0].type == "refusal"
    assert message.content[0].refusal == "I cannot."


def test_an_answer_cut_short_says_why(gateway: Gateway) -> None:
    said: list[Event] = [form.TextDelta("a"), form.Finished("length"), form.Ended()]
    with gateway.streams(said).responses.create(model="m", input="x", stream=True) as stream:
        last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_a_picture_is_taken(gateway: Gateway) -> None:
    made = form.ImageMade(form.Image(data="AAAA", media_type="image/png"))
    with gateway.streams([made, form.Finished("stop"), form.Ended()]).responses.stream(model="m", input="x") as stream:
        picture = stream.get_final_response().output[0]
    assert picture.type == "image_generation_call"
    assert (picture.result, picture.status) == ("AAAA", "completed")


def test_a_failure_in_the_midst_is_seen_by_the_client(gateway: Gateway) -> None:
    said: list[Event] = [form.TextDelta("a"), form.Failed(message="Slow down.", code="rate_limit_exceeded", status=429)]
    with gateway.streams(said).responses.create(model="m", input="x", stream=True) as stream:
        last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert (last.response.error.code, last.response.error.message) == ("rate_limit_exceeded", "Slow down.")
    with gateway.client.responses.stream(model="m", input="x") as helped, pytest.raises(RuntimeError):
        helped.get_final_response()


@settings(max_examples=60, deadline=None)
@given(events=strategies.streams(custom=True, whole=True))
def test_every_stream_is_gathered_to_the_response_that_ends_it(gateway: Gateway, events: list[Event]) -> None:
    with gateway.streams(events).responses.stream(model="m", input="x") as stream:
        last = list(stream)[-1]
    expected = check_stream(SPOKEN.stream_writer(gateway.request, SHOWN).feed(events))[-1]
    assert last.type == expected["type"]
    assert isinstance(last, ResponseCompletedEvent | ResponseIncompleteEvent)
    assert [item.type for item in last.response.output] == [item["type"] for item in expected["response"]["output"]]
    contents = [part for item in expected["response"]["output"] for part in item.get("content", ())]
    assert last.response.output_text == "".join(part.get("text", "") for part in contents)
