"""Requests written to Anthropic: what each model takes, in turns that it accepts, and every loss by its name."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidValue, UnsupportedParameter
from apps.providers.translation.form import (
    Audio,
    File,
    Format,
    Image,
    Message,
    Part,
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
from apps.providers.translation.messages import SPOKEN
from apps.providers.translation.upstream import Upstream

type Json = dict[str, Any]

HELLO = Message("user", [Text("Hello")])
ADAPTIVE = ["adaptive_thinking", "json_schema", "no_prefill", "no_sampling_params", "mid_system", "tools"]
ALWAYS = [*ADAPTIVE, "thinking_always_on", "no_forced_tool_choice"]
BUDGET = ["budget_thinking", "json_schema", "prefill", "tools"]


def model(*caps: str, longest: int | None = 64_000, efforts: tuple[str, ...] = ()) -> Upstream:
    return Upstream(provider="anthropic", model="claude-up", longest=longest, caps=frozenset(caps), efforts=efforts)


UNKNOWN = model(longest=None)
NEW, OLD, THINKER = model(*ADAPTIVE), model(*BUDGET), model(*ALWAYS)


def write(*messages: Message, to: Upstream = OLD, mode: Any = "warn", **fields: Any) -> tuple[Json, list[str]]:
    """The body, and what was left out."""
    losses = Losses(mode, SPOKEN.title)
    request = Request(model="asked", messages=list(messages) or [HELLO], **fields)
    return json.loads(SPOKEN.write_request(request, to, losses)), losses.names


def refused(*messages: Message, to: Upstream = OLD, mode: Any = "warn", **fields: Any) -> str:
    """The path that is refused, and that the message names it."""
    with pytest.raises(UnsupportedParameter) as caught:
        write(*messages, to=to, mode=mode, **fields)
    assert caught.value.param is not None
    assert f"'{caught.value.param}'" in caught.value.message
    assert "Anthropic's Messages" in caught.value.message
    return caught.value.param


def turns(*messages: Message, **options: Any) -> list[Json]:
    found: list[Json] = write(*messages, **options)[0]["messages"]
    return found


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def test_the_least_request() -> None:
    assert write() == (
        {
            "model": "claude-up",
            "max_tokens": 32_000,
            "messages": [{"role": "user", "content": [text("Hello")]}],
        },
        [],
    )


@pytest.mark.parametrize(
    ("asked", "longest", "expected"),
    [
        (None, None, 8192),
        (None, 4096, 4096),
        (None, 128_000, 32_000),
        (50, 4096, 50),
        (9000, 4096, 4096),
        (9000, None, 9000),
    ],
)
def test_max_tokens_is_always_there_and_never_more_than_the_model_can(
    asked: int | None, longest: int | None, expected: int
) -> None:
    assert write(max_output=asked, to=model(longest=longest))[0]["max_tokens"] == expected


# --- Turns ---


def test_turns_alternate_and_empty_texts_are_left_out() -> None:
    assert turns(
        HELLO,
        Message("user", [Text(""), Text("again"), Text(" \n")]),
        Message("assistant", [Text("Hi"), Refusal("No.")]),
        Message("assistant", [Text("")]),
        Message("user", [Text("So?")]),
    ) == [
        {"role": "user", "content": [text("Hello"), text("again")]},
        {"role": "assistant", "content": [text("Hi"), text("No.")]},
        {"role": "user", "content": [text("So?")]},
    ]


def test_results_come_first_in_one_turn_in_the_order_of_their_calls() -> None:
    def result(call: str) -> ToolResult:
        return ToolResult(id=call, parts=[Text(call)])

    found = turns(
        HELLO,
        Message("assistant", [ToolCall(id="a", name="one"), ToolCall(id="b", name="two", arguments='{"x": 1.50}')]),
        Message("user", [result("b")]),
        Message("user", [Text("and this")]),
        Message("user", [result("a")]),
    )
    assert [block.get("tool_use_id", block.get("text")) for block in found[2]["content"]] == ["a", "b", "and this"]
    assert found[1]["content"][1] == {"type": "tool_use", "id": "b", "name": "two", "input": {"x": 1.5}}
    assert found[2]["content"][0] == {"type": "tool_result", "tool_use_id": "a", "content": [text("a")]}


def test_arguments_are_sent_as_the_model_wrote_them() -> None:
    arguments = '{"big": 123456789012345678901234567890, "a":\n1.50}'
    losses = Losses("warn", "x")
    request = Request(
        model="m", messages=[HELLO, Message("assistant", [ToolCall(id="a", name="b", arguments=arguments)]), HELLO]
    )
    assert arguments.encode() in SPOKEN.write_request(request, OLD, losses)


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', "null", "7", "{} {}"])
def test_arguments_that_are_no_object_are_refused_in_every_mode(arguments: str) -> None:
    call = Message("assistant", [ToolCall(id="a", name="b", arguments=arguments)])
    assert refused(HELLO, call, HELLO, mode="drop") == "messages[1].tool_calls"


def test_arguments_that_are_missing_are_none() -> None:
    assert (
        turns(HELLO, Message("assistant", [ToolCall(id="a", name="b", arguments="")]), HELLO)[1]["content"][0]["input"]
        == {}
    )


def test_ids_of_calls_pass_unchanged_or_are_made_legal_alike() -> None:
    given = ["toolu_1", "call_a-B", "functions.x:0", "functions_x:0", ""]
    found = turns(
        HELLO,
        Message("assistant", [ToolCall(id=each, name="x") for each in given]),
        Message("user", [ToolResult(id=each) for each in given]),
    )
    sent = [block["id"] for block in found[1]["content"]]
    assert sent[:2] == given[:2]
    assert all(each and each.replace("-", "").replace("_", "").isalnum() for each in sent)
    assert len(set(sent)) == len(given)
    assert [block["tool_use_id"] for block in found[2]["content"]] == sent


def test_results_with_pictures_errors_and_nothing() -> None:
    picture = Image(data="AAAA", media_type="image/png")
    results: list[Part] = [
        ToolResult(id="a", parts=[Text("see"), picture], is_error=True, cache="5m"),
        ToolResult(id="b", parts=[Text(" ")]),
    ]
    calls: list[Part] = [ToolCall(id="a", name="x"), ToolCall(id="b", name="x")]
    found = turns(HELLO, Message("assistant", calls), Message("user", results))
    assert found[2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                text("see"),
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ],
            "is_error": True,
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "tool_result", "tool_use_id": "b"},
    ]


def test_instructions_are_the_systems() -> None:
    body, _ = write(Message("system", [Text("two")]), HELLO, system=[Text("one", "1h"), Text("")])
    assert body["system"] == [{**text("one"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}, text("two")]
    assert body["messages"] == [{"role": "user", "content": [text("Hello")]}]


def test_instructions_alone_are_what_the_user_asks() -> None:
    body, names = write(Message("system", [Text("Say hello")]), system=[Text("Be brief")])
    assert (body["system"], body["messages"]) == (
        [text("Be brief")],
        [{"role": "user", "content": [text("Say hello")]}],
    )
    assert names == []


def test_instructions_in_between_are_the_systems_where_the_model_knows_such() -> None:
    said = [
        HELLO,
        Message("system", [Text("From now on")]),
        Message("assistant", [ToolCall(id="a", name="x")]),
        Message("system", [Text("Hurry")]),
        Message("user", [ToolResult(id="a")]),
        Message("system", [Text("At last")]),
    ]
    result = {"type": "tool_result", "tool_use_id": "a"}
    assert [(each["role"], each["content"]) for each in turns(*said, to=NEW)] == [
        ("user", [text("Hello")]),
        ("system", [text("From now on")]),
        ("assistant", [{"type": "tool_use", "id": "a", "name": "x", "input": {}}]),
        ("user", [result]),
        ("system", [text("Hurry"), text("At last")]),
    ]
    assert [(each["role"], each["content"]) for each in turns(*said, to=OLD)] == [
        ("user", [text("Hello"), text("From now on")]),
        ("assistant", [{"type": "tool_use", "id": "a", "name": "x", "input": {}}]),
        ("user", [result, text("Hurry"), text("At last")]),
    ]


def test_a_conversation_that_the_assistant_begins_has_a_user_before_it() -> None:
    body, names = write(Message("assistant", [Text("How may I help?")]), HELLO)
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert names == ["messages[0].role"]


def test_an_answer_that_was_begun_goes_on_where_the_model_can() -> None:
    begun = Message("assistant", [Text("Once upon \n")])
    assert turns(HELLO, begun, to=OLD)[-1] == {"role": "assistant", "content": [text("Once upon")]}
    assert refused(HELLO, begun, to=NEW, mode="drop") == "messages[1]"


def test_nothing_to_say_is_refused() -> None:
    assert refused(Message("user", [Text(" ")]), mode="drop") == "messages"


def test_names_are_hints() -> None:
    assert write(Message("user", [Text("Hi")], name="ann"))[1] == ["messages[0].name"]


# --- Thoughts ---


def test_only_its_own_thoughts_go_back_and_as_they_came() -> None:
    thoughts: list[Part] = [
        Thinking(text="mine", signature="sig", origin="anthropic"),
        Thinking(signature="hidden", origin="anthropic", redacted=True),
        Thinking(text="another's", signature="sig", origin="gemini"),
        Thinking(text="nobody's"),
        ToolCall(id="a", name="x", signature="s", origin="gemini"),
    ]
    body, names = write(HELLO, Message("assistant", thoughts), Message("user", [ToolResult(id="a")]))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "sig"},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "tool_use", "id": "a", "name": "x", "input": {}},
    ]
    assert names == []


@pytest.mark.parametrize(
    ("asked", "thinking", "effort"),
    [
        (Reasoning(effort="minimal"), {"type": "adaptive"}, "low"),
        (Reasoning(effort="low"), {"type": "adaptive"}, "low"),
        (Reasoning(effort="xhigh"), {"type": "adaptive"}, "xhigh"),
        (Reasoning(effort="max", shown=True), {"type": "adaptive", "display": "summarized"}, "max"),
        (Reasoning(effort="high", shown=False), {"type": "adaptive", "display": "omitted"}, "high"),
        (Reasoning(budget=-1), {"type": "adaptive"}, None),
        (Reasoning(budget=1024), {"type": "adaptive"}, "low"),
        (Reasoning(budget=5000), {"type": "adaptive"}, "medium"),
        (Reasoning(budget=20_000), {"type": "adaptive"}, "high"),
        (Reasoning(budget=60_000), {"type": "adaptive"}, "xhigh"),
        (Reasoning(effort="none"), {"type": "disabled"}, None),
        (Reasoning(budget=0), {"type": "disabled"}, None),
        (Reasoning(), None, None),
        (None, None, None),
    ],
)
def test_how_much_an_adaptive_model_thinks(asked: Reasoning | None, thinking: Json | None, effort: str | None) -> None:
    body, names = write(reasoning=asked, to=NEW)
    assert (body.get("thinking"), body.get("output_config", {}).get("effort"), names) == (thinking, effort, [])


@pytest.mark.parametrize(
    ("asked", "max_output", "budget"),
    [
        (Reasoning(effort="minimal"), None, 1024),
        (Reasoning(effort="low"), None, 1024),
        (Reasoning(effort="medium"), None, 8192),
        (Reasoning(effort="high"), 64_000, 24_576),
        (Reasoning(effort="max"), 64_000, 32_768),
        (Reasoning(effort="high"), 4000, 3000),
        (Reasoning(effort="high"), 1100, 1024),
        (Reasoning(budget=2000), 2000, 1999),
        (Reasoning(budget=10), None, 1024),
        (Reasoning(budget=-1), None, 8192),
    ],
)
def test_how_much_a_model_with_a_budget_thinks(asked: Reasoning, max_output: int | None, budget: int) -> None:
    body, names = write(reasoning=asked, max_output=max_output, to=OLD)
    assert (body["thinking"], names) == ({"type": "enabled", "budget_tokens": budget}, [])
    assert budget < body["max_tokens"]


def test_a_model_that_always_thinks_cannot_be_told_not_to() -> None:
    assert refused(reasoning=Reasoning(effort="none"), to=THINKER) == "reasoning_effort"
    body, names = write(reasoning=Reasoning(effort="none"), to=THINKER, mode="drop")
    assert "thinking" not in body
    assert names == ["reasoning_effort"]


def test_an_effort_that_the_model_does_not_offer_becomes_the_next_lower_one() -> None:
    few = model(*ADAPTIVE, efforts=("low", "medium", "high", "max"))
    assert write(reasoning=Reasoning(effort="xhigh"), to=few)[0]["output_config"] == {"effort": "high"}
    assert write(reasoning=Reasoning(effort="low"), to=model(*ADAPTIVE, efforts=("high",)))[0]["output_config"] == {
        "effort": "high"
    }


@pytest.mark.parametrize("to", [UNKNOWN, model("tools"), model(*BUDGET, longest=1024)])
def test_a_model_that_may_not_be_able_to_think_is_not_told_to(to: Upstream) -> None:
    body, names = write(reasoning=Reasoning(effort="high"), to=to)
    assert "thinking" not in body
    assert names == ["reasoning_effort"]
    assert write(reasoning=Reasoning(effort="none"), to=to)[1] == []


def test_a_model_with_a_budget_does_not_think_where_it_would_be_refused() -> None:
    called = Message("assistant", [ToolCall(id="a", name="x")])
    result = Message("user", [ToolResult(id="a")])
    proven = Message("assistant", [Thinking(text="t", signature="s", origin="anthropic"), ToolCall(id="a", name="x")])
    effort, tools = Reasoning(effort="high"), [Tool(name="x")]
    forced = ToolChoice(mode="required")
    for messages, options in (
        ([HELLO, called, result], {}),
        ([HELLO], {"tools": tools, "tool_choice": forced}),
        ([HELLO, Message("assistant", [Text("Once")])], {}),
    ):
        body, names = write(*messages, reasoning=effort, to=OLD, **options)
        assert "thinking" not in body
        assert names == ["reasoning_effort"]
    assert write(HELLO, proven, result, reasoning=effort, to=OLD)[0]["thinking"]["type"] == "enabled"
    assert write(HELLO, called, result, reasoning=effort, to=NEW)[0]["thinking"]["type"] == "adaptive"


# --- Pictures, files, sound ---


def test_pictures_are_sent_in_the_forms_that_it_takes() -> None:
    def source(image: Image) -> Json:
        found: Json = turns(Message("user", [image]))[0]["content"][0]["source"]
        return found

    assert source(Image(url="https://a.example/a.png")) == {"type": "url", "url": "https://a.example/a.png"}
    for media_type in ("image/jpg", "image/jpeg", "IMAGE/JPEG; q=1"):
        assert source(Image(data="AAAA", media_type=media_type))["media_type"] == "image/jpeg"
    assert refused(Message("user", [Image(data="AAAA", media_type="image/tiff")])) == "messages[0].content[0]"
    assert refused(Message("user", [Image(file_id="file_1")])) == "messages[0].content[0]"
    assert refused(HELLO, Message("assistant", [Image(url="https://a.example")]), HELLO) == "messages[1].content[0]"
    assert write(Message("user", [Image(url="https://a.example", detail="low")]))[1] == [
        "messages[0].content[0].detail"
    ]
    assert write(Message("user", [Image(url="https://a.example", detail="auto")]))[1] == []


def test_documents_are_sent_in_the_forms_that_it_takes() -> None:
    def block(file: File) -> Json:
        found: Json = turns(Message("user", [file]))[0]["content"][0]
        return found

    assert block(File(data="AAAA", media_type="application/pdf", name="a.pdf", cache="5m")) == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        "title": "a.pdf",
        "cache_control": {"type": "ephemeral"},
    }
    plain = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    assert block(File(text="Grüße"))["source"] == plain
    assert block(File(data="R3LDvMOfZQ==", media_type="text/markdown; charset=utf-8"))["source"] == plain
    assert block(File(url="https://a.example/a.pdf", media_type="application/pdf"))["source"]["type"] == "url"
    for file in (
        File(data="AAAA", media_type="application/msword"),
        File(file_id="file_1"),
        File(url="https://a.example/a.csv", media_type="text/csv"),
        File(),
    ):
        assert refused(Message("user", [file])) == "messages[0].content[0]"


def test_what_cannot_be_shown_is_left_out_where_an_operator_wants_it_so() -> None:
    said = Message("user", [Text("Listen"), Audio(data="AAAA", media_type="audio/wav")])
    assert refused(said) == "messages[0].content[1]"
    body, names = write(said, mode="drop")
    assert body["messages"] == [{"role": "user", "content": [text("Listen")]}]
    assert names == ["messages[0].content[1]"]


# --- Tools ---


def test_tools_and_their_schemas() -> None:
    body, names = write(
        tools=[
            Tool(
                name="a",
                description="A",
                parameters={"type": "object", "properties": {"x": {"minimum": 1}}},
                cache="1h",
            ),
            Tool(name="b"),
            Tool(name="c", parameters={"properties": {}}, strict=False),
        ]
    )
    assert body["tools"] == [
        {
            "name": "a",
            "description": "A",
            "input_schema": {"type": "object", "properties": {"x": {"minimum": 1}}},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"name": "b", "input_schema": {"type": "object", "properties": {}}},
        {"name": "c", "input_schema": {"properties": {}, "type": "object"}},
    ]
    assert names == []


def test_strict_tools_are_closed_and_bounds_are_told_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer", "minimum": 1, "description": "A count"}},
        "required": ["x"],
    }
    body, names = write(tools=[Tool(name="a", parameters=schema, strict=True)])
    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {"x": {"type": "integer", "description": 'A count\n\n{"minimum":1}'}},
        "required": ["x"],
        "additionalProperties": False,
    }
    assert names == ["tools[0].parameters"]
    body, names = write(tools=[Tool(name="a", parameters=schema, strict=True)], to=model("tools"))
    assert "strict" not in body["tools"][0]
    assert names == ["tools[0].strict"]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected", "offered"),
    [
        (None, None, None, "ab"),
        (None, True, None, "ab"),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, "ab"),
        (ToolChoice(mode="auto"), None, {"type": "auto"}, "ab"),
        (ToolChoice(mode="none"), False, {"type": "none"}, "ab"),
        (ToolChoice(mode="required"), None, {"type": "any"}, "ab"),
        (
            ToolChoice(mode="required", names=["b"]),
            False,
            {"type": "tool", "name": "b", "disable_parallel_tool_use": True},
            "ab",
        ),
        (ToolChoice(mode="required", names=["b", "c"]), None, {"type": "any"}, "b"),
        (ToolChoice(mode="auto", names=["a"]), None, {"type": "auto"}, "a"),
    ],
)
def test_how_tools_are_chosen(
    choice: ToolChoice | None, parallel: bool | None, expected: Json | None, offered: str
) -> None:
    body, names = write(tools=[Tool(name="a"), Tool(name="b")], tool_choice=choice, parallel_tools=parallel)
    assert (body.get("tool_choice"), names) == (expected, [])
    assert "".join(tool["name"] for tool in body["tools"]) == offered


def test_a_model_that_cannot_be_made_to_call_a_tool_is_not() -> None:
    options: Any = {"tools": [Tool(name="a")], "to": THINKER}
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="required", names=["a"])):
        assert refused(tool_choice=choice, **options) == "tool_choice"
        body, names = write(tool_choice=choice, mode="drop", **options)
        assert (body["tool_choice"], names) == ({"type": "auto"}, ["tool_choice"])


def test_a_choice_without_tools_says_nothing() -> None:
    assert "tool_choice" not in write(tool_choice=ToolChoice(mode="required"), parallel_tools=False)[0]


def test_calls_of_custom_tools_cannot_be_said() -> None:
    said = [HELLO, Message("assistant", [ToolCall(id="a", name="x", arguments="*** patch", custom=True)]), HELLO]
    assert refused(*said) == "messages[1].tool_calls"
    assert turns(*said, mode="drop")[1]["content"][0]["input"] == {"input": "*** patch"}


# --- Formats ---


def test_answers_of_a_schema() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "who": {"type": ["string", "null"], "maxLength": 9},
            "list": {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1},
            "either": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {}}]},
        },
        "$defs": {"one": {"type": "object", "properties": {"format": {"type": "string", "format": "regex"}}}},
    }
    body, names = write(format=Format(schema=schema, name="answer"), reasoning=Reasoning(effort="low"), to=NEW)
    assert body["output_config"]["effort"] == "low"
    found = body["output_config"]["format"]
    assert found["type"] == "json_schema"
    assert found["schema"] == {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "who": {"type": ["string", "null"], "description": '{"maxLength":9}'},
            "list": {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1},
            "either": {
                "anyOf": [{"type": "string"}, {"type": "object", "properties": {}, "additionalProperties": False}]
            },
        },
        "$defs": {
            "one": {
                "type": "object",
                "properties": {"format": {"type": "string", "description": '{"format":"regex"}'}},
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    }
    assert names == ["response_format"]


def test_objects_of_any_properties_cannot_be_enforced() -> None:
    for schema in (
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
    ):
        assert refused(format=Format(schema=schema), to=NEW) == "response_format"


def test_answers_of_json_without_a_schema_are_a_wish_in_words() -> None:
    assert refused(format=Format()) == "response_format"
    body, names = write(format=Format(), system=[Text("Be brief")], mode="drop")
    assert body["system"][0]["text"] == "Be brief"
    assert "JSON" in body["system"][1]["text"]
    assert names == ["response_format"]


def test_a_model_without_schemas_is_told_in_words_if_an_operator_wants_it_so() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    assert refused(format=Format(schema=schema), to=model("tools")) == "response_format"
    body, _ = write(format=Format(schema=schema), to=model("tools"), mode="drop")
    assert json.dumps(schema, separators=(",", ":")) in body["system"][0]["text"]
    assert "output_config" not in body
    assert write(format=Format(schema=schema), to=UNKNOWN)[0]["output_config"]["format"]["type"] == "json_schema"


def test_schemas_that_are_too_deep_are_refused() -> None:
    deep: Json = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    with pytest.raises(InvalidValue):
        write(format=Format(schema=deep))
    with pytest.raises(InvalidValue):
        write(tools=[Tool(name="a", parameters={"type": "object", "properties": {"x": deep}})])


# --- Sampling, and the rest ---


@pytest.mark.parametrize(
    ("to", "given", "sent", "lost"),
    [
        (OLD, {"temperature": 0.5}, {"temperature": 0.5}, []),
        (OLD, {"temperature": 0.0, "top_k": 5}, {"temperature": 0.0, "top_k": 5}, []),
        (OLD, {"temperature": 1.0, "top_p": 1.0}, {}, []),
        (OLD, {"top_p": 0.5}, {"top_p": 0.5}, []),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, ["top_p"]),
        (NEW, {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {}, ["temperature", "top_p", "top_k"]),
        (NEW, {"temperature": 1.0, "top_p": 1.0}, {}, []),
        (OLD, {"temperature": 0.5, "reasoning": Reasoning(effort="low")}, {}, ["temperature"]),
        (OLD, {"top_p": 0.97, "reasoning": Reasoning(effort="low")}, {"top_p": 0.97}, []),
        (OLD, {"top_p": 0.5, "top_k": 5, "reasoning": Reasoning(effort="low")}, {}, ["top_p", "top_k"]),
    ],
)
def test_sampling_as_far_as_the_model_takes_it(to: Upstream, given: Any, sent: Json, lost: list[str]) -> None:
    body, names = write(to=to, **given)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert names == lost


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 1.2}, "temperature"),
        ({"n": 2}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -0.5}, "presence_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"logprobs": 0}, "logprobs"),
        ({"stop": ["\n", "END"]}, "stop"),
        ({"service_tier": "flex"}, "service_tier"),
    ],
)
def test_what_means_something_else_is_refused_or_left_out(fields: Any, param: str) -> None:
    assert refused(**fields) == param
    body, names = write(mode="drop", **fields)
    assert names == [param]
    assert not {"temperature", "n", "service_tier", "logprobs"} & body.keys()
    if param == "stop":
        assert body["stop_sequences"] == ["END"]


@pytest.mark.parametrize(
    "fields",
    [{"n": 1}, {"frequency_penalty": 0.0}, {"presence_penalty": 0.0}, {"logit_bias": {}}, {"verbosity": "medium"}],
)
def test_defaults_are_no_loss(fields: Any) -> None:
    assert write(mode="strict", **fields)[1] == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"seed": 0}, "seed"),
        ({"verbosity": "low"}, "verbosity"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"cache_key": "k"}, "prompt_cache_key"),
        ({"user": "ann@example.com"}, "user"),
        ({"user": "u" * 257}, "user"),
    ],
)
def test_hints_are_left_out_by_name(fields: Any, name: str) -> None:
    body, names = write(**fields)
    assert names == [name]
    assert set(body) == {"model", "max_tokens", "messages"}
    assert refused(mode="strict", **fields) == name


def test_the_rest_is_sent() -> None:
    body, names = write(stop=["END"], user="user-1", service_tier="default", stream=True)
    assert (body["stop_sequences"], body["metadata"], body["service_tier"], body["stream"]) == (
        ["END"],
        {"user_id": "user-1"},
        "standard_only",
        True,
    )
    assert names == []


def test_no_more_than_four_marks_are_sent() -> None:
    messages = [Message("user" if place % 2 == 0 else "assistant", [Text(str(place), "5m")]) for place in range(7)]
    body, names = write(*messages, system=[Text("s", "1h")])
    marked = [each["text"] for each in body["system"] if "cache_control" in each]
    marked += [block["text"] for turn in body["messages"] for block in turn["content"] if "cache_control" in block]
    assert (marked, names) == (["s", "4", "5", "6"], ["cache_control"])


# --- Anything that a reader may give ---

TEXTS = st.sampled_from(["", " ", "said", "Grüße"])
CACHES = st.sampled_from(["", "", "5m", "1h"])
IDS = st.sampled_from(["a", "b", "functions.c:0", ""])
SHOWN = (
    st.builds(Text, TEXTS, CACHES)
    | st.builds(
        Image, url=st.sampled_from(["", "https://a.example"]), data=st.just("AAAA"), media_type=st.just("image/png")
    )
    | st.builds(File, text=TEXTS, name=TEXTS, cache=CACHES)
)
ASKED = SHOWN | st.builds(ToolResult, id=IDS, parts=st.lists(SHOWN, max_size=2), is_error=st.booleans())
SAID = (
    st.builds(Text, TEXTS)
    | st.builds(Refusal, TEXTS)
    | st.builds(
        Thinking,
        text=TEXTS,
        signature=st.sampled_from(["", "sig"]),
        origin=st.sampled_from(["", "anthropic", "gemini"]),
        redacted=st.booleans(),
    )
    | st.builds(ToolCall, id=IDS, name=st.just("x"), arguments=st.sampled_from(["", "{}", '{"a": 1}']))
)
MESSAGES = st.lists(
    st.builds(Message, st.just("user"), st.lists(ASKED, max_size=4))
    | st.builds(Message, st.just("assistant"), st.lists(SAID, max_size=4))
    | st.builds(Message, st.just("system"), st.lists(st.builds(Text, TEXTS), max_size=2)),
    max_size=8,
)
MODELS = st.sampled_from([UNKNOWN, NEW, OLD, THINKER, model("tools", longest=500)])


@given(
    MESSAGES,
    MODELS,
    st.sampled_from(["warn", "drop"]),
    st.none()
    | st.builds(Reasoning, effort=st.sampled_from(["", "none", "low", "max"]), budget=st.sampled_from([None, 0, 9])),
    st.none() | st.integers(1, 5000),
)
def test_whatever_is_written_is_legal(
    messages: list[Message], to: Upstream, mode: Any, reasoning: Reasoning | None, max_output: int | None
) -> None:
    try:
        body, _ = write(
            *(messages or [HELLO]), to=to, mode=mode, reasoning=reasoning, max_output=max_output, tools=[Tool(name="x")]
        )
    except BadRequest:
        return
    check_request(body, has_system_turns="mid_system" in to.caps)


def check_request(body: Json, *, has_system_turns: bool) -> None:
    """What Anthropic's API insists on."""
    roles = [turn["role"] for turn in body["messages"]]
    assert roles[0] == "user"
    assert set(roles) <= {"user", "assistant", "system"}
    assert "system" not in roles or has_system_turns
    assert all(one != other for one, other in pairwise(roles)), "turns alternate"
    for turn in body["messages"]:
        kinds = [block["type"] for block in turn["content"]]
        assert kinds, "no turn is empty"
        assert (
            kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
            or turn["role"] != "user"
            or not _follows_calls(body, turn)
        ), "results come first"
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        assert not {"tool_use", "thinking"} & set(kinds) or turn["role"] == "assistant"
    thinking = body.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
    assert json.dumps(body).count('"cache_control"') <= 4


def _follows_calls(body: Json, turn: Json) -> bool:
    place = body["messages"].index(turn)
    return place > 0 and any(block["type"] == "tool_use" for block in body["messages"][place - 1]["content"])
