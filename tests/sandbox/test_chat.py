"""Chat completions of the sandbox, through the official client."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel, Field

HELLO: Any = [{"role": "user", "content": "Hello there"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


def text_of(chunks: list[ChatCompletionChunk], choice: int = 0) -> str:
    return "".join(each.delta.content or "" for chunk in chunks for each in chunk.choices if each.index == choice)


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_an_answer_says_where_it_comes_from(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sandbox-chat", messages=HELLO)
    answer = raw.parse()

    assert answer.choices[0].message.content
    assert answer.choices[0].message.content.startswith("This answer comes from the Tollgate sandbox")
    assert "Hello there" in answer.choices[0].message.content
    assert (answer.choices[0].finish_reason, answer.system_fingerprint) == ("stop", "fp_sandbox")
    assert (raw.headers["x-sandbox"], answer.model) == ("true", "sandbox-chat")


def test_the_same_request_gets_the_same_bytes_but_its_own_id(client: openai.OpenAI) -> None:
    first, second = (
        client.chat.completions.with_raw_response.create(model="sandbox-chat", messages=HELLO) for _ in range(2)
    )
    other = client.chat.completions.with_raw_response.create(model="sandbox-chat", messages=user("Good night"))

    assert first.content == second.content != other.content
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_tokens_are_four_characters_and_usage_adds_up(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sandbox-chat", messages=HELLO)
    usage, text = answer.usage, answer.choices[0].message.content

    assert usage
    assert text
    assert (usage.prompt_tokens, usage.completion_tokens) == (3 + 4 + 3, -(-len(text) // 4))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == 0


def test_long_prompts_are_half_cached_and_reasoning_is_counted_as_output(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sandbox-chat", messages=user("x" * 8000), reasoning_effort="low", logprobs=True
    )
    usage = answer.usage
    assert usage
    assert usage.prompt_tokens_details
    assert usage.completion_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == 2007 // 2 // 128 * 128
    assert usage.completion_tokens_details.reasoning_tokens == 16
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert logprobs.content
    assert usage.completion_tokens == 16 + len(logprobs.content)
    assert "".join(each.token for each in logprobs.content) == answer.choices[0].message.content


@pytest.mark.parametrize("text", ["Hello there", "", "ü" * 300, "a\nb"])
def test_a_stream_says_the_same_as_the_buffered_answer(client: openai.OpenAI, text: str) -> None:
    whole = client.chat.completions.create(model="sandbox-chat", messages=user(text))
    chunks = list(client.chat.completions.create(model="sandbox-chat", messages=user(text), stream=True))

    assert text_of(chunks) == whole.choices[0].message.content
    assert 20 <= len(chunks) <= 70
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert [chunk.choices[0].delta.role for chunk in chunks[:2]] == ["assistant", None]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_usage_in_a_stream_comes_once_after_the_finish_and_only_if_asked_for(sandbox_url: str) -> None:
    def events(**options: Any) -> list[Any]:
        body = {"model": "sandbox-chat", "messages": HELLO, "stream": True, **options}
        answer = httpx.post(f"{sandbox_url}/chat/completions", json=body)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = answer.text.split("\n\n")
        assert lines[-2:] == ["data: [DONE]", ""]
        return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]

    plain, asked = events(), events(stream_options={"include_usage": True})

    assert not any("usage" in event for event in plain)
    assert [event["usage"] for event in asked[:-1]] == [None] * len(plain)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["completion_tokens"] > 0


def test_choices_differ_and_stream_side_by_side(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="sandbox-chat", messages=HELLO, n=3)
    chunks = list(client.chat.completions.create(model="sandbox-chat", messages=HELLO, n=3, stream=True))

    texts = [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    assert [text_of(chunks, index) for index in range(3)] == texts
    assert whole.usage
    assert whole.usage.completion_tokens == sum(-(-len(text or "") // 4) for text in texts)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_on_tokens_cuts_the_answer(client: openai.OpenAI, name: str) -> None:
    answer = client.chat.completions.create(model="sandbox-chat", messages=HELLO, extra_body={name: 5})
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (
        "This answer comes fr"[:20],
        "length",
    )
    assert answer.usage
    assert answer.usage.completion_tokens == 5


def test_a_stop_text_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="sandbox-chat", messages=HELLO, stop=[" sandbox", "never said"])
    assert answer.choices[0].message.content == "This answer comes from the Tollgate"
    assert answer.choices[0].finish_reason == "stop"


def test_tools_that_the_user_names_are_called_in_parallel(client: openai.OpenAI) -> None:
    asked = user("Get weather and get_time, please")
    answer = client.chat.completions.create(model="sandbox-chat", messages=asked, tools=[WEATHER, TIME])
    one = client.chat.completions.create(
        model="sandbox-chat", messages=asked, tools=[WEATHER, TIME], parallel_tool_calls=False
    )
    none = client.chat.completions.create(model="sandbox-chat", messages=HELLO, tools=[WEATHER, TIME])

    calls = answer.choices[0].message.tool_calls
    assert calls
    assert [call.function.name for call in calls if call.type == "function"] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": "city", "unit": "celsius"}
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("tool_calls", None)
    assert len(one.choices[0].message.tool_calls or []) == 1
    assert none.choices[0].message.tool_calls is None


@pytest.mark.parametrize(
    ("choice", "called", "finish"),
    [
        ("none", [], "stop"),
        ("auto", [], "stop"),
        ("required", ["get_weather"], "tool_calls"),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"], "stop"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TIME]}},
            ["get_time"],
            "tool_calls",
        ),
    ],
)
def test_tool_choice_is_obeyed(client: openai.OpenAI, choice: Any, called: list[str], finish: str) -> None:
    answer = client.chat.completions.create(
        model="sandbox-chat", messages=HELLO, tools=[WEATHER, TIME], tool_choice=choice
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == called
    assert answer.choices[0].finish_reason == finish


def test_a_stream_of_tool_calls_accumulates_to_the_buffered_ones(client: openai.OpenAI) -> None:
    asked = {"model": "sandbox-chat", "messages": user("get weather, get time"), "tools": [WEATHER, TIME]}
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()

    def calls(message: Any) -> list[Any]:
        return [(call.id, call.type, call.function.name, call.function.arguments) for call in message.tool_calls]

    assert calls(final.choices[0].message) == calls(whole.choices[0].message)
    assert len(calls(final.choices[0].message)) == 2
    assert final.choices[0].finish_reason == "tool_calls"


def test_after_the_tools_have_answered_it_talks(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="sandbox-chat", messages=user("get weather"), tools=[WEATHER])
    calls = first.choices[0].message.tool_calls
    assert calls
    conversation: Any = [
        *user("get weather"),
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "21 degrees"},
    ]
    second = client.chat.completions.create(model="sandbox-chat", messages=conversation, tools=[WEATHER])
    assert second.choices[0].message.tool_calls is None
    assert 'The tool answered "21 degrees".' in (second.choices[0].message.content or "")


class Address(BaseModel):
    street: str = Field(min_length=3, max_length=5)
    number: int = Field(ge=10, le=12)


class Person(BaseModel):
    name: str
    age: int
    email: str | None
    addresses: list[Address] = Field(min_length=2)
    share: float = Field(gt=0, lt=1)
    friend: "Person | None"


def test_structured_output_satisfies_the_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="sandbox-chat", messages=HELLO, response_format=Person)
    person = answer.choices[0].message.parsed
    assert person
    assert len(person.addresses) == 2
    assert person.addresses[0].number in (10, 11, 12)

    with client.chat.completions.stream(model="sandbox-chat", messages=HELLO, response_format=Person) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == person


def test_json_mode_answers_with_an_object(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sandbox-chat", messages=HELLO, response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content or "")["sandbox"] is True


async def test_the_asynchronous_client_works_too(async_client: openai.AsyncOpenAI) -> None:
    whole = await async_client.chat.completions.create(model="sandbox-chat", messages=HELLO)
    stream = await async_client.chat.completions.create(model="sandbox-chat", messages=HELLO, stream=True)
    assert text_of([chunk async for chunk in stream]) == whole.choices[0].message.content


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"model": None}, 400, "model", "missing_required_parameter"),
        ({"model": 7}, 400, "model", "invalid_type"),
        ({"model": "gpt-unknown"}, 404, "model", "model_not_found"),
        ({"model": "sandbox-embed"}, 404, "model", None),
        ({"messages": None}, 400, "messages", "missing_required_parameter"),
        ({"messages": "Hello"}, 400, "messages", "invalid_type"),
        ({"messages": []}, 400, "messages", "empty_array"),
        ({"messages": ["Hello"]}, 400, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "x"}]}, 400, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content", "missing_required_parameter"),
        (
            {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            400,
            "messages[0].content[0].type",
            "invalid_value",
        ),
        ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}, 400, "messages[0].role", None),
        ({"n": 0}, 400, "n", "invalid_value"),
        ({"n": "two"}, 400, "n", "invalid_type"),
        ({"stream": "yes"}, 400, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
        ({"temperature": 3}, 400, "temperature", "invalid_value"),
        ({"max_tokens": 0}, 400, "max_tokens", "invalid_value"),
        ({"tool_choice": "required"}, 400, "tool_choice", None),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            400,
            "tool_choice",
            None,
        ),
        ({"tools": [{"type": "function"}]}, 400, "tools[0].function", "missing_required_parameter"),
        (
            {"response_format": {"type": "json_schema"}},
            400,
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}},
            400,
            "response_format",
            "invalid_json_schema",
        ),
    ],
)
def test_bad_input_is_refused_in_openais_words(
    client: openai.OpenAI, change: dict[str, Any], status: int, param: str, code: str | None
) -> None:
    body = {"model": "sandbox-chat", "messages": HELLO, **change}
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/chat/completions", body=body, cast_to=object)
    error = refused.value
    assert (error.status_code, error.param, error.code) == (status, param, code)
    assert error.type == "invalid_request_error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"[" * 5000, b'{"model": "sandbox-chat", "messages": \xff}']
)
def test_what_is_not_a_json_object_is_refused(sandbox_url: str, body: bytes) -> None:
    answer = httpx.post(f"{sandbox_url}/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert "could not parse the JSON body" in answer.json()["error"]["message"]
