"""Requests written in Gemini's words: all that it can say, and every loss named."""

import base64
import json
from typing import Any, Literal

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import UnsupportedParameter
from apps.providers.translation import form
from apps.providers.translation.gemini import SPOKEN
from apps.providers.translation.gemini.history import STAND_IN
from apps.providers.translation.gemini.thinking import generation
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream
from tests.translation.strategies import TEXTS, parts

NEW = Upstream(provider="gemini", model="gemini-3.1-pro-preview")
OLD = Upstream(provider="gemini", model="gemini-2.5-flash")
HI = form.Message("user", [form.Text("Hi")])

type Mode = Literal["strict", "warn", "drop"]


def asked(*messages: form.Message, **fields: Any) -> form.Request:
    return form.Request(model="asked-for", messages=list(messages or [HI]), **fields)


def written(request: form.Request, upstream: Upstream = NEW, losses: Losses | None = None) -> dict[str, Any]:
    losses = losses or Losses("strict", SPOKEN.title)
    body: dict[str, Any] = json.loads(SPOKEN.write_request(request, upstream, losses))
    types._GenerateContentParameters.model_validate({"model": "m", "contents": body["contents"]})
    types.GenerateContentConfig.model_validate(
        {
            **{name: value for name, value in body.items() if name not in ("contents", "generationConfig")},
            **body.get("generationConfig", {}),
        }
    )
    return body


def lost(request: form.Request, upstream: Upstream = NEW, mode: Mode = "warn") -> list[str]:
    losses = Losses(mode, SPOKEN.title)
    written(request, upstream, losses)
    return losses.names


def refused(request: form.Request, upstream: Upstream = NEW, mode: Mode = "warn") -> UnsupportedParameter:
    with pytest.raises(UnsupportedParameter) as caught:
        written(request, upstream, Losses(mode, SPOKEN.title))
    assert caught.value.param is not None
    return caught.value


def model(*said: form.Part) -> form.Message:
    return form.Message("assistant", list(said))


def user(*said: form.Part) -> form.Message:
    return form.Message("user", list(said))


# --- Everything that has a place ---


def test_everything_that_has_a_place_is_said() -> None:
    request = asked(
        user(form.Text("Look"), form.Image(data="AAAA", media_type="image/png", detail="low")),
        system=[form.Text("Be brief."), form.Text("")],
        tools=[form.Tool(name="f", description="Adds", parameters={"type": "object"}), form.Tool(name="g")],
        tool_choice=form.ToolChoice(mode="required", names=["f"]),
        format=form.Format(schema={"type": "object"}, name="n", description="A sum", strict=True),
        reasoning=form.Reasoning(effort="high", shown=True),
        max_output=9,
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        stop=["END"],
        n=2,
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        logprobs=3,
        service_tier="flex",
        parallel_tools=True,
    )
    assert written(request) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "description": "Adds", "parametersJsonSchema": {"type": "object"}},
                    {"name": "g"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 0.5,
            "topP": 0.25,
            "topK": 40,
            "stopSequences": ["END"],
            "candidateCount": 2,
            "seed": 7,
            "presencePenalty": 0.5,
            "frequencyPenalty": 0.25,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object", "description": "A sum"},
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
        },
        "serviceTier": "flex",
    }


def test_what_is_not_said_is_not_written() -> None:
    assert written(asked()) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_neither_the_model_nor_the_stream_are_in_the_body() -> None:
    assert not written(asked(stream=True, include_usage=True)).keys() & {"model", "stream"}


def test_instructions_alone_are_said_as_the_users_turn() -> None:
    request = form.Request(model="m", messages=[], system=[form.Text("Say hi.")])
    assert written(request) == {"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}


# --- Turns ---


def test_turns_of_one_role_become_one_and_later_instructions_the_users() -> None:
    request = asked(
        HI, form.Message("system", [form.Text("Now in French.")]), user(form.Text("")), model(form.Text("a")),
        model(form.Text("b"), form.Refusal("no")), HI,
    )  # fmt: skip
    assert written(request)["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}, {"text": "Now in French."}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "b"}, {"text": "no"}]},
        {"role": "user", "parts": [{"text": "Hi"}]},
    ]


def test_results_stand_before_what_the_user_says_in_the_order_of_their_calls() -> None:
    request = asked(
        HI,
        model(
            form.ToolCall(id="a", name="f", arguments='{"x": 1.50}'),
            form.ToolCall(id="b", name="g", arguments=""),
        ),
        user(form.Text("By the way"), form.ToolResult(id="b", parts=[form.Text("two")])),
        user(form.ToolResult(id="a", name="ignored", parts=[form.Text('{"y": 2}')])),
    )
    contents = written(request)["contents"]
    assert contents[1] == {
        "role": "model",
        "parts": [
            {"functionCall": {"id": "a", "name": "f", "args": {"x": 1.5}}, "thoughtSignature": STAND_IN},
            {"functionCall": {"id": "b", "name": "g", "args": {}}},
        ],
    }
    assert contents[2:] == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "f", "response": {"y": 2}}},
                {"functionResponse": {"id": "b", "name": "g", "response": {"result": "two"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "By the way"}]},
    ]


def test_an_id_that_comes_again_belongs_to_the_latest_call() -> None:
    request = asked(
        HI,
        model(form.ToolCall(id="0", name="f")),
        user(form.ToolResult(id="0")),
        model(form.ToolCall(id="0", name="g")),
        user(form.ToolResult(id="0", is_error=True, parts=[form.Text("a"), form.Text("b")])),
    )
    results = [content["parts"][0]["functionResponse"] for content in written(request)["contents"][2::2]]
    assert results == [
        {"id": "0", "name": "f", "response": {"result": ""}},
        {"id": "0", "name": "g", "response": {"error": "a\nb"}},
    ]


def test_numbers_of_arguments_stay_as_they_were_written() -> None:
    call = form.ToolCall(id="a", name="f", arguments='{"big":123456789012345678901234567890,"exact":1.10}')
    body = SPOKEN.write_request(asked(HI, model(call), user(form.ToolResult(id="a"))), NEW, Losses("strict", ""))
    assert b'{"big":123456789012345678901234567890,"exact":1.10}' in body


def test_pictures_of_results_stand_in_them_for_newer_models_and_after_them_for_older_ones() -> None:
    picture = form.Image(data="AAAA", media_type="image/png")
    request = asked(HI, model(form.ToolCall(id="a", name="f")), user(form.ToolResult(id="a", parts=[picture])))
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    new, old = written(request, NEW)["contents"], written(request, OLD)["contents"]
    assert new[2]["parts"][0]["functionResponse"]["parts"] == [inline]
    assert "parts" not in old[2]["parts"][0]["functionResponse"]
    assert old[3] == {"role": "user", "parts": [inline]}


# --- Signatures ---


def test_googles_own_signatures_are_given_back_where_they_were() -> None:
    call = form.ToolCall(id="a", name="f", signature="c2ln", origin="gemini")
    second = form.ToolCall(id="b", name="f")
    request = asked(HI, model(form.Thinking(text="Hm."), call, second), user(form.ToolResult(id="a")))
    assert written(request)["contents"][1]["parts"] == [
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "b", "name": "f", "args": {}}},
    ]


@pytest.mark.parametrize("upstream", [OLD, Upstream(provider="gemini", model="gemma-4-31b-it")])
def test_older_models_get_no_stand_in(upstream: Upstream) -> None:
    request = asked(HI, model(form.ToolCall(id="a", name="f")), user(form.ToolResult(id="a")))
    assert "thoughtSignature" not in written(request, upstream)["contents"][1]["parts"][0]


def test_each_step_has_a_stand_in_on_its_first_call() -> None:
    steps = [
        each
        for step in ("a", "b")
        for each in (
            model(form.Text("."), form.ToolCall(id=step, name="f"), form.ToolCall(id=step + "2", name="f")),
            user(form.ToolResult(id=step), form.ToolResult(id=step + "2")),
        )
    ]
    for content in written(asked(HI, *steps))["contents"][1::2]:
        assert [part.get("thoughtSignature") for part in content["parts"]] == [None, STAND_IN, None]


def test_signatures_of_thoughts_stand_on_the_part_that_they_led_to() -> None:
    thoughts = form.Thinking(text="Hm.", signature="b25l", origin="gemini")
    alone = form.Thinking(signature="dHdv", origin="gemini", redacted=True)
    request = asked(HI, model(thoughts, form.Text("Yes"), form.ToolCall(id="a", name="f"), alone), HI)
    assert written(request)["contents"][1]["parts"] == [
        {"text": "Hm.", "thought": True},
        {"text": "Yes", "thoughtSignature": "b25l"},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": STAND_IN},
        {"text": "", "thoughtSignature": "dHdv"},
    ]


@pytest.mark.parametrize("origin", ["anthropic", "openai", "openai_responses", ""])
def test_thoughts_and_signatures_of_others_are_left_out(origin: str) -> None:
    call = form.ToolCall(id="a", name="f", signature="theirs", origin=origin)
    request = asked(
        HI, model(form.Thinking(text="Hm.", signature="theirs", origin=origin), call), user(form.ToolResult(id="a"))
    )
    assert written(request)["contents"][1]["parts"] == [
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": STAND_IN}
    ]


# --- Media ---


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (form.Image(data="AAAA", media_type="image/webp"), {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}),
        (form.Image(url="data:image/gif;base64,AAAA"), {"inlineData": {"mimeType": "image/gif", "data": "AAAA"}}),
        (form.Audio(data="AAAA", media_type="audio/wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
        (
            form.File(data="AAAA", media_type="application/pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
        (form.File(text="ä"), {"inlineData": {"mimeType": "text/plain", "data": "w6Q="}}),
        (
            form.Image(url="https://a.example/b.JPG?x"),
            {"fileData": {"fileUri": "https://a.example/b.JPG?x", "mimeType": "image/jpeg"}},
        ),
        (form.Image(url="https://a.example/b"), {"fileData": {"fileUri": "https://a.example/b"}}),
        (
            form.File(url="https://a.example/b", media_type="application/pdf"),
            {"fileData": {"fileUri": "https://a.example/b", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_media_are_written(part: form.Part, found: Any) -> None:
    assert written(asked(user(part)))["contents"][0]["parts"] == [found]


@pytest.mark.parametrize("url", ["gs://b/a.png", "https://generativelanguage.googleapis.com/v1beta/files/x"])
def test_files_that_google_keeps_can_be_pointed_at_by_any_model(url: str) -> None:
    assert written(asked(user(form.Image(url=url))), OLD)["contents"][0]["parts"][0]["fileData"]["fileUri"] == url


@pytest.mark.parametrize("mode", ["strict", "warn", "drop"])
@pytest.mark.parametrize(
    ("part", "upstream"),
    [
        (form.Image(url="https://a.example/b.png"), OLD),
        (form.File(url="https://a.example/b.pdf"), OLD),
        (form.Image(url="file:///etc/passwd"), NEW),
        (form.Image(file_id="file-1"), NEW),
        (form.File(file_id="file-1"), NEW),
        (form.Image(), NEW),
    ],
)
def test_a_picture_that_the_model_cannot_open_is_refused_in_any_case(
    mode: Mode, part: form.Part, upstream: Upstream
) -> None:
    error = refused(asked(user(form.Text("Look"), part)), upstream, mode)
    assert error.param == "messages[0].content[1]"
    assert error.message.endswith("Send it as data, in base64.")


def test_pictures_of_different_detail_lose_it() -> None:
    pictures = [form.Image(data="AAAA", media_type="image/png", detail=detail) for detail in ("low", "high")]
    request = asked(user(*pictures))
    assert lost(request) == ["messages[0].content[0].image_url.detail"]
    assert "generationConfig" not in written(request, losses=Losses("drop", ""))
    assert lost(asked(user(form.Image(data="AAAA", media_type="image/png", detail="auto"))), mode="strict") == []


# --- Losses ---


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"verbosity": "low"}, "verbosity"),
        ({"user": "u"}, "user"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"cache_key": "k"}, "prompt_cache_key"),
        ({"seed": 2**40}, "seed"),
        ({"system": [form.Text("x", cache="5m")]}, "cache_control"),
        ({"tools": [form.Tool(name="f", cache="1h")]}, "cache_control"),
        ({"tools": [form.Tool(name="f"), form.Tool(name="g", strict=True)]}, "tools[1].function.strict"),
        ({"messages": [form.Message("user", [form.Text("x", cache="5m")])]}, "cache_control"),
        ({"messages": [form.Message("user", [form.Text("x")], name="Ada")]}, "messages.name"),
        ({"messages": [user(form.File(data="AAAA", name="a.pdf"))]}, "file.filename"),
        ({"reasoning": form.Reasoning(effort="enormous")}, "reasoning_effort"),
    ],
)
def test_a_hint_that_is_lost_is_named(fields: dict[str, Any], name: str) -> None:
    request = form.Request(**{"model": "m", "messages": [HI], **fields})
    assert lost(request) == [name]
    assert refused(request, mode="strict").param == name


@pytest.mark.parametrize(
    ("fields", "name", "left"),
    [
        ({"logit_bias": {"1": 5}}, "logit_bias", {}),
        (
            {"tools": [form.Tool(name="f")], "parallel_tools": False},
            "parallel_tool_calls",
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ),
        ({"stop": list("abcdef")}, "stop", {"generationConfig": {"stopSequences": list("abcde")}}),
        ({"service_tier": "scale"}, "service_tier", {}),
        (
            {"reasoning": form.Reasoning(effort="none")},
            "reasoning_effort",
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
        ),
    ],
)
def test_what_changes_the_meaning_is_refused_unless_an_operator_drops_it(
    fields: dict[str, Any], name: str, left: Any
) -> None:
    request = asked(**fields)
    assert refused(request, mode="warn").param == name
    body = written(request, losses=Losses("drop", ""))
    assert {field: value for field, value in body.items() if field != "contents"} == left


def test_an_answer_that_is_begun_cannot_be_gone_on_with() -> None:
    error = refused(asked(HI, model(form.Text("It is"))))
    assert error.param == "messages[1]"
    assert "user" in error.message


@pytest.mark.parametrize("mode", ["strict", "warn", "drop"])
@pytest.mark.parametrize(
    ("call", "param"),
    [
        (form.ToolCall(id="a", name="f", arguments="{"), "messages[1].tool_calls[0].function.arguments"),
        (form.ToolCall(id="a", name="f", arguments="[1]"), "messages[1].tool_calls[0].function.arguments"),
        (form.ToolCall(id="a", name="f", arguments="ls", custom=True), "messages[1].tool_calls[0].function.arguments"),
    ],
)
def test_arguments_that_are_no_object_are_refused(call: form.ToolCall, param: str, mode: Mode) -> None:
    assert refused(asked(HI, model(call), user(form.ToolResult(id="a"))), mode=mode).param == param


def test_a_result_of_an_unknown_tool_is_refused() -> None:
    assert refused(asked(user(form.ToolResult(id="gone"))), mode="drop").param == "messages[0].tool_call_id"
    named = written(asked(user(form.ToolResult(id="gone", name="f"))))
    assert named["contents"][0]["parts"][0]["functionResponse"]["name"] == "f"


# --- Tools ---


@pytest.mark.parametrize(
    ("choice", "config", "offered"),
    [
        (None, None, ["f", "g"]),
        (form.ToolChoice(), None, ["f", "g"]),
        (form.ToolChoice(mode="none"), {"mode": "NONE"}, ["f", "g"]),
        (form.ToolChoice(mode="required"), {"mode": "ANY"}, ["f", "g"]),
        (
            form.ToolChoice(mode="required", names=["f"]),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
            ["f", "g"],
        ),
        (form.ToolChoice(names=["g"]), None, ["g"]),
    ],
)
def test_whether_tools_must_be_called_is_said(
    choice: form.ToolChoice | None, config: dict[str, Any] | None, offered: list[str]
) -> None:
    body = written(asked(tools=[form.Tool(name="f"), form.Tool(name="g")], tool_choice=choice))
    assert body.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})
    assert [tool["name"] for tool in body["tools"][0]["functionDeclarations"]] == offered


def test_a_choice_among_no_tools_is_not_said() -> None:
    assert written(asked(tool_choice=form.ToolChoice(mode="none"), parallel_tools=False)).keys() == {"contents"}


# --- Thinking ---

LEVELS = {"minimal": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}
BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}


def thinking(reasoning: form.Reasoning, upstream: Upstream, mode: Mode = "strict") -> Any:
    body = written(asked(reasoning=reasoning), upstream, Losses(mode, ""))
    return body.get("generationConfig", {}).get("thinkingConfig")


def gemini(name: str, *caps: str, efforts: tuple[str, ...] = ()) -> Upstream:
    return Upstream(provider="gemini", model=name, caps=frozenset(caps), efforts=efforts)


@pytest.mark.parametrize(("effort", "level"), LEVELS.items())
def test_newer_models_are_told_a_level(effort: str, level: str) -> None:
    assert thinking(form.Reasoning(effort=effort), NEW) == {"thinkingLevel": level}


@pytest.mark.parametrize(("effort", "budget"), BUDGETS.items())
def test_gemini_2_5_is_told_a_budget(effort: str, budget: int) -> None:
    assert thinking(form.Reasoning(effort=effort), OLD) == {"thinkingBudget": budget}


@pytest.mark.parametrize(
    ("reasoning", "upstream", "config"),
    [
        (form.Reasoning(effort="none"), gemini("gemini-3-flash-preview"), {"thinkingLevel": "MINIMAL"}),
        (form.Reasoning(effort="minimal"), gemini("gemini-3-flash-preview"), {"thinkingLevel": "MINIMAL"}),
        (
            form.Reasoning(effort="minimal"),
            gemini("gemini-3.7-flash", "reasoning", "no_effort_minimal"),
            {"thinkingLevel": "LOW"},
        ),
        (form.Reasoning(effort="max"), gemini("gemini-4-argon", efforts=("high", "xhigh")), {"thinkingLevel": "XHIGH"}),
        (form.Reasoning(budget=0), gemini("gemini-3-flash"), {"thinkingLevel": "MINIMAL"}),
        (form.Reasoning(budget=1024), NEW, {"thinkingLevel": "LOW"}),
        (form.Reasoning(budget=8000, shown=True), NEW, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        (form.Reasoning(budget=31_999), gemini("gemini-flash-latest"), {"thinkingLevel": "HIGH"}),
        (form.Reasoning(budget=-1), NEW, None),
        (form.Reasoning(shown=True), NEW, {"includeThoughts": True}),
        (form.Reasoning(), NEW, None),
        (form.Reasoning(budget=-1), OLD, {"thinkingBudget": -1}),
        (form.Reasoning(budget=31_999), OLD, {"thinkingBudget": 24_576}),
        (form.Reasoning(effort="max"), gemini("gemini-2.5-pro"), {"thinkingBudget": 32_768}),
        (form.Reasoning(budget=64), gemini("gemini-2.5-pro"), {"thinkingBudget": 128}),
        (form.Reasoning(budget=64), gemini("gemini-2.5-flash-lite"), {"thinkingBudget": 512}),
        (form.Reasoning(effort="none"), gemini("gemini-2.0-flash"), None),
        (form.Reasoning(effort="low"), gemini("gemma-4-31b-it", "reasoning"), {"thinkingLevel": "LOW"}),
    ],
)
def test_every_model_is_told_what_it_understands(reasoning: form.Reasoning, upstream: Upstream, config: Any) -> None:
    assert thinking(reasoning, upstream) == config


def test_a_model_that_cannot_stop_thinking_says_so() -> None:
    for upstream, least in ((NEW, {"thinkingLevel": "LOW"}), (gemini("gemini-2.5-pro"), {"thinkingBudget": 128})):
        refused(asked(reasoning=form.Reasoning(effort="none")), upstream)
        assert thinking(form.Reasoning(effort="none"), upstream, "drop") == least


@pytest.mark.parametrize("upstream", [gemini("gemini-2.0-flash"), gemini("gemini-3-x", "tools"), gemini("learnlm-1")])
def test_a_model_that_does_not_think_is_asked_without(upstream: Upstream) -> None:
    request = asked(reasoning=form.Reasoning(effort="high", shown=True))
    assert lost(request, upstream) == ["reasoning_effort"]
    assert "generationConfig" not in written(request, upstream, Losses("drop", ""))


@given(
    st.builds(
        form.Reasoning,
        effort=st.sampled_from(["", *LEVELS, "none"]),
        budget=st.none() | st.integers(-1, 99_999),
        shown=st.none() | st.booleans(),
    ),
    st.sampled_from(["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-pro", "gemini-4-argon", "gemini-pro-latest", "x"]),
)
def test_level_and_budget_are_never_both_there(reasoning: form.Reasoning, name: str) -> None:
    config = thinking(reasoning, gemini(name), "drop") or {}
    assert not {"thinkingLevel", "thinkingBudget"} <= config.keys()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gemini-2.5-pro", (2, 5)),
        ("gemini-3-flash-preview", (3, 0)),
        ("models/gemini-3.1-pro", (3, 1)),
        ("gemini-10", (10, 0)),
        ("gemini-exp-1114", (0, 0)),
        ("gemini-embedding-001", (0, 0)),
        ("gemma-4-31b-it", (0, 0)),
    ],
)
def test_a_name_says_which_gemini_it_is(name: str, found: tuple[int, int]) -> None:
    assert generation(name) == found
    assert generation("gemini-flash-latest") > (3, 0)


# --- Whatever is asked ---


def in_base64(part: form.Part) -> form.Part:
    """With a signature such as Google's are."""
    if isinstance(part, form.Thinking | form.ToolCall) and part.signature:
        part.signature = base64.b64encode(part.signature.encode()).decode()
    return part


TURNS = st.one_of(
    st.lists(TEXTS.map(form.Text), max_size=3).map(lambda said: form.Message("user", list(said))),
    st.lists(TEXTS.map(form.Text), max_size=2).map(lambda said: form.Message("system", list(said))),
    parts().map(lambda said: form.Message("assistant", [in_base64(part) for part in said])),
    st.sampled_from([f"call_{number}" for number in range(5)]).map(lambda id_: user(form.ToolResult(id=id_, name="f"))),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TURNS, min_size=1, max_size=6), st.sampled_from([NEW, OLD]))
def test_every_conversation_is_one_that_google_reads(messages: list[form.Message], upstream: Upstream) -> None:
    request = form.Request(model="m", messages=messages)
    body = written(request, upstream, Losses("drop", ""))
    for content in body["contents"]:
        assert content["role"] in ("user", "model")
        for part in content["parts"]:
            assert len(part.keys() - {"thought", "thoughtSignature"}) == 1
    # Read back, its texts are the same.
    back = SPOKEN.read_request(json.dumps(only_answered(body)).encode(), "m", None) if body["contents"] else request
    assert not back.left


def only_answered(body: dict[str, Any]) -> dict[str, Any]:
    """Without results, which may be of calls that never were."""
    for content in body["contents"]:
        content["parts"] = [part for part in content["parts"] if "functionResponse" not in part] or [{"text": "."}]
    return body


@settings(max_examples=300, deadline=None)
@given(parts())
def test_a_models_turn_reads_back_as_it_was(said: list[form.Part]) -> None:
    """But for thoughts of others, and for texts that follow one another."""
    body = written(asked(HI, model(*map(in_base64, said)), HI), OLD, Losses("drop", ""))
    found = SPOKEN.read_request(json.dumps(body).encode(), "m", None).messages
    back = found[1].parts if len(found) == 3 else []
    assert "".join(part.text for part in back if isinstance(part, form.Text)) == "".join(
        part.text for part in said if isinstance(part, form.Text | form.Refusal)
    )
    calls = [(call.id, call.name, json.loads(call.arguments)) for call in said if isinstance(call, form.ToolCall)]
    assert [
        (call.id, call.name, json.loads(call.arguments)) for call in back if isinstance(call, form.ToolCall)
    ] == calls
    signed = {part.signature for part in back if isinstance(part, form.Thinking | form.ToolCall) and part.signature}
    assert signed == {
        part.signature
        for part in said
        if isinstance(part, form.Thinking | form.ToolCall) and part.signature and part.origin == "gemini"
    }
