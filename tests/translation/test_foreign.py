"""What another provider has signed does not go where it is refused; and nothing else is touched."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import endpoints
from apps.providers.translation.foreign import without_foreign

CARRIED = "tollgate.gemini.c2ln"
IN_BASE64 = base64.b64encode(b"tollgate.anthropic.sig").decode()
OWN = {"type": "thinking", "thinking": "Hm", "signature": "sig"}
TEXT = {"type": "text", "text": "Hello"}


def cleaned(endpoint: str, body: dict[str, Any]) -> Any:
    return json.loads(without_foreign(json.dumps(body).encode(), endpoint))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm", "signature": CARRIED},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "redacted_thinking", "data": CARRIED},
    ],
)
def test_messages_lose_the_thoughts_of_others_alone(block: dict[str, Any]) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [block, OWN, TEXT]}]
    body = {"model": "m", "messages": turns, "temperature": 1.0}
    assert cleaned(endpoints.MESSAGES, body) == {
        **body,
        "messages": [turns[0], {"role": "assistant", "content": [OWN, TEXT]}],
    }
    alone = {"messages": [turns[0], {"role": "assistant", "content": [block]}]}
    assert cleaned(endpoints.MESSAGES, alone) == {"messages": [turns[0]]}


def test_responses_lose_the_reasoning_of_others_alone() -> None:
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": CARRIED}
    own = {**foreign, "encrypted_content": "gAAAA"}
    assert cleaned(endpoints.RESPONSES, {"input": [foreign, own]}) == {"input": [own]}


def test_chats_lose_the_fields_that_only_we_read() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    turn = {
        "role": "assistant",
        "reasoning_content": "Hm",
        "reasoning_details": [{"signature": CARRIED}],
        "tool_calls": [{**call, "extra_content": {"google": {}}}],
    }
    kept = {"role": "assistant", "tool_calls": [call]}
    other = {"role": "assistant", "content": "x", "reasoning_content": "of its own"}
    assert cleaned(endpoints.CHAT_COMPLETIONS, {"messages": [turn, other]}) == {"messages": [kept, other]}


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
def test_gemini_loses_the_signatures_of_others_alone(name: str) -> None:
    parts = [{"text": "a", name: IN_BASE64}, {"text": "b", name: "c2ln"}]
    assert cleaned(endpoints.GENERATE_CONTENT, {"contents": [{"parts": parts}]}) == {
        "contents": [{"parts": [{"text": "a"}, parts[1]]}]
    }


ENDPOINTS = [endpoints.MESSAGES, endpoints.RESPONSES, endpoints.CHAT_COMPLETIONS, endpoints.GENERATE_CONTENT]


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, endpoints.EMBEDDINGS])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_what_holds_nothing_foreign_is_left_byte_for_byte(endpoint: str, body: Any) -> None:
    raw = json.dumps({"messages": body, "input": body, "contents": body}, indent=1).encode()
    assert without_foreign(raw, endpoint) == raw


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("items", ["x", 1, None, {}, [1], [[]], [{"content": [1], "parts": [1], "tool_calls": [1]}]])
def test_what_cannot_be_read_is_the_providers_to_refuse(endpoint: str, items: Any) -> None:
    body = {"mark": CARRIED, "marked": IN_BASE64, "messages": items, "input": items, "contents": items}
    assert cleaned(endpoint, body) == body
    assert without_foreign(b'{"a":"tollgate.x', endpoint) == b'{"a":"tollgate.x'
