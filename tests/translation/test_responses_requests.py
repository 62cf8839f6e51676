"""Requests of Responses' clients: what each field comes to, what is lost, and what is refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation.form import (
    Audio,
    Citation,
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
from apps.providers.translation.responses import SPOKEN
from tests.translation.strategies import json_values

PICTURE = base64.b64encode(b"picture").decode()


def read(**body: Any) -> Request:
    return SPOKEN.read_request(json.dumps({"model": "m", "input": "Hi"} | body).encode(), "", None)


def turns(*items: dict[str, Any]) -> list[Message]:
    request = read(input=list(items))
    assert (request.left, request.fatal) == ([], {})
    return request.messages


def said(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


# --- The input ---


def test_a_text_is_what_the_user_says() -> None:
    assert read().messages == [Message("user", [Text("Hi")])]


def test_messages_need_no_type_and_their_content_may_be_a_text() -> None:
    items = [{"role": "user", "content": "a"}, {"type": "message", "role": "assistant", "content": "b"}]
    assert turns(*items) == [Message("user", [Text("a")]), Message("assistant", [Text("b")])]


def test_instructions_come_first_and_then_what_is_said_before_the_first_turn() -> None:
    system, developer = {"role": "system", "content": "b"}, {"role": "developer", "content": "c"}
    request = read(instructions="a", input=[system, developer, {"role": "user", "content": "d"}, system])
    assert request.system == [Text("a"), Text("b"), Text("c")]
    assert request.messages == [Message("user", [Text("d")]), Message("system", [Text("b")])]


def test_parts_are_read() -> None:
    note = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    user = said(
        "user",
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": f"data:image/webp;base64,{PICTURE}", "detail": "low"},
        {"type": "input_image", "image_url": "https://a.example/i.png", "detail": "auto"},
        {"type": "input_image", "file_id": "file-1", "detail": None},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PICTURE}"},
        {"type": "input_file", "filename": "a.csv", "file_data": PICTURE},
        {"type": "input_file", "filename": "a.txt", "file_data": PICTURE},
        {"type": "input_file", "file_url": "https://a.example/a.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    )
    model = said(
        "assistant", {"type": "output_text", "text": "b", "annotations": [note, 7]}, {"type": "refusal", "refusal": "c"}
    )
    assert turns(user, model) == [
        Message(
            "user",
            [
                Text("a", cache="5m"),
                Image(data=PICTURE, media_type="image/webp", detail="low"),
                Image(url="https://a.example/i.png", detail="auto"),
                Image(file_id="file-1"),
                File(data=PICTURE, media_type="application/pdf", name="a.pdf"),
                File(data=PICTURE, media_type="text/csv", name="a.csv"),
                File(text="picture", name="a.txt"),
                File(url="https://a.example/a.pdf"),
                File(file_id="file-2"),
                Audio(data="AAAA", media_type="audio/mp3"),
            ],
        ),
        Message(
            "assistant",
            [Text("b", citations=[Citation(url="https://a.example", title="A", start=0, end=1)]), Refusal("c")],
        ),
    ]


def test_a_lasting_mark_lasts_longer() -> None:
    part = {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    assert turns(said("user", part)) == [Message("user", [Text("a", cache="1h")])]


def test_what_the_model_does_in_a_row_is_one_turn_and_so_are_the_results() -> None:
    calls = [{"type": "function_call", "call_id": each, "name": f"f_{each}", "arguments": "{}"} for each in "ab"]
    results = [
        {"type": "function_call_output", "call_id": "b", "output": "2"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "1"}]},
    ]
    thoughts = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]}
    talk = turns({"role": "user", "content": "x"}, thoughts, said("assistant"), *calls, *results, said("user"))
    assert talk == [
        Message("user", [Text("x")]),
        Message("assistant", [Thinking(text="hm"), ToolCall(id="a", name="f_a"), ToolCall(id="b", name="f_b")]),
        Message(
            "user",
            [ToolResult(id="b", name="f_b", parts=[Text("2")]), ToolResult(id="a", name="f_a", parts=[Text("1")])],
        ),
        Message("user", []),
    ]


def test_thoughts_come_back_to_whom_they_are_from() -> None:
    kept = ["own", "tollgate.anthropic.sig", "tollgate.anthropic.redacted:sig", ""]
    items = [{"type": "reasoning", "summary": [], "encrypted_content": each} for each in kept]
    assert turns(*items)[0].parts == [
        Thinking(signature="own", origin="openai_responses", redacted=True),
        Thinking(signature="sig", origin="anthropic"),
        Thinking(signature="sig", origin="anthropic", redacted=True),
    ]


def test_thoughts_in_full_count_more_than_their_summary() -> None:
    item = {"type": "reasoning", "content": [{"text": "a"}, {"text": "b"}], "summary": [{"text": "c"}]}
    assert turns(item)[0].parts == [Thinking(text="a\n\nb")]


def test_a_call_s_signature_finds_its_call() -> None:
    kept = {"type": "reasoning", "summary": [], "encrypted_content": "tollgate.gemini.call:3:c:1sig:nature"}
    call = {"type": "function_call", "call_id": "c:1", "name": "f", "arguments": ""}
    assert turns(kept, call)[0].parts == [ToolCall(id="c:1", name="f", signature="sig:nature", origin="gemini")]


def test_a_picture_that_was_made_is_the_model_s() -> None:
    item = {"type": "image_generation_call", "id": "ig", "result": PICTURE, "output_format": "webp"}
    assert turns(item) == [Message("assistant", [Image(data=PICTURE, media_type="image/webp")])]


# --- Tools ---


def test_tools_and_the_choice_of_one_are_read() -> None:
    schema = {"type": "object", "properties": {}}
    tool = {"type": "function", "name": "f", "description": "does", "parameters": schema, "strict": True}
    request = read(tools=[tool, {"type": "function", "name": "g"}], tool_choice={"type": "function", "name": "f"})
    assert request.tools == [Tool(name="f", description="does", parameters=schema, strict=True), Tool(name="g")]
    assert request.tool_choice == ToolChoice(mode="required", names=["f"])


@pytest.mark.parametrize(
    ("choice", "read_as"),
    [
        ("auto", ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"name": "g"}]},
            ToolChoice(mode="required", names=["f", "g"]),
        ),
        ({"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}, ToolChoice(names=["f"])),
        (None, None),
    ],
)
def test_a_choice_is_read(choice: Any, read_as: ToolChoice | None) -> None:
    assert read(tool_choice=choice).tool_choice == read_as


def test_tools_leave_their_namespace_and_keep_their_names_where_no_other_has_them() -> None:
    def space(name: str, *members: str) -> dict[str, Any]:
        tools = [{"type": "function", "name": member, "parameters": {}} for member in members]
        return {"type": "namespace", "name": name, "description": "All of it.", "tools": tools}

    outside = {"type": "function", "name": "read"}
    call = {"type": "function_call", "call_id": "c", "namespace": "mail__", "name": "read", "arguments": "{}"}
    choice = {"type": "function", "namespace": "mail__", "name": "read"}
    tools = [outside, space("mail__", "read", "send"), space("disk", "write")]
    request = read(tools=tools, tool_choice=choice, input=[call])
    assert [tool.name for tool in request.tools] == ["read", "mail__read", "send", "write"]
    assert request.tool_choice == ToolChoice(mode="required", names=["mail__read"])
    assert request.messages[0].parts == [ToolCall(id="c", name="mail__read")]
    assert request.left == ["tools[1].description"]
    chosen = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "mail__"}]}
    assert read(tools=tools, tool_choice=chosen).tool_choice == ToolChoice(names=["mail__read", "send"])


def test_names_that_are_joined_are_never_the_same() -> None:
    member = {"type": "function", "name": "read", "parameters": {}}
    outside = [{"type": "function", "name": name} for name in ("read", "mail__read", "mail__read_1")]
    spaces = [{"type": "namespace", "name": name, "tools": [member]} for name in ("mail", "mail_", "mail__")]
    names = [tool.name for tool in read(tools=outside + spaces).tools]
    assert names[3:] == ["mail__read_2", "mail__read_3", "mail__read_4"]


def test_tools_that_come_with_the_input_are_offered_too() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "g"}]}
    request = read(tools=[{"type": "function", "name": "f"}], input=[more, {"role": "user", "content": "x"}])
    assert [tool.name for tool in request.tools] == ["f", "g"]
    assert [tool["name"] for tool in request.echo["tools"]] == ["f", "g"]


# --- Everything else ---


def test_the_other_fields_are_read() -> None:
    request = read(
        max_output_tokens=100,
        temperature=0.5,
        top_p=1,
        top_logprobs=2,
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        text={
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        },
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="key",
        safety_identifier="who",
        user="nobody",
        stream=True,
        store=True,
        stream_options={"include_obfuscation": False},
        include=["reasoning.encrypted_content"],
        truncation="disabled",
        background=False,
        previous_response_id=None,
    )
    assert (request.max_output, request.temperature, request.top_p, request.logprobs) == (100, 0.5, 1, 2)
    assert request.reasoning == Reasoning(effort="low", shown=True)
    assert request.format == Format(name="n", schema={"type": "object"}, strict=True)
    assert (request.verbosity, request.parallel_tools, request.metadata) == ("low", False, {"a": "b"})
    assert (request.service_tier, request.cache_key, request.user, request.stream) == ("flex", "key", "who", True)
    assert (request.left, request.fatal) == (["store"], {})
    assert (
        read(store=False).left == read(store=None).left == read().left == []
    )  # nothing is, and that was not asked for


def test_the_path_s_model_and_stream_count_more() -> None:
    request = SPOKEN.read_request(b'{"model":null,"input":"x","stream":false}', "deployed", True)
    assert (request.model, request.stream) == ("deployed", True)


def test_likelihoods_are_asked_for_in_two_ways() -> None:
    assert read().logprobs is None
    assert read(top_logprobs=0).logprobs is None
    assert read(include=["message.output_text.logprobs"]).logprobs == 0


def test_null_is_absent_everywhere() -> None:
    names = ["instructions", "tools", "tool_choice", "text", "reasoning", "include", "max_output_tokens", "temperature"]
    names += ["top_p", "top_logprobs", "parallel_tool_calls", "user", "safety_identifier", "metadata", "service_tier"]
    names += [
        "prompt_cache_key",
        "stream",
        "truncation",
        "previous_response_id",
        "conversation",
        "prompt",
        "unheard_of",
    ]
    nothing, silent = read(**dict.fromkeys(names)), read()
    assert nothing == silent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
        ("context_management", [{"type": "compaction"}]),
        ("max_tool_calls", 3),
        ("truncation", "auto"),
        ("moderation", {"model": "omni-moderation-latest"}),
        ("tool_choice", {"type": "file_search"}),
        ("tools[0]", [{"type": "web_search"}]),
        ("tools[0]", [{"type": "custom", "name": "c"}]),
        ("tools[0].tools[0]", [{"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "c"}]}]),
        ("text.format", {"format": {"type": "grammar"}}),
        ("input[0]", [{"type": "item_reference", "id": "msg_1"}]),
        ("input[0]", [{"id": "msg_1"}]),
        ("input[0]", [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x"}]),
        ("input[0]", [{"type": "computer_call"}]),
        ("input[0]", [{"type": "compaction", "encrypted_content": "x"}]),
        ("input[0].content[0]", [{"role": "user", "content": [{"type": "computer_screenshot"}]}]),
    ],
)
def test_what_changes_the_meaning_is_named_with_a_remedy(name: str, value: Any) -> None:
    request = read(**{name.partition("[")[0].partition(".")[0]: value})
    assert list(request.fatal) == [name]
    assert request.fatal[name].endswith(".")
    assert request.left == []


def test_what_is_refused_is_left_out_of_what_remains() -> None:
    request = read(tools=[{"type": "web_search"}, {"type": "function", "name": "f"}], tool_choice={"type": "mcp"})
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.tool_choice is None


def test_hints_are_named_once_for_each_kind() -> None:
    phased = {"role": "assistant", "content": "a", "phase": "commentary"}
    tool = {"type": "function", "name": "f", "defer_loading": True, "output_schema": {"a": 1}, "async": False}
    searched = {"type": "web_search_call", "id": "ws", "status": "completed"}
    request = read(
        input=[phased, phased, searched, searched],
        tools=[tool, tool],
        include=["file_search_call.results"],
        reasoning={"context": "all_turns", "mode": "pro"},
        prompt_cache_retention="24h",
        client_metadata={"a": "b"},
        **{"x\r\nset-cookie": 1},
    )
    assert request.left == [
        "prompt_cache_retention",
        "client_metadata",
        "x??set-cookie",
        "input[0].phase",
        "input[2]",
        "tools[0].defer_loading",
        "tools[0].output_schema",
        "reasoning.context",
        "reasoning.mode",
        "include",
    ]


@pytest.mark.parametrize(
    ("body", "error", "param"),
    [
        ({"input": None}, MissingParameter, "input"),
        ({"model": None}, MissingParameter, "model"),
        ({"input": 7}, InvalidType, "input"),
        ({"input": ["x"]}, InvalidType, "input[0]"),
        ({"input": [{}]}, MissingParameter, "input[0].type"),
        ({"input": [{"type": "message"}]}, MissingParameter, "input[0].role"),
        ({"input": [{"role": "tool", "content": "x"}]}, InvalidValue, "input[0].role"),
        ({"input": [{"role": "user"}]}, MissingParameter, "input[0].content"),
        ({"input": [{"role": "user", "content": 7}]}, InvalidType, "input[0].content"),
        ({"input": [said("user", {"text": "x"})]}, MissingParameter, "input[0].content[0].type"),
        ({"input": [said("user", {"type": "input_text"})]}, MissingParameter, "input[0].content[0].text"),
        ({"input": [said("user", {"type": "input_image"})]}, MissingParameter, "input[0].content[0].image_url"),
        (
            {"input": [said("user", {"type": "input_image", "image_url": "data:image/png,x"})]},
            InvalidValue,
            "input[0].content[0].image_url",
        ),
        ({"input": [said("user", {"type": "input_file"})]}, MissingParameter, "input[0].content[0].file_data"),
        (
            {"input": [said("user", {"type": "input_file", "filename": "a.txt", "file_data": "ä"})]},
            InvalidValue,
            "input[0].content[0].file_data",
        ),
        ({"input": [said("user", {"type": "input_audio"})]}, MissingParameter, "input[0].content[0].input_audio"),
        ({"input": [{"type": "function_call", "name": "f"}]}, MissingParameter, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, MissingParameter, "input[0].output"),
        ({"tools": {}}, InvalidType, "tools"),
        ({"tools": [{"type": "function"}]}, MissingParameter, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": "x"}]}, InvalidType, "tools[0].parameters"),
        ({"tool_choice": "any"}, InvalidValue, "tool_choice"),
        ({"tool_choice": 7}, InvalidType, "tool_choice"),
        ({"temperature": "hot"}, InvalidType, "temperature"),
        ({"temperature": True}, InvalidType, "temperature"),
        ({"max_output_tokens": 1.5}, InvalidType, "max_output_tokens"),
        ({"max_output_tokens": -1}, InvalidValue, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, MissingParameter, "text.format.schema"),
        ({"text": {"verbosity": "loud"}}, InvalidValue, "text.verbosity"),
        ({"reasoning": {"summary": "yes"}}, InvalidValue, "reasoning.summary"),
        ({"metadata": "x"}, InvalidType, "metadata"),
        ({"include": "x"}, InvalidType, "include"),
        ({"instructions": ["x"]}, InvalidType, "instructions"),
    ],
)
def test_a_mistake_is_named(body: dict[str, Any], error: type[BadRequest], param: str) -> None:
    with pytest.raises(error) as raised:
        read(**body)
    assert raised.value.param == param
    assert param in raised.value.message


def test_what_is_no_json_object_is_refused() -> None:
    for body in (b"", b"{", b"[]", b'"x"', b"[" * 5000):
        with pytest.raises(InvalidJson):
            SPOKEN.read_request(body, "m", None)


@pytest.mark.parametrize("depth", [240, 300, 900])
def test_what_answers_repeat_of_a_request_can_be_written(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for field in (
        '"tools":[{"type":"function","name":"f","note":%s}]',
        '"tools":[{"type":"function","name":"f","parameters":%s}]',
        '"input":[{"type":"additional_tools","tools":[{"type":"function","name":"f","note":%s}]}]',
        '"tool_choice":{"type":"function","name":"f","note":%s}',
        '"text":{"format":{"type":"text","note":%s}}',
        '"metadata":{"a":%s}',
        '"max_tool_calls":%s',
    ):
        with pytest.raises(BadRequest):
            SPOKEN.read_request(('{"model":"m","input":"x",%s}' % (field % deep)).encode(), "", None)


WORDS = st.sampled_from(
    [
        *("input", "instructions", "tools", "tool_choice", "text", "format", "reasoning", "include"),
        *("metadata", "model", "prompt", "type", "role", "content", "message", "user", "assistant", "system"),
        *("input_text", "input_image", "input_file", "name", "function_call", "function_call_output"),
        *("call_id", "arguments", "output", "summary", "encrypted_content", "image_url", "file_data"),
        *("filename", "function", "namespace", "allowed_tools", "mode", "json_schema", "schema"),
        *("parameters", "top_logprobs", "max_output_tokens", "truncation", "additional_tools", "result"),
        *("annotations", "data:image/png;base64,AAAA", "data:,", "a.txt", "tollgate.gemini.call:2:cx"),
        *("tollgate.x.call:", "item_reference"),
    ]
)
VALUES = json_values(WORDS)
KINDS = ["message", "function_call", "function_call_output", "image_generation_call", "additional_tools", "reasoning"]
PART_KINDS = ["input_text", "output_text", "refusal", "input_image", "input_file", "input_audio"]
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(PART_KINDS), "text": st.text(max_size=3)}
    | dict.fromkeys(("image_url", "file_data", "filename", "detail", "annotations", "input_audio"), st.none() | VALUES)
)
ITEMS = st.fixed_dictionaries(
    {
        "type": st.sampled_from([*KINDS, "web_search_call", "unheard of"]),
        "content": st.lists(PARTS, max_size=2) | VALUES,
    }
    | {"role": st.sampled_from(["user", "assistant", "system"])}
    | dict.fromkeys(("call_id", "name"), st.text(max_size=3) | VALUES)
    | dict.fromkeys(("output", "summary", "encrypted_content", "tools"), st.none() | VALUES)
)


@given(
    st.dictionaries(WORDS, VALUES, max_size=6)
    | st.fixed_dictionaries(
        {"model": st.just("m"), "input": st.lists(ITEMS, max_size=4)}
        | dict.fromkeys(("tools", "tool_choice", "text", "reasoning", "include"), st.none() | VALUES)
    )
)
def test_any_json_is_a_request_or_a_refusal_that_names_the_field(body: dict[str, Any]) -> None:
    try:
        request = SPOKEN.read_request(json.dumps(body).encode(), "", None)
    except BadRequest as refused:
        assert refused.param  # noqa: PT017 - either outcome will do
    else:
        assert isinstance(request, Request)
        json.dumps(request.echo)
