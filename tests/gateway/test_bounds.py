"""What a call holds covers what it may cost, whatever its words, and wherever what it reads comes from."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apps.gateway.governance.estimates import Bounds, bounds
from apps.providers.dialects import openai
from tests.support import bodies
from tests.support.governed import budget, priced
from tests.support.tenant import Tenant

CHAT, RESPONSES, EMBEDDINGS = "chat_completions", "responses", "embeddings"
LARGE = 60_000  # tokens, more than any of these bodies has bytes
IMAGE = '{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://pictures.example/1"}}]}'


def bound(body: dict[str, Any] | bytes, endpoint: str, *, context: int | None = None) -> Bounds:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = openai.read_head(raw, endpoint)
    cap = head.output_cap(endpoint)
    return bounds(head, raw, output=endpoint != EMBEDDINGS, output_cap=cap, context=context, longest=None)


def asks(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-test", "max_output_tokens": 5, "input": "Hi", **fields}


@pytest.mark.parametrize(
    "body",
    [
        asks(tools=[{"type": "web_search"}]),
        asks(tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}]),
        asks(tools=[{"type": "function", "name": "f"}, {"type": "mcp", "server_url": "https://tools.example"}]),
        asks(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]),
        asks(tools=[{"type": "a_tool_of_tomorrow"}]),
        asks(tools=["unreadable"]),
        asks(input=[{"type": "item_reference", "id": "msg_1"}]),
        asks(input=[{"role": "user", "content": "Hi"}, {"id": "msg_1"}]),
        asks(previous_response_id="resp_1"),
        b'{"model":"gpt-test","input":"Hi","max_output_tokens":5,"previous\\u005fresponse_id":"resp_1"}',
        b'{"model":"gpt-test","max_output_tokens":5,"input":[{"type":"item\\u005freference","\\u0069d":"msg_1"}]}',
    ],
)
def test_what_is_found_only_at_the_provider_counts_as_all_that_the_model_can_read(body: Any) -> None:
    assert bound(body, RESPONSES).input_tokens >= 1_000_000
    assert bound(body, RESPONSES, context=128_000).input_tokens == 128_000


@pytest.mark.parametrize(
    "body",
    [
        asks(tools=[{"type": "function", "name": "web_search"}, {"type": "custom", "name": "mcp"}]),
        asks(input=[{"type": "message", "role": "assistant", "id": "msg_1", "content": "Hi"}]),
        asks(tools=None, previous_response_id=None, prompt=None),
    ],
)
def test_what_the_client_sends_whole_counts_as_its_bytes(body: dict[str, Any]) -> None:
    found = bound(body, RESPONSES)
    assert (found.input_tokens, found.searches) == (len(json.dumps(body)), 0)


@pytest.mark.parametrize("hidden", ["", "i", "image", "_"])
def test_a_picture_counts_however_its_name_is_spelled(hidden: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in hidden)
    text = IMAGE.replace(hidden, escaped) if hidden else IMAGE
    found = bound(b'{"model": "gpt-test", "max_tokens": 5, "messages": [%b]}' % text.encode(), CHAT)
    assert found.images
    assert found.input_tokens > 100_000


def test_an_earlier_answers_sound_counts() -> None:
    messages = [{"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": "Go on"}]
    assert bound({"model": "gpt-test", "messages": messages}, CHAT).input_tokens > LARGE


def test_the_searches_of_a_chat_are_not_bounded_by_what_bounds_calls_of_tools() -> None:
    body = {"model": "gpt-test", "messages": [], "max_tool_calls": 0, "web_search_options": {}}
    assert bound(body, CHAT).searches == 10
    assert bound(asks(tools=[{"type": "web_search"}], max_tool_calls=3), RESPONSES).searches == 3


def test_an_output_cap_of_0_promises_nothing() -> None:
    assert bound({"model": "gpt-test", "messages": [], "max_tokens": 0}, CHAT).output_tokens > 10_000


def test_many_texts_to_embed_may_be_longer_together_than_the_model_reads_at_once() -> None:
    body = {"model": "embed-test", "input": ["word " * 1000] * 50}
    assert bound(body, EMBEDDINGS, context=8191).input_tokens == len(json.dumps(body))


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("previous_response_id", '"resp_1"', "null"),
        ("background", "true", "false"),
        ("tools", '[{"type":"mcp"}]', "[]"),
    ],
)
def test_a_field_that_is_there_twice_reaches_the_provider_as_it_was_counted(
    acme: Tenant, name: str, first: str, last: str
) -> None:
    priced(acme, input=Decimal(1), output=Decimal(1))
    budget(acme, "100")
    acme.upstream.answers(bodies.response())
    body = f'{{"model":"gpt-test","input":"Hi","max_output_tokens":5,"{name}":{first},"{name}":{last}}}'
    with httpx.Client(base_url=acme.gateway.url, timeout=20) as client:
        answer = client.post("/v1/responses", content=body, headers={"authorization": f"Bearer {acme.token}"})
    assert answer.status_code == 200
    sent = acme.upstream.next_request().body
    assert sent.count(name.encode()) == 1
    assert json.loads(sent)[name] == json.loads(last)
