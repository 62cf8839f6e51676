"""The official OpenAI client, unmodified, in every form that teams use it in."""

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.support import bodies
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def azure(acme: "Tenant", **options: Any) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2024-10-21", max_retries=0, **options
    )


def test_a_chat(acme: "Tenant", upstream: FakeProvider) -> None:
    reply = acme.client().chat.completions.with_raw_response.create(model="gpt-test", messages=HELLO)
    answer = reply.parse()
    assert answer.choices[0].message.content == "Hello"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 11
    assert reply.headers["x-request-id"] == reply.headers["request-id"]
    record = acme.record(reply.headers["x-request-id"])
    assert (record.status, record.input_tokens, record.output_tokens) == (200, 9, 2)
    assert (record.endpoint, record.dialect, record.model_asked, record.model_served) == (
        "chat_completions",
        "openai",
        "gpt-test",
        "gpt-test",
    )
    assert record.credential_id == acme.credential.pk
    assert record.token_id == acme.token_row.pk
    assert record.user_agent.startswith("OpenAI/Python")
    assert str(record.client_address) == "127.0.0.1"


def test_a_streamed_chat_with_and_without_usage(acme: "Tenant", upstream: FakeProvider) -> None:
    client = acme.client()
    plain = list(client.chat.completions.create(model="gpt-test", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in plain) == "Hello"
    assert all(chunk.choices for chunk in plain), "the usage event that we ask for is ours alone"

    asked = list(
        client.chat.completions.create(
            model="gpt-test", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.total_tokens == 11

    assert [(record.input_tokens, record.output_tokens, record.usage_estimated) for record in acme.records(2)] == [
        (9, 2, False),
        (9, 2, False),
    ]


def test_tools(acme: "Tenant", upstream: FakeProvider) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Madrid"}'}}
    answer = bodies.completion()
    answer["choices"][0] |= {
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    upstream.answers(answer)
    tools: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    got = acme.client().chat.completions.create(
        model="gpt-test", messages=HELLO, tools=tools, tool_choice="required", parallel_tool_calls=True
    )
    assert got.choices[0].message.tool_calls is not None
    assert json.loads(got.choices[0].message.tool_calls[0].function.arguments) == {"city": "Madrid"}
    assert upstream.next_request().json["tools"] == tools


def test_structured_output(acme: "Tenant", upstream: FakeProvider) -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    upstream.answers(bodies.completion('{"name":"Madrid"}'))
    got = acme.client().chat.completions.parse(model="gpt-test", messages=HELLO, response_format=City)
    assert got.choices[0].message.parsed == City(name="Madrid")
    assert upstream.next_request().json["response_format"]["json_schema"]["name"] == "City"


def test_embeddings_as_the_client_asks_for_them(acme: "Tenant", upstream: FakeProvider) -> None:
    raw = struct.pack("<3f", 0.6, 0.0, 0.8)
    answer = bodies.embeddings()
    answer["data"][0]["embedding"] = base64.b64encode(raw).decode()
    upstream.answers(answer)
    got = acme.client().embeddings.create(model="embed-test", input="Hello")
    assert got.data[0].embedding == list(struct.unpack("<3f", raw))
    assert upstream.next_request().json["encoding_format"] == "base64"
    record = acme.record()
    assert (record.endpoint, record.input_tokens, record.output_tokens) == ("embeddings", 4, None)


def test_responses_whole_and_streamed(acme: "Tenant", upstream: FakeProvider) -> None:
    client = acme.client()
    assert client.responses.create(model="gpt-test", input="Hello").output_text == "Hello"
    kinds = [event.type for event in client.responses.create(model="gpt-test", input="Hello", stream=True)]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert [(r.endpoint, r.input_tokens, r.output_tokens, r.usage_estimated) for r in acme.records(2)] == [
        ("responses", 9, 2, False),
        ("responses", 9, 2, False),
    ]


def test_models(acme: "Tenant") -> None:
    client = acme.client()
    assert {"gpt-test", "embed-test", "renamed"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("gpt-test").owned_by == "openai_compatible"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-nowhere")
    assert raised.value.code == "model_not_found"


async def test_the_async_client(acme: "Tenant") -> None:
    async with openai.AsyncOpenAI(api_key=acme.token, base_url=acme.gateway.url + "/v1", max_retries=0) as client:
        answer = await client.chat.completions.create(model="gpt-test", messages=HELLO)
        assert answer.choices[0].message.content == "Hello"
        stream = await client.chat.completions.create(model="gpt-test", messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello"


def test_azures_client_with_dated_versions(acme: "Tenant", upstream: FakeProvider) -> None:
    with azure(acme) as client:
        assert client.chat.completions.create(model="gpt-test", messages=HELLO).choices[0].message.content == "Hello"
        assert client.embeddings.create(model="embed-test", input="x", encoding_format="float").data
        assert client.responses.create(model="gpt-test", input="Hello").output_text == "Hello"
        assert "gpt-test" in {model.id for model in client.models.list()}
    with azure(acme, azure_deployment="renamed") as client:  # the deployment wins over the body's model
        client.chat.completions.create(model="gpt-test", messages=HELLO)
    sent = [request.json["model"] for request in upstream.requests]
    assert sent == ["gpt-test", "embed-test", "gpt-test", "upstream/other"]


def test_azures_client_with_a_deployment_whose_name_has_a_slash(acme: "Tenant", upstream: FakeProvider) -> None:
    acme.add_model("team/gpt")
    with azure(acme) as client:
        client.chat.completions.create(model="team/gpt", messages=HELLO)
    assert upstream.next_request().json["model"] == "team/gpt"


def test_the_openai_client_at_azures_v1_address(acme: "Tenant") -> None:
    client = acme.client(at="/openai/v1/")
    assert client.chat.completions.create(model="gpt-test", messages=HELLO).choices[0].message.content == "Hello"


@pytest.mark.parametrize(
    ("api_version", "chat", "responses"),
    [
        (
            "2024-10-21",
            "/openai/deployments/gpt-4o-prod/chat/completions?api-version=2024-10-21",
            "/openai/responses?api-version=2024-10-21",
        ),
        ("", "/openai/v1/chat/completions", "/openai/v1/responses"),
    ],
    ids=["dated", "v1"],
)
def test_an_azure_upstream_is_called_as_azure_wants_it(
    acme: "Tenant", upstream: FakeProvider, api_version: str, chat: str, responses: str
) -> None:
    acme.add_route(
        "gpt-4o", upstream.url, provider="azure_openai", api_version=api_version, upstream_name="gpt-4o-prod"
    )
    client = acme.client()
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    client.responses.create(model="gpt-4o", input="Hello")
    for expected in (chat, responses):
        request = upstream.next_request()
        assert request.path == expected
        assert request.header("api-key") == "sk-upstream-0123456789abcdef"
        assert request.header("authorization") is None
        assert request.json["model"] == "gpt-4o-prod"


def test_a_request_reaches_the_provider_byte_for_byte(acme: "Tenant", upstream: FakeProvider) -> None:
    body = (
        b'{ "model" : "gpt-test",\n\t"messages": [ {"role":"user","content":"\\u00e9\\ud83d\\ude00 \xc3\xa9"} ],'
        b' "temperature": 0.10000000000000000555, "seed": 123456789012345678901234567890,'
        b' "x_unknown": {"a": [1, 2.50, null], "a": 1e400} }'
    )
    reply = acme.http().post("/v1/chat/completions", content=body)
    assert reply.status_code == 200
    assert upstream.next_request().body == body

    reply = acme.http().post("/v1/chat/completions", content=body.replace(b"gpt-test", b"renamed"))
    assert reply.status_code == 200
    renamed = upstream.next_request()
    assert renamed.json["model"] == "upstream/other"
    for kept in (b"0.10000000000000000555", b"123456789012345678901234567890", b'{"a": [1, 2.50, null], "a": 1e400}'):
        assert kept in renamed.body


def test_an_answer_reaches_the_client_byte_for_byte(acme: "Tenant", upstream: FakeProvider) -> None:
    odd = b' {"id":"x", "choices": [], "n": 1.50e3,\n "usage": {"prompt_tokens": 1, "completion_tokens": 2}} '
    upstream.answers(odd)
    assert acme.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HELLO}).content == odd

    large = b'{"usage":{"prompt_tokens":7,"completion_tokens":8},"pad":"' + b"x" * 3_000_000 + b'"}'
    upstream.answers(large)
    reply = acme.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HELLO})
    assert reply.content == large
    record = acme.record(reply.headers["x-request-id"])
    assert (record.input_tokens, record.output_tokens, record.bytes_out) == (7, 8, len(large))


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_compresses_unasked_is_understood(
    acme: "Tenant", upstream: FakeProvider, *, stream: bool
) -> None:
    if stream:
        upstream.streams_raw([bodies.event(bodies.chunk({"content": "Hello"})), bodies.event("[DONE]")], gzip=True)
    else:
        upstream.answers(bodies.completion(), gzip=True)
    reply = acme.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HELLO, "stream": stream})
    assert "content-encoding" not in reply.headers
    assert "Hello" in reply.text
    assert upstream.next_request().header("accept-encoding") == "identity"
