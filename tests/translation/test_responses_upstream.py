"""Requests to models that have nothing but Responses: what is written, and what is lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import UnsupportedParameter
from apps.providers.translation.form import (
    Audio,
    File,
    Format,
    Image,
    Message,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from apps.providers.translation.losses import Losses
from apps.providers.translation.responses import SPOKEN
from apps.providers.translation.upstream import Upstream
from tests.translation import strategies

PRO = Upstream(provider="openai", model="gpt-5-pro", caps=frozenset({"reasoning", "tools"}))
PLAIN = Upstream(provider="openai", model="gpt-plain", caps=frozenset({"tools"}))
UNKNOWN = Upstream(provider="vllm", model="theirs")


def written(request: Request, upstream: Upstream = PRO, mode: str = "warn") -> tuple[dict[str, Any], list[str]]:
    losses = Losses(mode, SPOKEN.title)
    return json.loads(SPOKEN.write_request(request, upstream, losses)), losses.names


def asking(*messages: Message, **fields: Any) -> Request:
    return Request(model="asked", messages=list(messages) or [Message("user", [Text("Hi")])], **fields)


def body(*messages: Message, upstream: Upstream = PRO, **fields: Any) -> dict[str, Any]:
    found, lost = written(asking(*messages, **fields), upstream)
    assert lost == []
    return found


def test_nothing_is_stored_and_thoughts_come_with_their_proof() -> None:
    assert body() == {
        "model": "gpt-5-pro",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_a_model_that_does_not_think_is_not_asked_for_proof() -> None:
    assert "include" not in body(upstream=PLAIN)
    assert "include" not in body(upstream=UNKNOWN)
    assert "include" not in body(reasoning=Reasoning(effort="none"))
    assert body(upstream=UNKNOWN, reasoning=Reasoning(effort="low"))["include"] == ["reasoning.encrypted_content"]


def test_fields_are_written() -> None:
    found = body(
        system=[Text("a"), Text("b")],
        max_output=100,
        temperature=0.5,
        top_p=0.9,
        logprobs=2,
        verbosity="low",
        user="who",
        cache_key="key",
        service_tier="standard_only",
        metadata={"a": "b"},
        stream=True,
    )
    assert found["instructions"] == "a\n\nb"
    assert found["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert found["text"] == {"verbosity": "low"}
    names = ("max_output_tokens", "temperature", "top_p", "top_logprobs", "user", "prompt_cache_key", "service_tier")
    assert [found[name] for name in names] == [100, 0.5, 0.9, 2, "who", "key", "default"]
    assert (found["metadata"], found["stream"]) == ({"a": "b"}, True)


def test_tools_are_no_stricter_than_they_were() -> None:
    schema = {"type": "object", "properties": {"a": {}}}
    tools = [Tool(name="f", description="does", parameters=schema, strict=True), Tool(name="g")]
    assert body(tools=tools, parallel_tools=False)["tools"] == [
        {"type": "function", "name": "f", "parameters": schema, "strict": True, "description": "does"},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="required", names=["f"]), {"type": "function", "name": "f"}),
        (
            ToolChoice(names=["f", "g"]),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            },
        ),
    ],
)
def test_a_choice_is_written(choice: ToolChoice, said: Any) -> None:
    assert body(tools=[Tool(name="f"), Tool(name="g")], tool_choice=choice)["tool_choice"] == said


def test_a_choice_among_no_tools_is_not_written() -> None:
    assert "tool_choice" not in body(tool_choice=ToolChoice(mode="none"), parallel_tools=True)


def test_a_format_is_written() -> None:
    schema = {"type": "object"}
    assert body(format=Format())["text"] == {"format": {"type": "json_object"}}
    assert body(format=Format(schema=schema))["text"]["format"] == {
        "type": "json_schema",
        "name": "answer",
        "schema": schema,
    }
    told = body(format=Format(schema=schema, name="n", description="d", strict=False))["text"]["format"]
    assert told == {"type": "json_schema", "name": "n", "schema": schema, "description": "d", "strict": False}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Reasoning(effort="high", shown=True), {"effort": "high", "summary": "auto"}),
        (Reasoning(shown=True), {"summary": "auto"}),
        (Reasoning(budget=-1), None),
        (Reasoning(budget=0, shown=True), {"effort": "none"}),
        (Reasoning(budget=1024), {"effort": "low"}),
        (Reasoning(budget=8000), {"effort": "medium"}),
        (Reasoning(budget=16000), {"effort": "high"}),
        (Reasoning(budget=64000), {"effort": "high"}),
    ],
)
def test_how_much_to_think_is_written(asked: Reasoning, said: Any) -> None:
    assert body(reasoning=asked).get("reasoning") == said


def test_thinking_is_asked_of_nobody_who_cannot() -> None:
    found, lost = written(asking(reasoning=Reasoning(effort="high", shown=True)), PLAIN)
    assert "reasoning" not in found
    assert lost == ["reasoning_effort"]
    assert "reasoning" not in body(upstream=PLAIN, reasoning=Reasoning(effort="none"))


def test_a_model_that_always_thinks_is_asked_for_the_least_where_that_may_be() -> None:
    upstream = Upstream(
        provider="openai", model="m", caps=frozenset({"reasoning", "no_effort_none", "no_effort_minimal"})
    )
    with pytest.raises(UnsupportedParameter, match="low"):
        written(asking(reasoning=Reasoning(effort="none")), upstream)
    found, _ = written(asking(reasoning=Reasoning(effort="none")), upstream, "drop")
    assert found["reasoning"] == {"effort": "low"}
    found, lost = written(asking(reasoning=Reasoning(effort="minimal")), upstream)
    assert (found["reasoning"], lost) == ({"effort": "low"}, ["reasoning_effort"])


def test_a_long_talk_keeps_its_order() -> None:
    found = body(
        Message("user", [Text("a"), Image(url="https://a.example/i.png"), Image(data="AAAA", media_type="image/png")]),
        Message(
            "assistant",
            [
                Thinking(text="t", signature="own", origin="openai_responses"),
                Thinking(signature="hid", origin="openai_responses", redacted=True),
                Thinking(text="theirs", signature="s", origin="anthropic"),
                Text("b"),
                ToolCall(id="c1", name="f", arguments='{"x":1}'),
                ToolCall(id="c2", name="g", arguments="free", custom=True),
            ],
        ),
        Message(
            "user",
            [
                ToolResult(id="c1", parts=[Text("1"), Text("2")]),
                ToolResult(id="c2", parts=[Text("3"), Image(data="BBBB", media_type="image/png")], is_error=True),
                File(data="CCCC", media_type="application/pdf"),
                File(text="plain", name="a.txt"),
            ],
        ),
        Message("system", [Text("d")]),
        Message("assistant", [Refusal("no")]),
    )
    picture = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"}
    other = {"type": "input_image", "detail": "auto", "image_url": "https://a.example/i.png"}
    result = [{"type": "input_text", "text": "Error:"}, {"type": "input_text", "text": "3"}]
    result.append(picture | {"image_url": "data:image/png;base64,BBBB"})
    file = {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,CCCC"}
    assert found["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, other, picture]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "own"},
        {"type": "reasoning", "summary": [], "encrypted_content": "hid"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "free"},
        {"type": "function_call_output", "call_id": "c1", "output": "1\n2"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": result},
        {"type": "message", "role": "user", "content": [file, {"type": "input_text", "text": "a.txt\n\nplain"}]},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "d"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["END"]}, "stop"),
        ({"seed": 7}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -0.5}, "presence_penalty"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        (
            {"messages": [Message("user", [Text("a"), Audio(data="A", media_type="audio/wav")])]},
            "messages[0].content[1]",
        ),
        ({"messages": [Message("assistant", [Image(data="A", media_type="image/png")])]}, "messages[0].content[0]"),
    ],
)
def test_what_has_no_field_is_refused_or_dropped(fields: dict[str, Any], name: str) -> None:
    request = Request(**{"model": "m", "messages": [Message("user", [Text("a")])]} | fields)
    with pytest.raises(UnsupportedParameter) as refused:
        written(request)
    assert refused.value.param == name
    found, _ = written(request, mode="drop")
    assert name not in found


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"top_k": 40}, "top_k"),
        ({"service_tier": "unheard_of"}, "service_tier"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"system": [Text("a", cache="5m")]}, "cache_control"),
        ({"tools": [Tool(name="f", cache="1h")]}, "cache_control"),
        ({"messages": [Message("user", [Text("a", cache="5m")])]}, "cache_control"),
        ({"messages": [Message("user", [Text("a")], name="Ada")]}, "messages[0].name"),
    ],
)
def test_a_hint_without_a_field_is_named(fields: dict[str, Any], name: str) -> None:
    request = Request(**{"model": "m", "messages": [Message("user", [Text("a")])]} | fields)
    assert written(request)[1] == [name]
    with pytest.raises(UnsupportedParameter):
        written(request, mode="strict")


def test_what_changes_nothing_is_not_lost() -> None:
    body(n=1, frequency_penalty=0, presence_penalty=0.0, logit_bias={}, metadata={})


# --- There and back ---

IDS = st.sampled_from(["c1", "c2", "c3"])
TEXT_PARTS = st.builds(Text, strategies.TEXTS)
USER_PARTS = st.one_of(
    TEXT_PARTS,
    st.builds(Image, data=st.just("AAAA"), media_type=st.just("image/webp"), detail=st.sampled_from(["low", "auto"])),
    st.builds(Image, url=st.just("https://a.example/i.png"), detail=st.just("high")),
    st.builds(File, data=st.just("AAAA"), media_type=st.just("application/pdf"), name=st.just("a.pdf")),
)
MODEL_PARTS = st.one_of(
    TEXT_PARTS,
    st.builds(Refusal, strategies.TEXTS),
    st.builds(Thinking, text=strategies.TEXTS, signature=strategies.SIGNATURES, origin=st.just("openai_responses")),
    st.builds(ToolCall, id=IDS, name=strategies.NAMES, arguments=strategies.ARGUMENTS),
)
RESULTS = st.builds(ToolResult, id=IDS, parts=st.lists(TEXT_PARTS, min_size=1, max_size=1))


TOOLS = st.builds(Tool, name=strategies.NAMES, parameters=st.just({"type": "object"}), strict=st.booleans())


@st.composite
def talks(draw: st.DrawFn) -> list[Message]:
    """Turns of the user and the model, one after the other, with results first in the user's."""
    found: list[Message] = []
    for turn in range(draw(st.integers(1, 4))):
        if turn % 2:
            found.append(Message("assistant", draw(st.lists(MODEL_PARTS, min_size=1, max_size=4))))
        elif turn and draw(st.booleans()):
            found.append(Message("user", list(draw(st.lists(RESULTS, min_size=1, max_size=2)))))
        else:
            found.append(Message("user", draw(st.lists(USER_PARTS, min_size=1, max_size=3))))
    return found


@given(
    messages=talks(),
    system=st.lists(TEXT_PARTS, max_size=1),
    temperature=st.none() | st.floats(0, 2),
    max_output=st.none() | st.integers(1, 9999),
    reasoning=st.none()
    | st.builds(Reasoning, effort=st.sampled_from(["low", "high"]), shown=st.sampled_from([None, True])),
    tools=st.lists(TOOLS, max_size=2),
    stream=st.booleans(),
    user=st.sampled_from(["", "who"]),
)
def test_a_request_comes_back_as_it_was(**fields: Any) -> None:
    request = Request(model="gpt-5-pro", **fields)
    losses = Losses("strict", SPOKEN.title)
    again = SPOKEN.read_request(SPOKEN.write_request(request, PRO, losses), "", None)
    names: dict[str, str] = {}
    for part in (part for message in request.messages for part in message.parts):
        if isinstance(part, ToolCall):
            names[part.id] = part.name
        elif isinstance(part, ToolResult):
            part.name = names.get(part.id, "")
    again.echo = {}
    assert again == request
    assert losses.names == []


def test_writing_changes_nothing_of_the_request() -> None:
    request = asking(
        Message("assistant", [Thinking(text="t", signature="s", origin="gemini"), Text("a")]), tools=[Tool(name="f")]
    )
    first = written(request)
    assert written(request) == first
