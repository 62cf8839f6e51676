"""Requests in Gemini's words: read in whatever spelling they come, or refused with the field's name."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation import form
from apps.providers.translation.gemini import SPOKEN, kept
from apps.providers.translation.gemini.schemas import json_schema
from tests.translation.strategies import json_values

HI = {"contents": [{"parts": [{"text": "Hi"}]}]}


def read(body: Any = None, **fields: Any) -> form.Request:
    return SPOKEN.read_request(json.dumps(HI | fields if body is None else body).encode(), "asked-for", None)


def turns(*contents: Any) -> list[form.Message]:
    return read({"contents": list(contents)}).messages


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# --- Whatever comes ---

WORDS = st.sampled_from(
    """
    contents role parts text thought thoughtSignature thought_signature inlineData inline_data mimeType mime_type data
    fileData fileUri functionCall functionResponse name args id response systemInstruction tools toolConfig mode
    functionDeclarations parameters parametersJsonSchema properties items anyOf type nullable generationConfig topK
    functionCallingConfig allowedFunctionNames thinkingConfig thinkingLevel thinkingBudget responseSchema labels
    responseMimeType stopSequences safetySettings mediaResolution serviceTier responseModalities user model
    result error text/plain image/png application/json OBJECT AUTO
    """.split()  # noqa: SIM905  # readable
)


@settings(max_examples=500, deadline=None)
@given(
    st.fixed_dictionaries(
        {"contents": st.lists(st.fixed_dictionaries({"parts": json_values(WORDS)}) | json_values(WORDS), max_size=3)},
        optional={
            "generationConfig": json_values(WORDS),
            "tools": json_values(WORDS),
            "toolConfig": json_values(WORDS),
            "systemInstruction": json_values(WORDS),
        },
    )
    | json_values(WORDS)
)
def test_whatever_is_sent_is_read_or_refused(body: Any) -> None:
    try:
        request = read({"x": body} if body is None else body)
    except BadRequest:
        return
    assert request.messages or request.fatal


@given(st.binary(max_size=60), st.text(max_size=30))
def test_what_is_no_object_is_refused(data: bytes, text: str) -> None:
    for body in (data, text.encode(), b"[1]", b"[" * 100_000, b'{"a":' * 2000):
        with pytest.raises(BadRequest):
            SPOKEN.read_request(body, "m", None)


@pytest.mark.parametrize(
    ("body", "error", "param"),
    [
        ({}, MissingParameter, "contents"),
        ({"contents": []}, MissingParameter, "contents"),
        ({"contents": None}, MissingParameter, "contents"),
        ({"contents": "Hi"}, InvalidType, "contents"),
        ({"contents": ["Hi"]}, InvalidType, "contents[0]"),
        ({"contents": [{"parts": ["Hi"]}]}, InvalidType, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, InvalidType, "contents[0].parts[0].text"),
        ({"contents": [{"role": "system", "parts": []}]}, InvalidValue, "contents[0].role"),
        ({"contents": [user({"functionCall": {"name": "f"}})]}, InvalidValue, "contents[0].parts[0].functionCall"),
        (
            {"contents": [model({"functionCall": {}})]},
            MissingParameter,
            "contents[0].parts[0].functionCall.name",
        ),
        (
            {"contents": [model({"functionCall": {"name": "f", "args": []}})]},
            InvalidType,
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [user({"functionResponse": {"name": "f", "response": {}}})]},
            InvalidValue,
            "contents[0].parts[0].functionResponse",
        ),
        (
            {"contents": [user({"inlineData": {"data": "AAAA"}})]},
            MissingParameter,
            "contents[0].parts[0].inlineData.mimeType",
        ),
        (
            {"contents": [user({"inlineData": {"data": "!", "mimeType": "text/plain"}})]},
            InvalidValue,
            "contents[0].parts[0].inlineData.data",
        ),
        (HI | {"generationConfig": []}, InvalidType, "generationConfig"),
        (HI | {"generationConfig": {"topK": 1.5}}, InvalidType, "generationConfig.topK"),
        (HI | {"generationConfig": {"temperature": True}}, InvalidType, "generationConfig.temperature"),
        (HI | {"generationConfig": {"topP": 1, "top_p": 1}}, InvalidValue, "generationConfig.topP"),
        (HI | {"generationConfig": {"stopSequences": ["a", 1]}}, InvalidType, "generationConfig.stopSequences"),
        (
            HI | {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}},
            InvalidValue,
            "generationConfig.thinkingConfig",
        ),
        (HI | {"generationConfig": {"responseSchema": "x"}}, InvalidType, "generationConfig.responseSchema"),
        (
            HI | {"tools": [{"functionDeclarations": [{}]}]},
            MissingParameter,
            "tools[0].functionDeclarations[0].name",
        ),
        (
            HI | {"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
            InvalidValue,
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_a_mistake_is_named(body: Any, error: type[BadRequest], param: str) -> None:
    with pytest.raises(error) as refused:
        read(body)
    assert refused.value.param == param


# --- Spellings ---

WHOLE = {
    "contents": [
        {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"inner_name": 1}}, "thoughtSignature": "c2ln"}
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"result": "ok"}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 9,
        "topP": 0.5,
        "topK": 40.0,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
    },
    "serviceTier": "FLEX",
}


def snake(value: Any, keep: tuple[str, ...] = ("args", "response", "parametersJsonSchema")) -> Any:
    if isinstance(value, list):
        return [snake(each) for each in value]
    if not isinstance(value, dict):
        return value.lower() if value in ("ANY", "HIGH", "FLEX") else value
    return {
        "".join("_" + letter.lower() if letter.isupper() else letter for letter in name): (
            each if name in keep else snake(each)
        )
        for name, each in value.items()
    }


def test_both_spellings_say_the_same() -> None:
    assert read(WHOLE) == read(snake(WHOLE))


def test_everything_that_has_a_place_is_kept() -> None:
    request = read(WHOLE)
    assert request == form.Request(
        model="asked-for",
        messages=[
            form.Message("user", [form.Text("Look"), form.Image(data="AAAA", media_type="image/png")]),
            form.Message(
                "assistant",
                [form.ToolCall(id="c1", name="f", arguments='{"inner_name":1}', signature="c2ln", origin="gemini")],
            ),
            form.Message("user", [form.ToolResult(id="c1", name="f", parts=[form.Text("ok")])]),
        ],
        system=[form.Text("Be brief.")],
        tools=[form.Tool(name="f", parameters={"type": "object"})],
        tool_choice=form.ToolChoice(mode="required", names=["f"]),
        format=form.Format(schema={"type": "object"}),
        reasoning=form.Reasoning(effort="high", shown=True),
        max_output=9,
        top_p=0.5,
        top_k=40,
        stop=["END"],
        n=2,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=0,
        service_tier="flex",
    )


def test_null_is_as_if_it_were_not_there() -> None:
    config = dict.fromkeys(("temperature", "responseSchema", "thinkingConfig", "stopSequences", "responseModalities"))
    assert read(generationConfig=config, tools=None, toolConfig=None, systemInstruction=None, labels=None) == read()


def test_the_path_says_whether_a_stream_is_wanted() -> None:
    body = json.dumps(HI).encode()
    assert [SPOKEN.read_request(body, "m", stream).stream for stream in (True, False, None)] == [True, False, False]


# --- Turns ---


def test_a_turn_without_a_role_is_the_users() -> None:
    assert turns({"parts": [{"text": "Hi"}]}) == [form.Message("user", [form.Text("Hi")])]
    assert turns({"parts": {"text": "Hi"}}) == [form.Message("user", [form.Text("Hi")])]


def test_a_models_turn_in_chunks_is_put_together_again() -> None:
    """As google-genai's chats keep a stream."""
    signature = kept.shown("theirs", "anthropic")
    messages = turns(
        user({"text": "Hi"}),
        model({"text": "Let ", "thought": True}),
        model({"text": "me see.", "thought": True}),
        model({"text": "", "thought": True, "thoughtSignature": signature}),
        model({"text": "Hel"}),
        model({"text": "lo"}),
        model({"functionCall": {"name": "f"}}),
        model({"text": ""}),
        user({"functionResponse": {"name": "f", "response": {"output": 5}}}),
    )
    assert messages[1] == form.Message(
        "assistant",
        [
            form.Thinking(text="Let me see.", signature="theirs", origin="anthropic"),
            form.Text("Hello"),
            form.ToolCall(id="call_without_id_1", name="f"),
        ],
    )
    assert messages[2] == form.Message(
        "user", [form.ToolResult(id="call_without_id_1", name="f", parts=[form.Text("5")])]
    )


def test_a_turn_of_many_small_pieces_takes_time_in_proportion() -> None:
    pieces = [{"text": "a"}] * 200_000
    assert turns(model(*pieces)) == [form.Message("assistant", [form.Text("a" * 200_000)])]
    calls = [{"functionCall": {"id": f"c{number}", "name": "f"}} for number in range(20_000)]
    results = [{"functionResponse": {"id": f"c{number}", "name": "f"}} for number in reversed(range(20_000))]
    found = turns(model(*calls), user(*results))[1].parts
    assert [result.id for result in found if isinstance(result, form.ToolResult)] == [
        f"c{number}" for number in reversed(range(20_000))
    ]


@pytest.mark.parametrize("redacted", [True, False])
@pytest.mark.parametrize("origin", ["anthropic", "openai_responses"])
def test_signatures_of_others_come_back_through_googles_client(origin: str, redacted: bool) -> None:
    kept_text = kept.shown("any?>~?>~.at-all", origin, redacted=redacted)
    for text in (kept_text, kept_text.replace("+", "-").replace("/", "_").rstrip("=")):
        (message,) = turns(model({"text": "", "thought": True, "thoughtSignature": text}))
        assert message.parts == [form.Thinking(signature="any?>~?>~.at-all", origin=origin, redacted=redacted)]


@given(st.text(max_size=30), st.sampled_from(["gemini", "anthropic", "openai"]), st.booleans())
def test_every_signature_reads_back(signature: str, origin: str, redacted: bool) -> None:
    text = kept.shown(signature, origin, redacted=redacted)
    assert kept.read(text)[:2] == (signature, origin if signature else "")
    base64.b64decode(text, validate=True)


def test_googles_own_signature_belongs_to_the_thoughts_before_its_part() -> None:
    (message,) = turns(
        model({"text": "Hm.", "thought": True}, {"text": "Yes", "thoughtSignature": "c2ln"}, {"text": "!"})
    )
    assert message.parts == [form.Thinking(text="Hm.", signature="c2ln", origin="gemini"), form.Text("Yes!")]


def test_calls_without_ids_get_some_and_results_find_them_by_name() -> None:
    messages = turns(
        model(
            {"functionCall": {"name": "f", "args": {"a": 1}}},
            {"functionCall": {"name": "g"}},
            {"functionCall": {"name": "f", "args": {"a": 2}}},
            {"functionCall": {"id": "call_1", "name": "h"}},
        ),
        user(
            {"functionResponse": {"name": "g", "response": {"result": "g"}}},
            {"functionResponse": {"name": "f", "response": {"result": "f1"}}},
            {"functionResponse": {"name": "f", "response": {"result": "f2"}}},
            {"functionResponse": {"id": "call_1", "name": "h", "response": {"result": "h"}}},
        ),
    )
    calls = {call.id: call for call in messages[0].parts if isinstance(call, form.ToolCall)}
    results = [result for result in messages[1].parts if isinstance(result, form.ToolResult)]
    assert [calls[result.id].name for result in results] == ["g", "f", "f", "h"]
    assert [calls[result.id].arguments for result in results[1:3]] == ['{"a":1}', '{"a":2}']


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"result": "fine"}, "fine", False),
        ({"output": [1, 2]}, "[1,2]", False),
        ({"error": "broken"}, "broken", True),
        ({"result": {"error": 1}}, '{"error":1}', False),
        ({"temperature": 20, "unit": "C"}, '{"temperature":20,"unit":"C"}', False),
        ({"result": None}, "", False),
        ({}, "", False),
    ],
)
def test_a_result_is_its_text(response: Any, text: str, is_error: bool) -> None:
    part = {"functionResponse": {"name": "f", "response": response}}
    (_, message) = turns(model({"functionCall": {"id": "c", "name": "f"}}), user(part))
    parts: list[Any] = [form.Text(text)] if text else []
    assert message.parts == [form.ToolResult(id="c", name="f", parts=parts, is_error=is_error)]


def test_a_result_may_hold_pictures() -> None:
    picture = {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}
    part = {"functionResponse": {"name": "f", "response": {"result": "see"}, "parts": [picture]}}
    (_, message) = turns(model({"functionCall": {"id": "c", "name": "f"}}), user(part))
    (result,) = message.parts
    assert isinstance(result, form.ToolResult)
    assert result.parts == [form.Text("see"), form.Image(data="AAAA", media_type="image/png")]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"inlineData": {"mimeType": "IMAGE/PNG", "data": "_-8"}}, form.Image(data="/+8=", media_type="image/png")),
        ({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, form.Audio(data="AAAA", media_type="audio/wav")),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
            form.File(data="AAAA", media_type="application/pdf", name="a.pdf"),
        ),
        (
            {"inlineData": {"mimeType": "text/csv", "data": b64("ä,b")}},
            form.File(text="ä,b", media_type="text/csv"),
        ),
        (
            {"fileData": {"fileUri": "https://a.example/b.png?x=1"}},
            form.Image(url="https://a.example/b.png?x=1", media_type="image/png"),
        ),
        (
            {"fileData": {"file_uri": "https://a.example/b", "mime_type": "application/pdf"}},
            form.File(url="https://a.example/b", media_type="application/pdf"),
        ),
        (
            {
                "inlineData": {"mimeType": "image/png", "data": "AAAA"},
                "mediaResolution": {"level": "media_resolution_low"},
            },
            form.Image(data="AAAA", media_type="image/png", detail="low"),
        ),
    ],
)
def test_media_is_read_by_its_type(part: Any, found: form.Part) -> None:
    assert turns(user(part)) == [form.Message("user", [found])]


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"fileData": {"fileUri": "gs://bucket/a.png"}}, "fileData"),
        ({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}}, "fileData"),
        ({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1", "mimeType": "video/mp4"}}, "fileData"),
        ({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}, "inlineData"),
        ({"executableCode": {"code": "1"}}, "executableCode"),
        ({"codeExecutionResult": {"output": "1"}}, "codeExecutionResult"),
        ({"somethingNew": {}}, "somethingNew"),
    ],
)
def test_what_only_google_can_read_is_not_passed_over(part: Any, path: str) -> None:
    request = read({"contents": [user({"text": "Hi"}, part)]})
    assert list(request.fatal) == [f"contents[0].parts[1].{path}"]
    assert request.messages[0].parts == [form.Text("Hi")]


# --- The rest ---


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"functionDeclarations": []}, {"code_execution": {}}]}, "tools[1].code_execution"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction.parts[0]"),
    ],
)
def test_what_changes_the_meaning_is_told_with_what_to_do_about_it(fields: Any, path: str) -> None:
    request = read(**fields)
    assert list(request.fatal) == [path]
    assert request.fatal[path].endswith(".")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"safetySettings": [{"category": "x"}]}, "safetySettings"),
        ({"store": True}, "store"),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
        ({"generationConfig": {"logprobs": 3}}, "generationConfig.logprobs"),
        ({"generationConfig": {"thinkingConfig": {"new": 1}}}, "generationConfig.thinkingConfig.new"),
        ({"toolConfig": {"retrievalConfig": {}}}, "toolConfig.retrievalConfig"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}, "toolConfig.functionCallingConfig.mode"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "response": {}}, {"name": "g", "response": {}}]}]},
            "tools[0].functionDeclarations[0].response",
        ),
        (
            {"contents": [user({"text": "a", "videoMetadata": {}}, {"text": "b", "video_metadata": {}})]},
            "contents[0].parts[0].videoMetadata",
        ),
    ],
)
def test_a_hint_without_a_place_is_named_once(fields: Any, path: str) -> None:
    request = read(**fields)
    assert (request.left, request.fatal) == ([path], {})


def test_many_unknown_fields_do_not_pile_up() -> None:
    fields = {f"new{number}": 1 for number in range(1000)}
    assert len(read(**fields).left) == 64
    assert len(read({"contents": [user({"text": "a"}) | fields] * 3, **fields}).left) == 64


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({}, None),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({"mode": "auto"}, form.ToolChoice()),
        ({"mode": "NONE"}, form.ToolChoice(mode="none")),
        ({"mode": "ANY"}, form.ToolChoice(mode="required")),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, form.ToolChoice(names=["f"])),
    ],
)
def test_whether_functions_must_be_called_is_read(calling: Any, choice: form.ToolChoice | None) -> None:
    assert read(toolConfig={"functionCallingConfig": calling}).tool_choice == choice


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingBudget": 0}, form.Reasoning(budget=0)),
        ({"thinkingBudget": -1, "includeThoughts": False}, form.Reasoning(budget=-1, shown=False)),
        ({"thinking_level": "minimal"}, form.Reasoning(effort="minimal")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, form.Reasoning()),
    ],
)
def test_how_much_to_think_is_read(config: Any, reasoning: form.Reasoning) -> None:
    assert read(generationConfig={"thinkingConfig": config}).reasoning == reasoning


def test_labels_are_metadata_and_the_standard_tier_is_the_default() -> None:
    request = read(labels={"team": "a"}, serviceTier="STANDARD")
    assert (request.metadata, request.service_tier) == ({"team": "a"}, "default")


# --- Schemas ---


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "STRING", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": ["STRING", "INTEGER"], "nullable": True}, {"type": ["string", "integer", "null"]}),
        ({"type": "TYPE_UNSPECIFIED", "description": "x", "title": None}, {"description": "x"}),
        (
            {"any_of": [{"type": "NUMBER"}], "nullable": True},
            {"anyOf": [{"type": "number"}, {"type": "null"}]},
        ),
        (
            {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "1", "maxItems": 3},
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"any_of": {"type": "STRING"}, "type": {"type": "BOOLEAN"}},
                "propertyOrdering": ["type", "gone", "any_of"],
                "required": ["type"],
            },
            {
                "type": "object",
                "properties": {"type": {"type": "boolean"}, "any_of": {"type": "string"}},
                "required": ["type"],
            },
        ),
        (
            {"defs": {"a": {"type": "NULL"}}, "items": {"ref": "#/$defs/a"}, "example": 1},
            {"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}, "examples": [1]},
        ),
        ({"type": "object", "additionalProperties": False}, {"type": "object", "additionalProperties": False}),
    ],
)
def test_a_schema_becomes_one_that_everybody_reads(schema: Any, found: Any) -> None:
    converted = json_schema(schema, "schema")
    assert converted == found
    assert list(converted.get("properties", {})) == list(found.get("properties", {}))
    assert json_schema(found, "schema") == found


def test_a_schema_without_end_is_refused() -> None:
    schema: Any = {}
    for _ in range(300):
        schema = {"items": schema}
    with pytest.raises(InvalidValue) as refused:
        read(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])
    assert refused.value.param == "tools[0].functionDeclarations[0].parameters"
