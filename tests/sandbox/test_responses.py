"""The Responses surface of the sandbox, through the official client."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TEXT_EVENTS = ["output_item.added", "content_part.added"]
TEXT_END = ["output_text.done", "content_part.done", "output_item.done"]


def test_text_in_text_out(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-chat", input="Hello", instructions="Be brief.", metadata={"a": "b"})
    assert answer.output_text.startswith("This answer comes from the Tollgate sandbox")
    assert (answer.status, answer.metadata, answer.instructions) == ("completed", {"a": "b"}, "Be brief.")
    assert answer.usage
    assert answer.usage.output_tokens == -(-len(answer.output_text) // 4)
    assert answer.usage.input_tokens == 3 + 4 + 3 + 4 + 2


def test_a_response_holds_every_field_that_strict_clients_require(client: openai.OpenAI) -> None:
    body = json.loads(client.responses.with_raw_response.create(model="sandbox-chat", input="Hello").content)
    assert body.keys() >= {
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    }


def test_events_come_in_order_and_numbered(client: openai.OpenAI) -> None:
    whole = client.responses.create(model="sandbox-chat", input="Hello")
    events = list(client.responses.create(model="sandbox-chat", input="Hello", stream=True))

    names = [event.type.removeprefix("response.") for event in events]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert names == [
        "created", "in_progress", *TEXT_EVENTS, *["output_text.delta"] * len(deltas), *TEXT_END, "completed",
    ]  # fmt: skip
    assert "".join(deltas) == whole.output_text
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response == whole


def test_functions_are_called_and_their_results_talked_about(client: openai.OpenAI) -> None:
    first = client.responses.create(model="sandbox-chat", input="Please get weather", tools=[WEATHER])
    call = first.output[0]
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "city"})
    assert call.id != call.call_id

    conversation: Any = [
        {"role": "user", "content": "Please get weather"},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"},
    ]
    second = client.responses.create(model="sandbox-chat", input=conversation, tools=[WEATHER])
    assert 'The tool answered "21 degrees".' in second.output_text


def test_function_calls_stream_their_arguments(client: openai.OpenAI) -> None:
    asked: Any = {"model": "sandbox-chat", "input": "get weather", "tools": [WEATHER]}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))

    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    names = [event.type for event in events]
    assert whole.output[0].type == "function_call"
    assert "".join(deltas) == whole.output[0].arguments
    assert names[2] == "response.output_item.added"
    assert names[-3:] == ["response.function_call_arguments.done", "response.output_item.done", "response.completed"]


class Verdict(BaseModel):
    guilty: bool
    reason: str


def test_structured_output_satisfies_the_schema(client: openai.OpenAI) -> None:
    answer = client.responses.parse(model="sandbox-chat", input="Hello", text_format=Verdict)
    assert answer.output_parsed == Verdict(guilty=True, reason="reason")
    with client.responses.stream(model="sandbox-chat", input="Hello", text_format=Verdict) as stream:
        assert stream.get_final_response().output_parsed == answer.output_parsed


def test_a_limit_on_tokens_leaves_the_response_incomplete(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-chat", input="Hello", max_output_tokens=16)
    events = list(client.responses.create(model="sandbox-chat", input="Hello", max_output_tokens=16, stream=True))
    assert answer.status == "incomplete"
    assert answer.incomplete_details
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"


def test_reasoning_is_counted(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="sandbox-chat", input="Hello", reasoning={"effort": "high"})
    assert answer.usage
    assert answer.usage.output_tokens_details.reasoning_tokens == 64


async def test_the_asynchronous_client_works_too(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.responses.create(model="sandbox-chat", input="Hello", stream=True)
    assert [event.type async for event in stream][-1] == "response.completed"


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"input": None}, 400, "input", "missing_required_parameter"),
        ({"input": 7}, 400, "input", "invalid_type"),
        ({"input": [{"role": "king", "content": "x"}]}, 400, "input[0].role", "invalid_value"),
        ({"model": "nope"}, 404, "model", "model_not_found"),
        ({"previous_response_id": "resp_1"}, 400, "previous_response_id", "previous_response_not_found"),
        ({"background": True}, 400, "background", None),
        (
            {"text": {"format": {"type": "json_schema", "name": "x"}}},
            400,
            "text.format.schema",
            "missing_required_parameter",
        ),
    ],
)
def test_bad_input_is_refused_in_openais_words(
    client: openai.OpenAI, change: dict[str, Any], status: int, param: str, code: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/responses", body={"model": "sandbox-chat", "input": "Hello", **change}, cast_to=object)
    assert (refused.value.status_code, refused.value.param, refused.value.code) == (status, param, code)
