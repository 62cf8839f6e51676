"""What a chat client asks for is understood whole: kept, named as lost, or named as what cannot be left out."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.translation.form import (
    Citation,
    File,
    Image,
    Message,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.translation.strategies import json_values, words

HELLO = [{"role": "user", "content": "Hello"}]
PNG = "data:image/png;base64,iVBORw0K"


def read(**said: Any) -> form.Request:
    return SPOKEN.read_request(json.dumps({"model": "m", "messages": HELLO} | said).encode(), "", None)


def turns(*messages: dict[str, Any]) -> list[Message]:
    return read(messages=list(messages)).messages


def parts(*content: dict[str, Any]) -> list[form.Part]:
    return turns({"role": "user", "content": list(content)})[0].parts


# --- Any JSON ---

FIELDS = words(
    "model messages role content type text image_url url detail input_audio data format file file_id file_data filename "
    "tool_calls id function name arguments tool_call_id refusal reasoning_content reasoning_details signature audio "
    "tools parameters strict description tool_choice allowed_tools mode functions function_call response_format "
    "json_schema schema reasoning_effort reasoning effort max_tokens thinking budget_tokens stop n seed logit_bias "
    "logprobs top_logprobs stream stream_options include_usage user metadata service_tier modalities temperature "
    "cache_control ttl annotations url_citation images extra_content google thought_signature prompt_cache_options"
)
VALUES = words(
    "user assistant system developer tool function text image_url input_audio file custom refusal auto none required "
    "allowed_tools json_object json_schema data:;base64, https://a.example thinking reasoning.encrypted disabled"
)


def assert_told_well(error: BadRequest) -> None:
    assert error.message.endswith(".")
    assert error.status == 400


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_any_json_is_a_request_or_a_mistake_with_a_name(data: st.DataObject) -> None:
    anything = json_values(FIELDS | VALUES)
    said: dict[str, Any] = data.draw(st.dictionaries(FIELDS, anything, max_size=6))
    part = st.dictionaries(FIELDS, anything, max_size=4).map(lambda fields: {"type": "text", "text": "x"} | fields)
    message = st.dictionaries(FIELDS, anything | st.lists(part, max_size=2), max_size=5)
    if data.draw(st.booleans()):
        said["messages"] = data.draw(st.lists(message.map(lambda fields: {"role": "user"} | fields), max_size=3))
        said["model"] = "m"
    try:
        request = SPOKEN.read_request(json.dumps(said).encode(), data.draw(st.sampled_from(["", "m"])), None)
    except BadRequest as exc:
        assert_told_well(exc)
        return
    assert request.model
    assert all(isinstance(path, str) and path.isascii() for path in [*request.left, *request.fatal])
    assert all(remedy.endswith(".") for remedy in request.fatal.values())
    orjson.dumps(request.echo)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100))
def test_bytes_that_are_no_object_are_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest):
        SPOKEN.read_request(body, "", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"null", b"{", b'"x"', b"[" * 3000 + b"]" * 3000])
def test_what_is_no_object_is_told_so(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        SPOKEN.read_request(body, "m", None)


@pytest.mark.parametrize(
    ("said", "error", "param"),
    [
        ({"model": None}, MissingParameter, "model"),
        ({"model": 5}, InvalidType, "model"),
        ({"messages": None}, MissingParameter, "messages"),
        ({"messages": "Hello"}, InvalidType, "messages"),
        ({"messages": ["Hello"]}, InvalidType, "messages[0]"),
        ({"messages": [{"content": "Hello"}]}, MissingParameter, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": ""}]}, InvalidValue, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, MissingParameter, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, InvalidType, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, InvalidType, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{}]}]}, MissingParameter, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            MissingParameter,
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            MissingParameter,
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, MissingParameter, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]},
            MissingParameter,
            "messages[0].tool_calls[0].function.name",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 5}}]}
                ]
            },
            InvalidType,
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"tools": [{"type": "function"}]}, MissingParameter, "tools[0].function"),
        ({"tools": [{"function": {"name": "f", "parameters": []}}]}, InvalidType, "tools[0].function.parameters"),
        ({"tool_choice": "sometimes"}, InvalidValue, "tool_choice"),
        ({"temperature": "hot"}, InvalidType, "temperature"),
        ({"temperature": True}, InvalidType, "temperature"),
        ({"max_tokens": 1.5}, InvalidType, "max_tokens"),
        ({"max_tokens": -1}, InvalidValue, "max_tokens"),
        ({"stop": [1]}, InvalidType, "stop"),
        ({"stream": "yes"}, InvalidType, "stream"),
        ({"stream_options": []}, InvalidType, "stream_options"),
        ({"response_format": {"type": "json_schema"}}, MissingParameter, "response_format.json_schema"),
        ({"seed": 2**70}, InvalidValue, "seed"),
    ],
)
def test_a_mistake_is_told_by_its_path(said: dict[str, Any], error: type[BadRequest], param: str) -> None:
    with pytest.raises(error) as caught:
        read(**said)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_null_is_absent_everywhere() -> None:
    names = (
        "tools tool_choice functions function_call response_format reasoning_effort reasoning thinking stop n seed user"
    )
    names += " metadata"
    names += " logit_bias logprobs top_logprobs stream stream_options max_tokens max_completion_tokens temperature audio modalities"
    names += " service_tier store prediction web_search_options verbosity parallel_tool_calls something_new"
    assert read(**dict.fromkeys(names.split())) == read()


# --- What is sent ---


def test_a_plain_request() -> None:
    request = read()
    assert request == form.Request(model="m", messages=[Message("user", [Text("Hello")])])


def test_the_path_names_model_and_stream() -> None:
    body = json.dumps({"model": "body", "messages": HELLO, "stream": False}).encode()
    request = SPOKEN.read_request(body, "path", True)
    assert (request.model, request.stream) == ("path", True)
    assert SPOKEN.read_request(b'{"model":null,"messages":[]}', "path", None).model == "path"


def test_instructions_before_the_first_turn_are_the_systems_and_later_ones_stay() -> None:
    request = read(
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            *HELLO,
            {"role": "developer", "content": "Now rhyme."},
        ]
    )
    assert request.system == [Text("Be kind."), Text("Be brief.")]
    assert [(turn.role, turn.parts) for turn in request.messages] == [
        ("user", [Text("Hello")]),
        ("system", [Text("Now rhyme.")]),
    ]


def test_every_kind_of_part() -> None:
    assert parts(
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://p.example/1.png"}},
        {"type": "image_url", "image_url": "https://p.example/2.png"},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%2F%3E"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "JVBE", "filename": "b.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,SGk=", "filename": "c.txt"}},
        {"type": "file", "file": {"file_data": "https://f.example/d.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ) == [
        Text("a"),
        Image(data="iVBORw0K", media_type="image/png", detail="low"),
        Image(url="https://p.example/1.png"),
        Image(url="https://p.example/2.png"),
        Image(data="PHN2Zy8+", media_type="image/svg+xml"),
        form.Audio(data="UklG", media_type="audio/wav"),
        File(data="JVBE", media_type="application/pdf", name="a.pdf"),
        File(data="JVBE", media_type="application/pdf", name="b.pdf"),
        File(text="Hi", media_type="text/plain", name="c.txt"),
        File(url="https://f.example/d.pdf"),
        File(file_id="file-1"),
    ]


def test_marks_of_what_may_be_cached_are_kept() -> None:
    assert parts(
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"type": "text", "text": "c", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ) == [Text("a", "5m"), Text("b", "1h"), Text("c", "1h")]


def test_calls_and_their_results() -> None:
    messages = turns(
        *HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
                {"id": "c", "type": "custom", "custom": {"name": "h", "input": "text"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "2"}, {"type": "image_url", "image_url": {"url": PNG}}],
        },
        {"role": "user", "content": "Go on"},
    )
    assert messages[1:] == [
        Message(
            "assistant",
            [
                ToolCall(id="a", name="f", arguments='{"x":1}'),
                ToolCall(id="b", name="g"),
                ToolCall(id="c", name="h", arguments="text", custom=True),
            ],
        ),
        Message(
            "user",
            [
                ToolResult(id="a", name="f", parts=[Text("1")]),
                ToolResult(id="b", name="g", parts=[Text("2"), Image(data="iVBORw0K", media_type="image/png")]),
            ],
        ),
        Message("user", [Text("Go on")]),
    ]


def test_functions_of_the_older_form_become_tools() -> None:
    request = read(
        messages=[
            *HELLO,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    called, result = request.messages[1].parts[0], request.messages[2].parts[0]
    assert isinstance(called, ToolCall)
    assert isinstance(result, ToolResult)
    assert (called.id, called.name, result.name) == (result.id, "f", "f")
    assert request.tools == [form.Tool(name="f", parameters={"type": "object"})]
    assert request.tool_choice == form.ToolChoice(mode="required", names=["f"])
    assert request.left == []


def test_thoughts_come_back_with_what_proves_them() -> None:
    details = [
        {
            "type": "reasoning.text",
            "text": "One",
            "signature": "tollgate.anthropic.c2ln",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "tollgate.anthropic.ZW5j", "format": "anthropic-claude-v1", "index": 1},
    ]
    call = {
        "id": "a",
        "function": {"name": "f"},
        "extra_content": {"google": {"thought_signature": "tollgate.gemini.Zw=="}},
    }
    (turn,) = turns(
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "One",
            "reasoning_details": details,
            "tool_calls": [call],
        }
    )
    assert turn.parts == [
        Thinking(text="One", signature="c2ln", origin="anthropic"),
        Thinking(signature="ZW5j", origin="anthropic", redacted=True),
        ToolCall(id="a", name="f", signature="Zw==", origin="gemini"),
    ]


def test_thoughts_without_details_come_back_as_they_are() -> None:
    (turn,) = turns({"role": "assistant", "content": "So.", "reasoning_content": "Hm"})
    assert turn.parts == [Thinking(text="Hm"), Text("So.")]


def test_a_client_that_keeps_a_streams_pieces_apart_means_one_thought() -> None:
    details = [
        {"type": "reasoning.text", "text": "On", "index": 0},
        {"type": "reasoning.text", "text": "e", "signature": "tollgate.anthropic.c2ln", "index": 0},
        {"type": "reasoning.text", "text": "Two", "index": 1},
    ]
    (turn,) = turns({"role": "assistant", "reasoning_details": details})
    assert turn.parts == [Thinking(text="One", signature="c2ln", origin="anthropic"), Thinking(text="Two")]


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2},
    }
    request = read(
        messages=[
            {
                "role": "assistant",
                "content": "Hi",
                "refusal": "No.",
                "annotations": [cited],
                "audio": None,
                "function_call": None,
                "tool_calls": None,
                "images": [{"type": "image_url", "image_url": {"url": PNG}}],
            }
        ]
    )
    assert request.messages[0].parts == [
        Text("Hi", citations=[Citation(url="https://a.example", title="A", start=0, end=2)]),
        Refusal("No."),
        Image(data="iVBORw0K", media_type="image/png"),
    ]
    assert request.left == []


def test_an_answer_of_nothing_is_no_turn() -> None:
    assert [turn.role for turn in turns(*HELLO, {"role": "assistant", "content": None}, *HELLO)] == ["user", "user"]


def test_everything_about_sampling() -> None:
    request = read(
        max_completion_tokens=10,
        max_tokens=20,
        temperature=0.5,
        top_p=1,
        top_k=40,
        n=2,
        seed=-7,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        logit_bias={"50256": -100},
        logprobs=True,
        top_logprobs=3,
        stop="END",
    )
    assert (request.max_output, request.temperature, request.top_p, request.top_k) == (10, 0.5, 1, 40)
    assert (request.n, request.seed, request.frequency_penalty, request.presence_penalty) == (2, -7, 0.1, -0.1)
    assert (request.logit_bias, request.logprobs, request.stop) == ({"50256": -100}, 3, ["END"])
    assert read(max_tokens=20.0).max_output == 20
    assert read(logprobs=False, top_logprobs=0).logprobs is None
    assert read(logprobs=True).logprobs == 0


def test_everything_about_tools() -> None:
    request = read(
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "F", "parameters": {"type": "object"}, "strict": True},
            },
            {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral"}},
        ],
        parallel_tool_calls=False,
    )
    assert request.tools == [
        form.Tool(name="f", description="F", parameters={"type": "object"}, strict=True),
        form.Tool(name="g", cache="5m"),
    ]
    assert request.parallel_tools is False


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("none", form.ToolChoice(mode="none")),
        ("auto", form.ToolChoice()),
        ("required", form.ToolChoice(mode="required")),
        ("any", form.ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "f"}}, form.ToolChoice(mode="required", names=["f"])),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            form.ToolChoice(names=["f"]),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            form.ToolChoice(mode="required", names=["f"]),
        ),
    ],
)
def test_choices_of_tools(said: Any, choice: form.ToolChoice) -> None:
    assert read(tool_choice=said).tool_choice == choice


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, form.Format()),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
            },
            form.Format(schema={"type": "object"}, name="n", description="d", strict=True),
        ),
        ({"type": "json_object", "schema": {"type": "object"}}, form.Format(schema={"type": "object"})),
    ],
)
def test_forms_of_answers(said: Any, expected: form.Format | None) -> None:
    assert read(response_format=said).format == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, form.Reasoning(effort="high")),
        ({"reasoning": {"effort": "low", "exclude": True}}, form.Reasoning(effort="low", shown=False)),
        ({"reasoning": {"max_tokens": 2000}}, form.Reasoning(budget=2000)),
        ({"reasoning": {"enabled": False}}, form.Reasoning(effort="none")),
        ({"thinking": {"type": "enabled"}}, form.Reasoning(budget=-1)),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, form.Reasoning(budget=4000)),
        ({"thinking": {"type": "disabled"}}, form.Reasoning(budget=0)),
        ({"include_reasoning": True}, form.Reasoning(shown=True)),
    ],
)
def test_how_much_to_think(said: dict[str, Any], expected: form.Reasoning | None) -> None:
    assert read(**said).reasoning == expected


def test_labels() -> None:
    request = read(
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        verbosity="low",
        stream=True,
        stream_options={"include_usage": True},
    )
    assert (request.user, request.metadata, request.service_tier) == ("u", {"a": "b"}, "flex")
    assert (request.cache_key, request.verbosity, request.include_usage) == ("k", "low", True)
    assert read(safety_identifier="s").user == "s"


# --- What is lost ---


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"store": True}, ["store"]),
        ({"store": False}, []),
        ({"prediction": {"type": "content", "content": "x"}}, ["prediction"]),
        (
            {"prompt_cache_retention": "24h", "prompt_cache_options": {"ttl": "30m"}},
            ["prompt_cache_retention", "prompt_cache_options"],
        ),
        ({"audio": {"voice": "a", "format": "wav"}, "modalities": ["text"]}, ["audio"]),
        ({"user": "u", "safety_identifier": "s"}, ["safety_identifier"]),
        ({"stream_options": {"include_obfuscation": False, "continuous": True}}, ["stream_options.continuous"]),
        ({"min_p": 0.1, "a\r\nb": 1}, ["min_p", "a??b"]),
        (
            {"messages": [{"role": "user", "content": "a", "mood": 1}, {"role": "user", "content": "b", "mood": 2}]},
            ["messages[0].mood"],
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "font": 1}] * 2}]},
            ["messages[0].content[0].font"],
        ),
        ({"messages": [{"role": "system", "content": "a", "name": "n"}]}, ["messages[0].name"]),
    ],
)
def test_hints_that_have_no_place_are_named_once(said: dict[str, Any], left: list[str]) -> None:
    request = read(**said)
    assert request.left == left
    assert request.fatal == {}


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]},
            "messages[0].content",
        ),
    ],
)
def test_what_would_change_the_meaning_is_named_with_what_to_do(said: dict[str, Any], path: str) -> None:
    request = read(**said)
    assert list(request.fatal) == [path]
    assert request.fatal[path].endswith(".")
    assert request.left == []
