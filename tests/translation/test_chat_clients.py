"""What is written for OpenAI's clients, taken by its own client: strictly, over a socket, through every helper that it has."""

from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from hypothesis import given, settings
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.translation.form import (
    Answer,
    Begun,
    Choice,
    Ended,
    Event,
    Failed,
    Finished,
    Text,
    Thinking,
    ToolCall,
)
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.support.provider import FakeProvider
from tests.translation.gathered import gathered
from tests.translation.strategies import streams

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)
ASKED: Any = {"model": "asked-for", "messages": [{"role": "user", "content": "Hello"}]}
USED = Usage(input=9, cache_read=4, output=20, reasoning=5)

AGENTS_TURN: list[Event] = [
    Begun(),
    form.Ping(),
    form.ThinkingDelta("Look "),
    form.ThinkingDelta("first."),
    form.Signed("c2ln", "anthropic"),
    form.Signed("ZW5j", "anthropic", redacted=True),
    form.TextDelta("I "),
    form.TextDelta("look."),
    form.Cited(form.Citation(url="https://a.example", title="A")),
    form.Cited(form.Citation(url="https://b.example", title="B")),
    form.ImageMade(form.Image(url="https://p.example/1.png")),
    form.ImageMade(form.Image(url="https://p.example/2.png")),
    form.ToolBegun(0, "call_1", "weather", signature="Zw==", origin="gemini"),
    form.ToolBegun(1, "call_2", "time"),
    form.ToolDelta(1, '{"zone":'),
    form.ToolDelta(0, '{"city":"Mad'),
    form.ToolDelta(0, 'rid"}'),
    form.ToolDelta(1, "2}"),
    form.ToolBegun(2, "call_3", "now"),
    Finished("tool_calls"),
    form.Used(USED),
    Ended(),
]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as fake:
        yield fake


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{provider.url}/v1", api_key="k", max_retries=0, _strict_response_validation=True
    ) as strict:
        yield strict


def request(**said: Any) -> form.Request:
    return form.Request(model="asked-for", messages=[], **said)


def stream(events: list[Event], *, usage: bool = True) -> list[bytes]:
    writer = SPOKEN.stream_writer(request(include_usage=usage), SHOWN)
    return [piece for event in events if (piece := writer.feed([event]))]


def test_a_whole_answer(provider: FakeProvider, client: openai.OpenAI) -> None:
    said: list[form.Part] = [
        Thinking(text="Hm", signature="c2ln", origin="anthropic"),
        Text("Sunny.", citations=[form.Citation(url="https://a.example", title="A")]),
        ToolCall(id="call_1", name="weather", arguments='{"city":"Madrid"}'),
    ]
    answer = Answer(choices=[Choice(parts=said, finish="tool_calls")], usage=USED)
    provider.answers(SPOKEN.write_answer(answer, request(), SHOWN))
    got = client.chat.completions.create(**ASKED)
    (choice,) = got.choices
    assert (got.id, got.model, choice.finish_reason) == (f"chatcmpl-{SHOWN.id}", "asked-for", "tool_calls")
    assert choice.message.content == "Sunny."
    assert choice.message.annotations is not None
    assert choice.message.annotations[0].url_citation.end_index == 6
    assert choice.message.model_extra is not None
    assert choice.message.model_extra["reasoning_content"] == "Hm"
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "weather", '{"city":"Madrid"}')
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (13, 20, 33)
    assert got.usage.prompt_tokens_details is not None
    assert got.usage.prompt_tokens_details.cached_tokens == 4
    assert got.usage.completion_tokens_details is not None
    assert got.usage.completion_tokens_details.reasoning_tokens == 5


def test_a_structured_answer(provider: FakeProvider, client: openai.OpenAI) -> None:
    class Place(pydantic.BaseModel):
        city: str

    answer = Answer(choices=[Choice(parts=[Text('{"city":"Madrid"}')])], usage=USED)
    provider.answers(SPOKEN.write_answer(answer, request(), SHOWN))
    got = client.chat.completions.parse(**ASKED, response_format=Place)
    assert got.choices[0].message.parsed == Place(city="Madrid")
    asked = SPOKEN.read_request(provider.next_request().body, "", None)
    assert asked.format is not None
    assert (asked.format.name, asked.format.strict) == ("Place", True)
    assert asked.left == []


def test_a_stream_chunk_by_chunk(provider: FakeProvider, client: openai.OpenAI) -> None:
    provider.streams_raw(stream(AGENTS_TURN))
    chunks = list(client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "I look."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 33


def test_a_stream_through_the_helper(provider: FakeProvider, client: openai.OpenAI) -> None:
    provider.streams_raw(stream(AGENTS_TURN))
    with client.chat.completions.stream(**ASKED, stream_options={"include_usage": True}) as helper:
        kinds = {event.type for event in helper}
        final = helper.get_final_completion()
    assert kinds == {
        "chunk",
        "content.delta",
        "content.done",
        "tool_calls.function.arguments.delta",
        "tool_calls.function.arguments.done",
    }
    message = final.choices[0].message
    assert (message.role, message.content) == ("assistant", "I look.")
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    assert calls == [
        ("call_1", "weather", '{"city":"Madrid"}'),
        ("call_2", "time", '{"zone":2}'),
        ("call_3", "now", "{}"),
    ]
    assert message.annotations is not None
    assert [each.url_citation.url for each in message.annotations] == ["https://a.example", "https://b.example"]
    extra = message.model_extra
    assert extra is not None
    assert extra["reasoning_content"] == "Look first."
    assert [detail["index"] for detail in extra["reasoning_details"]] == [0, 1]
    assert [each["image_url"]["url"] for each in extra["images"]] == [
        "https://p.example/1.png",
        "https://p.example/2.png",
    ]
    assert final.usage is not None
    assert final.usage.total_tokens == 33


def test_what_the_helper_has_put_together_can_be_sent_back(provider: FakeProvider, client: openai.OpenAI) -> None:
    provider.streams_raw(stream(AGENTS_TURN))
    provider.answers(SPOKEN.write_answer(Answer(choices=[Choice(parts=[Text("Done")])]), request(), SHOWN))
    with client.chat.completions.stream(**ASKED) as helper:
        message = helper.get_final_completion().choices[0].message
    provider.next_request()
    results = [{"role": "tool", "tool_call_id": call.id, "content": "1"} for call in message.tool_calls or []]
    asked: Any = ASKED | {"messages": [*ASKED["messages"], message, *results]}
    client.chat.completions.create(**asked)
    read = SPOKEN.read_request(provider.next_request().body, "", None)
    assert read.fatal == {}
    thoughts = [part for part in read.messages[1].parts if isinstance(part, Thinking)]
    assert thoughts == [
        Thinking(text="Look first.", signature="c2ln", origin="anthropic"),
        Thinking(signature="ZW5j", origin="anthropic", redacted=True),
    ]
    calls = [part for part in read.messages[1].parts if isinstance(part, ToolCall)]
    assert (calls[0].signature, calls[0].origin) == ("Zw==", "gemini")
    assert [part.name for part in read.messages[2].parts if isinstance(part, form.ToolResult)] == [
        "weather",
        "time",
        "now",
    ]


def test_a_failure_in_the_midst_is_the_clients_error(provider: FakeProvider, client: openai.OpenAI) -> None:
    failed = Failed(message="Overloaded", type="overloaded_error", code="busy", param="model")
    provider.streams_raw(stream([Begun(), form.TextDelta("Hel"), failed]))
    heard = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(**ASKED, stream=True):
            heard += chunk.choices[0].delta.content or ""
    assert heard == "Hel"
    assert (caught.value.message, caught.value.type, caught.value.code, caught.value.param) == (
        "Overloaded",
        "overloaded_error",
        "busy",
        "model",
    )


def test_several_answers_at_once(provider: FakeProvider, client: openai.OpenAI) -> None:
    provider.streams_raw(
        stream(
            [
                Begun(),
                form.TextDelta("b", 1),
                form.TextDelta("a", 0),
                Finished("stop", 1),
                Finished("stop", 0),
                Ended(),
            ]
        )
    )
    with client.chat.completions.stream(**ASKED, n=2) as helper:
        final = helper.get_final_completion()
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in final.choices] == [
        (0, "a", "stop"),
        (1, "b", "stop"),
    ]


@settings(max_examples=200, deadline=None)
@given(streams(choices=2, whole=True))
def test_the_helper_puts_every_stream_together_as_it_was_meant(events: list[Event]) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for piece in stream(events):
        for event in piece.split(b"\n\n")[:-1]:
            if event.startswith(b"data: {"):
                list(state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:], strict=True)))
    final = state.current_completion_snapshot
    meant = gathered(events)
    for choice in final.choices:
        said = meant.choices.get(choice.index)
        if said is None:
            continue
        assert choice.message.role == "assistant"
        assert (choice.message.content or "", choice.message.refusal or "") == (said.text, said.refusal)
        calls = [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls or []]
        assert calls == list(said.calls.values())
        assert choice.finish_reason == said.finish


# --- The other way: what OpenAI's client sends ---


def test_everything_that_the_client_sends_is_understood(provider: FakeProvider, client: openai.OpenAI) -> None:
    provider.answers(SPOKEN.write_answer(Answer(choices=[Choice(parts=[Text("Hi")])]), request(), SHOWN))
    client.chat.completions.create(
        model="m",
        messages=[
            {"role": "developer", "content": "Be kind."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "What?"},
                    {"type": "image_url", "image_url": {"url": "https://p.example/1.png", "detail": "high"}},
                    {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
                ],
            },
        ],
        frequency_penalty=0.1,
        logit_bias={"1": 1},
        logprobs=True,
        max_completion_tokens=10,
        metadata={"a": "b"},
        n=1,
        parallel_tool_calls=True,
        presence_penalty=0.1,
        prompt_cache_key="k",
        reasoning_effort="low",
        response_format={"type": "json_object"},
        safety_identifier="s",
        seed=1,
        service_tier="flex",
        stop=["END"],
        store=False,
        temperature=1,
        tool_choice="auto",
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
        top_logprobs=2,
        top_p=1,
        verbosity="low",
    )
    read = SPOKEN.read_request(provider.next_request().body, "", None)
    assert (read.left, read.fatal) == ([], {})
