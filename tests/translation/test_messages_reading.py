"""Requests of Anthropic's clients: everything is read, left out by name, or refused with a remedy."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation.form import (
    Citation,
    File,
    Format,
    Image,
    Message,
    Reasoning,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from apps.providers.translation.messages import SPOKEN

type Json = dict[str, Any]

HELLO: Json = {"role": "user", "content": "Hello"}


def read(*messages: Json, **fields: Any) -> Request:
    body = {"model": "claude-test", "max_tokens": 100, "messages": list(messages) or [HELLO]} | fields
    return SPOKEN.read_request(json.dumps(body).encode(), "", None)


def parts(*blocks: Json, role: str = "user") -> list[Any]:
    return read({"role": role, "content": list(blocks)}).messages[0].parts


def test_the_least_request() -> None:
    assert read() == Request(
        model="claude-test",
        messages=[Message("user", [Text("Hello")])],
        max_output=100,
        include_usage=True,
    )


def test_the_path_may_name_the_model_and_the_stream() -> None:
    body = json.dumps({"messages": [HELLO], "max_tokens": 1, "stream": False}).encode()
    request = SPOKEN.read_request(body, "claude-path", True)
    assert (request.model, request.stream) == ("claude-path", True)


def test_every_simple_field_is_read() -> None:
    request = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["END"],
        stream=True,
        metadata={"user_id": "user-1"},
        service_tier="standard_only",
    )
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 40, ["END"])
    assert (request.stream, request.user, request.service_tier) == (True, "user-1", "default")
    assert (request.left, request.fatal) == ([], {})


def test_null_is_absent_everywhere() -> None:
    names = ["system", "tools", "tool_choice", "thinking", "output_config", "metadata", "temperature", "stop_sequences"]
    names += [
        "mcp_servers",
        "container",
        "cache_control",
        "stream",
        "service_tier",
        "field_of_tomorrow",
        "output_format",
    ]
    assert read(**dict.fromkeys(names)) == read()


def test_what_claude_code_sends_is_accepted() -> None:
    mark = {"type": "ephemeral"}
    request = read(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<reminder>"},
                {"type": "text", "text": "Fix it", "cache_control": mark},
            ],
        },
        {"role": "system", "content": "Be brief from now on."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Look first.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "hidden"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "toolu_2", "name": "Glob", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text", "cache_control": mark},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "no"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                        {"type": "tool_reference", "tool_name": "Grep"},
                    ],
                },
            ],
        },
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=71fea;"},
            {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        tools=[
            {"name": "Read", "description": "Reads", "input_schema": {"type": "object"}, "eager_input_streaming": True},
            {
                "type": "custom",
                "name": "Glob",
                "input_schema": {"type": "object"},
                "defer_loading": True,
                "strict": True,
            },
            {"name": "Grep", "input_schema": {"type": "object"}, "defer_loading": True, "cache_control": mark},
        ],
        tool_choice={"type": "auto"},
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": "user_0_session_1"},
        mcp_servers=[],
        betas=["a"],
        stream=True,
    )
    assert request.fatal == {}
    assert request.left == ["context_management", "betas", "system[0]", "tools[1].defer_loading"]
    assert request.system == [Text("You are an agent.", "1h")]
    assert [message.role for message in request.messages] == ["user", "system", "assistant", "user"]
    assert request.messages[0].parts == [Text("<reminder>"), Text("Fix it", "5m")]
    assert request.messages[2].parts == [
        Thinking(text="Look first.", signature="sig", origin="anthropic"),
        Thinking(signature="hidden", origin="anthropic", redacted=True),
        Text("I look."),
        ToolCall(id="toolu_1", name="Read", arguments='{"path":"a"}'),
        ToolCall(id="toolu_2", name="Glob", arguments="{}"),
    ]
    assert request.messages[3].parts == [
        ToolResult(id="toolu_1", name="Read", parts=[Text("text")], cache="5m"),
        ToolResult(
            id="toolu_2",
            name="Glob",
            parts=[Text("no"), Image(data="AAAA", media_type="image/png"), Text("Tool found: Grep")],
            is_error=True,
        ),
    ]
    assert request.tools == [
        Tool(name="Read", description="Reads", parameters={"type": "object"}),
        Tool(name="Glob", parameters={"type": "object"}, strict=True),
        Tool(name="Grep", parameters={"type": "object"}, cache="5m"),
    ]
    assert request.tool_choice == ToolChoice(mode="auto")
    assert request.reasoning == Reasoning(effort="high", shown=True)


def test_only_the_billing_note_is_taken_out_of_the_instructions() -> None:
    text = "x-anthropic-billing-header: cch=1;\nYou are an agent."
    assert read(system=text).system == [Text("You are an agent.")]
    assert read(system=text).left == ["system"]
    assert read(system="I mention x-anthropic-billing-header: here").left == []
    assert read(system="").system == []


def test_a_conversation_of_hundreds_of_turns_names_each_kind_of_loss_once() -> None:
    turns: list[Json] = []
    for place in range(400):
        call = {"type": "tool_use", "id": f"toolu_{place}", "name": "Read", "input": {"n": place}, "mark": 1}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{place}", "content": "ok"}
        turns += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    request = read(HELLO, *turns)
    assert len(request.messages) == 801
    assert request.left == ["messages[1].content[0].mark"]
    assert request.messages[800].parts == [ToolResult(id="toolu_399", name="Read", parts=[Text("ok")])]


# --- Blocks ---


def test_pictures_and_documents_by_every_source() -> None:
    def image(**source: Any) -> Json:
        return {"type": "image", "source": source}

    def document(**source: Any) -> Json:
        return {"type": "document", "source": source, "title": "T"}

    assert parts(
        image(type="base64", media_type="image/png", data="AAAA"),
        image(type="url", url="https://a.example/a.png"),
        image(type="file", file_id="file_1"),
    ) == [Image(data="AAAA", media_type="image/png"), Image(url="https://a.example/a.png"), Image(file_id="file_1")]
    assert parts(
        document(type="base64", media_type="application/pdf", data="AAAA"),
        document(type="text", media_type="text/plain", data="plain"),
        document(type="url", url="https://a.example/a.pdf"),
        document(type="file", file_id="file_1"),
        document(type="content", content="as text"),
        document(type="content", content=[{"type": "text", "text": "one"}, image(type="file", file_id="file_2")]),
    ) == [
        File(data="AAAA", media_type="application/pdf", name="T"),
        File(text="plain", media_type="text/plain", name="T"),
        File(url="https://a.example/a.pdf", media_type="application/pdf", name="T"),
        File(file_id="file_1", name="T"),
        File(text="as text", media_type="text/plain", name="T"),
        File(text="one", media_type="text/plain", name="T"),
        Image(file_id="file_2"),
    ]


def test_a_documents_context_comes_before_it_and_its_citations_are_left() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "plain"}
    document = {"type": "document", "source": source, "context": "An old one.", "citations": {"enabled": True}}
    request = read({"role": "user", "content": [document]})
    assert request.messages[0].parts == [Text("An old one."), File(text="plain", media_type="text/plain")]
    assert request.left == ["messages[0].content[0].citations"]


def test_search_results_are_documents() -> None:
    result = {
        "type": "search_result",
        "source": "https://a.example",
        "title": "A",
        "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
    }
    assert parts(result) == [File(text="https://a.example\n\none\n\ntwo", media_type="text/plain", name="A")]


def test_citations_of_earlier_answers_are_kept() -> None:
    location = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "q"}
    assert parts({"type": "text", "text": "So.", "citations": [location]}, role="assistant") == [
        Text("So.", citations=[Citation(url="https://a.example", title="A", start=0, end=3, quoted="q")])
    ]


def test_signatures_of_others_come_back_to_where_they_belong() -> None:
    call = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "tollgate.openai_responses.enc"}
    empty = {"type": "thinking", "thinking": "", "signature": "tollgate.gemini.c2ln"}
    hidden = {"type": "redacted_thinking", "data": "tollgate.openai_responses.enc"}
    signed = ToolCall(id="call_1", name="weather", signature="c2ln", origin="gemini")
    unsigned = ToolCall(id="call_1", name="weather")
    assert parts(empty, call, call, role="assistant") == [signed, unsigned]
    assert parts(thought, call, role="assistant") == [
        Thinking(text="Hm.", signature="enc", origin="openai_responses"),
        unsigned,
    ]
    assert parts(hidden, call, role="assistant")[1:] == [unsigned]
    assert parts(empty, {"type": "text", "text": "So."}, call, role="assistant")[2:] == [unsigned]


def test_a_compaction_stands_in_the_place_of_what_came_before() -> None:
    request = read(
        HELLO,
        {
            "role": "assistant",
            "content": [{"type": "compaction", "content": "A summary"}, {"type": "text", "text": "On."}],
        },
        {"role": "user", "content": "Next"},
    )
    assert request.messages == [
        Message("user", [Text("A summary")]),
        Message("assistant", [Text("On.")]),
        Message("user", [Text("Next")]),
    ]


def test_instructions_of_one_turn_are_gone_after_it() -> None:
    once = {"role": "system", "content": "Once.", "clear_at": "next_user_message"}
    answer = {"role": "assistant", "content": "Hi"}
    assert [message.role for message in read(HELLO, once, answer, HELLO).messages] == ["user", "assistant", "user"]
    assert [message.role for message in read(HELLO, once).messages] == ["user", "system"]
    assert read(HELLO, once).left == []


def test_messages_may_change_the_tools() -> None:
    def tool(name: str) -> Json:
        return {"name": name, "input_schema": {"type": "object"}}

    def change(kind: str, **inner: Any) -> Json:
        return {"role": "system", "content": [{"type": kind, "tool": inner}]}

    request = read(
        HELLO,
        change("tool_addition", type="tool_reference", name="a"),
        change("tool_removal", type="tool_reference", name="b"),
        change("tool_addition", type="tool_definition", definition=tool("c")),
        tools=[tool("a"), tool("b")],
    )
    assert [each.name for each in request.tools] == ["a", "c"]
    assert request.left == ["messages[1].content[0]"]
    assert [message.role for message in request.messages] == ["user"]
    refused = read(HELLO, change("tool_addition", type="mcp_toolset_reference", server_name="s"))
    assert list(refused.fatal) == ["messages[1].content[0]"]


# --- What is refused, and how ---


@pytest.mark.parametrize(
    ("tool", "remedy"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "runs at Anthropic"),
        ({"type": "code_execution_20250825", "name": "code_execution"}, "runs at Anthropic"),
        ({"type": "mcp_toolset", "mcp_server_name": "s"}, "runs at Anthropic"),
        ({"type": "bash_20250124", "name": "bash"}, "Describe it"),
        ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, "Describe it"),
        ({"type": "memory_20250818", "name": "memory"}, "Describe it"),
    ],
)
def test_tools_of_anthropics_are_refused_with_a_remedy(tool: Json, remedy: str) -> None:
    request = read(tools=[{"name": "own", "input_schema": {"type": "object"}}, tool])
    assert [each.name for each in request.tools] == ["own"]
    assert list(request.fatal) == ["tools[1]"]
    assert remedy in request.fatal["tools[1]"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mcp_servers", [{"type": "url", "url": "https://a.example", "name": "a"}]),
        ("container", "container_1"),
        ("inference_geo", "us"),
        ("compaction", {"type": "summarize"}),
        ("thread", {"type": "create"}),
    ],
)
def test_what_only_anthropic_can_do_is_refused_with_a_remedy(name: str, value: Any) -> None:
    assert "Leave it out" in read(**{name: value}).fatal[name]


def test_what_hosted_tools_have_brought_is_refused_once() -> None:
    asked = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    request = read(HELLO, {"role": "assistant", "content": [asked, result]}, {"role": "assistant", "content": [asked]})
    assert list(request.fatal) == ["messages[1].content[0]"]
    assert "begin a new conversation" in request.fatal["messages[1].content[0]"]


def test_hints_of_anthropics_are_left() -> None:
    request = read(
        speed="fast",
        diagnostics={},
        user_profile_id="p",
        output_config={"task_budget": {"type": "tokens", "total": 9}},
        metadata={"user_id": "u", "extra": 1},
    )
    assert request.left == ["speed", "diagnostics", "user_profile_id", "output_config.task_budget", "metadata.extra"]
    assert request.fatal == {}


@pytest.mark.parametrize(
    ("body", "error", "param"),
    [
        (b"{", InvalidJson, None),
        (b"[]", InvalidJson, None),
        (b'{"messages":[]}', InvalidValue, "messages"),
        (b'{"model":"m"}', MissingParameter, "messages"),
        (b'{"messages":[{"role":"user","content":"x"}]}', MissingParameter, "model"),
        (b'{"messages":{}}', InvalidType, "messages"),
        (b'{"messages":["x"]}', InvalidType, "messages[0]"),
        (b'{"messages":[{"content":"x"}]}', MissingParameter, "messages[0].role"),
        (b'{"messages":[{"role":"tool","content":"x"}]}', InvalidValue, "messages[0].role"),
        (b'{"messages":[{"role":"user"}]}', MissingParameter, "messages[0].content"),
        (b'{"messages":[{"role":"user","content":7}]}', InvalidType, "messages[0].content"),
        (b'{"messages":[{"role":"user","content":[7]}]}', InvalidType, "messages[0].content[0]"),
        (b'{"messages":[{"role":"user","content":[{"text":"x"}]}]}', MissingParameter, "messages[0].content[0].type"),
        (
            b'{"messages":[{"role":"user","content":[{"type":"text","text":7}]}]}',
            InvalidType,
            "messages[0].content[0].text",
        ),
        (
            b'{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"ftp"}}]}]}',
            InvalidValue,
            "messages[0].content[0].source.type",
        ),
        (
            b'{"messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]}]}',
            InvalidValue,
            "messages[0].content[0]",
        ),
        (
            b'{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":[]}]}]}',
            InvalidType,
            "messages[0].content[0].input",
        ),
    ],
)
def test_mistakes_are_named_by_their_path(body: bytes, error: type[BadRequest], param: str | None) -> None:
    with pytest.raises(error) as caught:
        SPOKEN.read_request(body, "", None)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"system": 7}, "system"),
        ({"system": [{"type": "text", "text": 7}]}, "system[0].text"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": True}, "top_k"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": ["a", 7]}, "stop_sequences[1]"),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "hard"}}, "thinking.type"),
        ({"output_config": {"effort": "some"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"service_tier": 7}, "service_tier"),
    ],
)
def test_mistakes_of_other_fields_are_named_too(fields: Json, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_schemas_leave_room_for_what_is_written_around_them() -> None:
    for depth, is_fine in ((100, True), (200, False)):
        schema: Json = {"type": "object"}
        for _ in range(depth):
            schema = {"not": schema}
        if is_fine:
            assert read(tools=[{"name": "a", "input_schema": schema}]).tools[0].parameters == schema
        else:
            with pytest.raises(InvalidValue):
                read(tools=[{"name": "a", "input_schema": schema}])


@pytest.mark.parametrize("depth", [300, 900, 2000])
def test_json_that_is_too_deep_is_refused_and_breaks_nothing(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    for body in (
        '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"name":"a","input_schema":%s}]}',
        '{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":%s}]}]}',
        '{"model":"m","messages":[{"role":"user","content":"x"}],"output_format":{"type":"json_schema","schema":%s}}',
    ):
        with pytest.raises(BadRequest):
            SPOKEN.read_request((body % deep).encode(), "", None)
    document = '{"type":"document","source":{"type":"content","content":[' * (depth // 4)
    nested = f'{{"model":"m","messages":[{{"role":"user","content":[{document}{"]}}" * (depth // 4)}]}}]}}'
    try:
        assert SPOKEN.read_request(nested.encode(), "", None).fatal
    except BadRequest:
        assert depth > 900


# --- Tools, thinking, format ---


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "a"}, ToolChoice(mode="required", names=["a"]), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), None),
    ],
)
def test_how_tools_are_chosen(given: Json, choice: ToolChoice, parallel: bool | None) -> None:
    request = read(tool_choice=given)
    assert (request.tool_choice, request.parallel_tools) == (choice, parallel)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget=2048, shown=True)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(budget=-1, shown=True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(budget=-1, shown=False)),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            Reasoning(effort="max", shown=True),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"thinking": {"type": "disabled"}}, Reasoning(effort="none")),
        ({"thinking": {"type": "between_tools"}}, Reasoning(effort="none")),
        ({}, None),
    ],
)
def test_how_much_it_shall_think(fields: Json, reasoning: Reasoning | None) -> None:
    assert read(**fields).reasoning == reasoning


def test_the_format_under_both_of_its_names() -> None:
    schema = {"type": "object", "properties": {}}
    asked = {"type": "json_schema", "schema": schema}
    expected = Format(schema=schema, strict=True)
    assert read(output_config={"format": asked}).format == expected
    assert read(output_format=asked).format == expected


def test_the_cache_mark_of_the_whole_request_is_that_of_its_last_block() -> None:
    request = read(
        HELLO,
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": "", "signature": "s"}],
        },
        cache_control={"type": "ephemeral", "ttl": "1h"},
    )
    assert request.messages[1].parts[0] == Text("Hi", "1h")


# --- Anything at all ---

WORDS = st.sampled_from(
    [
        *(
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "output_format",
            "metadata",
        ),
        *("role", "content", "type", "text", "source", "data", "media_type", "url", "file_id", "input", "id", "name"),
        *(
            "input_schema",
            "tool_use_id",
            "is_error",
            "cache_control",
            "ttl",
            "citations",
            "context",
            "title",
            "signature",
        ),
        *("budget_tokens", "effort", "format", "schema", "user_id", "service_tier", "max_tokens", "tool", "definition"),
        *("container", "mcp_servers", "clear_at", "stop_sequences", "temperature", "enabled", "tool_name", "display"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from(
        [
            *("user", "assistant", "system", "text", "image", "document", "search_result", "thinking", "tool_use"),
            *("redacted_thinking", "tool_result", "tool_reference", "compaction", "tool_addition", "tool_removal"),
            *(
                "tool_reference",
                "tool_definition",
                "base64",
                "url",
                "file",
                "content",
                "ephemeral",
                "adaptive",
                "enabled",
            ),
            *("json_schema", "auto", "tool", "custom", "next_user_message", "tollgate.gemini.x", "image/png"),
        ]
    )
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=25
)
BLOCKS = st.lists(st.dictionaries(WORDS, ANYTHING, max_size=4).map(lambda block: {"type": "text", "text": "x"} | block))
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": BLOCKS | ANYTHING})
)


@given(st.dictionaries(WORDS, ANYTHING, max_size=6), MESSAGES | ANYTHING)
def test_any_json_is_a_request_or_a_mistake_of_the_clients(body: Json, messages: Any) -> None:
    body |= {"model": "m", "messages": messages}
    try:
        request = SPOKEN.read_request(json.dumps(body, allow_nan=False).encode(), "", None)
    except BadRequest:
        return
    assert isinstance(request, Request)
    assert request.messages or request.fatal
    assert all(isinstance(path, str) for path in [*request.left, *request.fatal])
