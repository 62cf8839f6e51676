"""A relayed chat reaches a provider in the words that it knows, and unchanged where it knows OpenAI's."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.providers.kinds import KINDS
from apps.providers.translation.chat.suiting import suited_chat

Json = dict[str, Any]
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}}
FORM: Json = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
TOOLS: list[Json] = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
NAMED: Json = {"type": "function", "function": {"name": "g"}}
PAPER: Json = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}


def suited(provider: str, **fields: Any) -> Any:
    return json.loads(suited_chat(json.dumps(fields).encode(), provider))


def test_cohere_takes_a_schema_beside_json_object() -> None:
    assert suited("cohere", model="m", response_format=FORM) == {
        "model": "m",
        "response_format": {"type": "json_object", "schema": SCHEMA},
    }
    for other in ({"type": "json_object"}, {"type": "json_schema"}, "json_schema"):
        assert suited("cohere", response_format=other) == {"response_format": other}


def test_cohere_must_call_the_only_tool_on_offer() -> None:
    assert suited("cohere", tools=TOOLS, tool_choice=NAMED) == {"tools": TOOLS[1:], "tool_choice": "required"}
    for other in ("required", "auto", {"type": "function", "function": {"name": "none of them"}}):
        assert suited("cohere", tools=TOOLS, tool_choice=other) == {"tools": TOOLS, "tool_choice": other}


def test_mistral_has_its_own_words_for_a_seed_and_a_document() -> None:
    assert suited("mistral", seed=7) == {"random_seed": 7}
    assert suited("mistral", seed=7, random_seed=8) == {"seed": 7, "random_seed": 8}
    text = {"type": "text", "text": '"file_data"'}
    (message,) = suited("mistral", messages=[{"role": "user", "content": [text, PAPER]}])["messages"]
    url = {"type": "document_url", "document_url": PAPER["file"]["file_data"], "document_name": "a.pdf"}
    assert message == {"role": "user", "content": [text, url]}


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": "Yes", "reasoning_content": "Hm"}, [True, "Yes"]),
        ({"content": None, "reasoning_content": "Hm"}, [True]),
        ({"reasoning_content": "Hm"}, [True]),
        ({"content": "Yes", "reasoning_content": ""}, "Yes"),
        ({"content": "Yes", "reasoning_content": None}, "Yes"),
    ],
)
def test_mistral_gets_its_thoughts_back_as_the_parts_that_they_were(message: Json, content: Any) -> None:
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", **message}]
    _, sent = suited("mistral", messages=asked)["messages"]
    assert "reasoning_content" not in sent
    parts = {
        True: {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        "Yes": {"type": "text", "text": "Yes"},
    }
    assert sent["content"] == (content if isinstance(content, str) else [parts[part] for part in content])


def test_mistral_gets_no_empty_fields_of_openais_in_messages_that_come_back() -> None:
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [NAMED]}
    assert suited("mistral", messages=[message])["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [NAMED]}
    ]
    refusal = {"role": "assistant", "content": "", "refusal": "I will not"}
    assert suited("mistral", messages=[refusal])["messages"] == [refusal]


@pytest.mark.parametrize("provider", sorted(KINDS))
def test_who_knows_openais_words_gets_the_same_bytes(provider: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": '"seed" "tool_choice"'}], "tools": TOOLS}).encode()
    assert suited_chat(body, provider) is body
    if provider not in ("cohere", "mistral", "moonshot"):
        asked: Json = {
            "seed": 7,
            "response_format": FORM,
            "tools": TOOLS,
            "tool_choice": NAMED,
            "messages": [PAPER, {"refusal": None}],
        }
        body = json.dumps(asked).encode()
        assert suited_chat(body, provider) is body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["messages", "response_format", "tools", "tool_choice", "seed", "extra"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # whatever else the machine does
@given(st.dictionaries(FIELDS, JSON, max_size=6), st.sampled_from(["cohere", "mistral", "moonshot"]))
def test_what_has_no_form_that_is_known_stays_as_it_is(fields: Json, provider: str) -> None:
    sent = suited(provider, **fields, file_data=1, json_schema=1, reasoning_content=1)
    if provider == "mistral" and "seed" in fields:
        fields["random_seed"] = fields.pop("seed")
    assert sent == {**fields, "file_data": 1, "json_schema": 1, "reasoning_content": 1}
