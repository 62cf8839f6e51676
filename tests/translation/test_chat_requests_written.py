"""A request reaches each provider of OpenAI's form as that provider takes it, and says what it loses on the way."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import UnsupportedParameter
from apps.providers.kinds import KINDS
from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.translation.form import (
    Audio,
    File,
    Image,
    Message,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from apps.providers.translation.losses import Losses
from apps.providers.translation.upstream import Upstream
from tests.translation.strategies import ARGUMENTS, NAMES, TEXTS

HELLO = [Message("user", [Text("Hello")])]
CHAT_PROVIDERS = sorted(name for name, kind in KINDS.items() if kind.dialect == "openai")


def losing(
    provider: str = "openai", mode: str = "warn", model: str = "their-model", **about: Any
) -> tuple[Upstream, Losses]:
    return Upstream(provider=provider, model=model, **about), Losses(mode, SPOKEN.title)


def written(provider: str = "openai", *, messages: Any = None, about: dict[str, Any] | None = None, **said: Any) -> Any:
    """The body, where nothing is lost."""
    upstream, losses = losing(provider, **about or {})
    body = SPOKEN.write_request(Request(model="m", messages=messages or HELLO, **said), upstream, losses)
    assert losses.names == []
    return orjson.loads(body)


def lost(
    provider: str = "openai", *, messages: Any = None, about: dict[str, Any] | None = None, **said: Any
) -> tuple[Any, list[str]]:
    """The body, and the hints that it loses."""
    upstream, losses = losing(provider, **about or {})
    body = SPOKEN.write_request(Request(model="m", messages=messages or HELLO, **said), upstream, losses)
    assert losses.names
    return orjson.loads(body), losses.names


def refused(
    provider: str = "openai", *, messages: Any = None, about: dict[str, Any] | None = None, **said: Any
) -> tuple[str, Any]:
    """The field for which it is refused, and the body without it if an operator wants it so; None if there is none."""
    request = Request(model="m", messages=messages or HELLO, **said)
    with pytest.raises(UnsupportedParameter) as caught:
        SPOKEN.write_request(request, *losing(provider, **about or {}))
    assert caught.value.param
    try:
        body = orjson.loads(SPOKEN.write_request(request, *losing(provider, "drop", **about or {})))
    except UnsupportedParameter:
        body = None
    return caught.value.param, body


def messages_for(provider: str, *messages: Message, system: list[Text] | None = None) -> list[Any]:
    return written(provider, messages=list(messages), system=system or [])["messages"]


def user(*parts: form.Part) -> Message:
    return Message("user", list(parts))


def assistant(*parts: form.Part) -> Message:
    return Message("assistant", list(parts))


# --- The whole ---


def test_a_plain_request() -> None:
    assert written(max_output=10, stream=True) == {
        "model": "their-model",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 10,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("provider", CHAT_PROVIDERS)
def test_the_cap_of_the_output_has_the_name_that_the_provider_knows(provider: str) -> None:
    body = written(provider, max_output=10)
    name = "max_completion_tokens" if provider in ("openai", "azure_openai") else "max_tokens"
    assert {key: value for key, value in body.items() if key.startswith("max_")} == {name: 10}
    assert not KINDS[provider].output_cap or KINDS[provider].output_cap == name


@pytest.mark.parametrize("provider", CHAT_PROVIDERS)
def test_usage_of_a_stream_is_asked_for_where_the_provider_takes_the_question(provider: str) -> None:
    body = written(provider, stream=True)
    assert body["stream"] is True
    assert ("stream_options" in body) == KINDS[provider].takes_stream_options
    assert "stream" not in written(provider)


PARTS = st.one_of(
    st.builds(Text, TEXTS, st.sampled_from(["", "5m", "1h"])),
    st.builds(Image, url=st.just("https://p.example/1.png"), cache=st.sampled_from(["", "5m"])),
    st.builds(Image, file_id=st.just("file-1")),
    st.builds(Audio, data=st.just("UklG"), media_type=st.just("audio/wav")),
    st.builds(File, data=st.just("JVBE"), media_type=st.just("application/pdf"), name=TEXTS),
    st.builds(File, text=TEXTS),
    st.builds(File, file_id=st.just("file-1")),
    st.builds(
        Thinking,
        text=TEXTS,
        signature=st.sampled_from(["", "c2ln", "{}"]),
        origin=st.sampled_from(["openai", "anthropic"]),
    ),
    st.builds(Refusal, TEXTS),
    st.builds(ToolCall, id=TEXTS, name=NAMES, arguments=ARGUMENTS | st.just(""), custom=st.booleans()),
    st.builds(ToolResult, id=TEXTS, parts=st.lists(st.builds(Text, TEXTS) | st.builds(Image, url=TEXTS), max_size=2)),
)
REQUESTS = st.builds(
    Request,
    model=st.just("m"),
    messages=st.lists(
        st.builds(
            Message, st.sampled_from(["system", "user", "assistant"]), st.lists(PARTS, max_size=4), st.just("") | NAMES
        ),
        max_size=5,
    ),
    system=st.lists(st.builds(Text, TEXTS, st.sampled_from(["", "5m"])), max_size=2),
    tools=st.lists(st.builds(form.Tool, name=NAMES, description=TEXTS, cache=st.sampled_from(["", "5m"])), max_size=2),
    tool_choice=st.none()
    | st.builds(form.ToolChoice, mode=st.sampled_from(["auto", "none", "required"]), names=st.lists(NAMES, max_size=2)),
    parallel_tools=st.none() | st.booleans(),
    format=st.none() | st.builds(form.Format, schema=st.none() | st.just({"type": "object"})),
    reasoning=st.none()
    | st.builds(
        form.Reasoning, effort=st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max", "new"])
    )
    | st.builds(form.Reasoning, budget=st.integers(-1, 40_000)),
    n=st.none() | st.integers(1, 3),
    logprobs=st.none() | st.integers(0, 3),
    stop=st.lists(TEXTS, max_size=6),
    top_k=st.none() | st.integers(1, 50),
    user=st.just("") | NAMES,
    service_tier=st.sampled_from(["", "auto", "flex", "priority", "standard_only"]),
    cache_key=st.just("") | NAMES,
    stream=st.booleans(),
)
UPSTREAMS = st.builds(
    Upstream,
    provider=st.sampled_from(CHAT_PROVIDERS),
    model=st.sampled_from(["their-model", "gpt-5.6", "gpt-4o"]),
    caps=st.frozensets(
        st.sampled_from(["tools", "image_in", "audio_in", "json_schema", "reasoning", "no_effort_none"])
    ),
    efforts=st.sampled_from([(), ("none", "high"), ("low", "high", "max"), ("medium",)]),
)


@settings(max_examples=500, deadline=None)
@given(REQUESTS, UPSTREAMS, st.sampled_from(["warn", "drop", "strict"]))
def test_any_request_is_written_or_refused_by_the_name_of_a_field(
    request: Request, upstream: Upstream, mode: str
) -> None:
    losses = Losses(mode, SPOKEN.title)
    try:
        body = orjson.loads(SPOKEN.write_request(request, upstream, losses))
    except UnsupportedParameter as exc:
        param = exc.param
        assert param
        return
    assert body["model"] == upstream.model
    assert body["stream"] is True if request.stream else "stream" not in body
    assert losses.names == [] or mode != "strict"
    for message in body["messages"]:
        assert message["role"] in ("system", "user", "assistant", "tool")
        assert isinstance(message["content"], str | list) or message.get("tool_calls") or message.get("refusal")
        for call in message.get("tool_calls", []):
            assert len(call["id"]) <= 40
            assert call["type"] == "custom" or call["function"]["arguments"]
    asked = upstream.efforts or ("none", "minimal", "low", "medium", "high", "xhigh", "max", "new")
    assert body.get("reasoning_effort", asked[0]) in (*asked, "new")


# --- Messages ---


def test_instructions_are_one_message_before_all_others() -> None:
    body = messages_for("openai", *HELLO, system=[Text("Be kind."), Text("Be brief.")])
    assert body[0] == {"role": "system", "content": "Be kind.\n\nBe brief."}


def test_texts_of_one_turn_are_one_string() -> None:
    assert messages_for("deepseek", user(Text("a"), Text("b"))) == [{"role": "user", "content": "a\n\nb"}]


def test_pictures_sound_and_documents() -> None:
    (message,) = messages_for(
        "openai",
        user(
            Text("Look:"),
            Image(data="AAAA", media_type="image/png", detail="low"),
            Image(url="https://p.example/1.png"),
            Audio(data="UklG", media_type="audio/mpeg"),
            Audio(data="UklG", media_type="audio/x-wav"),
            File(data="JVBE", media_type="application/pdf", name="a.pdf"),
            File(data="JVBE", media_type="application/pdf"),
            File(text="Plain", name="notes.txt"),
            File(file_id="file-1"),
        ),
    )
    assert message["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://p.example/1.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "text", "text": "notes.txt\n\nPlain"},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


def test_a_document_by_its_url_goes_where_it_is_taken() -> None:
    asked = user(Text("Read"), File(url="https://f.example/a.pdf", name="a.pdf"))
    (message,) = messages_for("openrouter", asked)
    assert message["content"][1] == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "https://f.example/a.pdf"},
    }
    (message,) = messages_for("mistral", asked)
    assert message["content"][1] == {
        "type": "document_url",
        "document_url": "https://f.example/a.pdf",
        "document_name": "a.pdf",
    }
    assert refused("openai", messages=[asked]) == ("messages[0].content[1]", None)
    param, body = refused("deepseek", messages=[asked])
    assert (param, body["messages"]) == (
        "messages[0].content[1]",
        [{"role": "user", "content": [{"type": "text", "text": "Read"}]}],
    )


def test_files_of_another_provider_mean_nothing() -> None:
    assert refused("openai", messages=[user(File(file_id="file_011"))]) == ("messages[0].content[0]", None)
    assert refused("groq", messages=[user(Image(file_id="file-1"))]) == ("messages[0].content[0]", None)


def test_a_model_that_is_known_to_see_nothing_is_sent_no_pictures() -> None:
    about = {"caps": frozenset({"tools"})}
    asked = [user(Text("What?"), Image(url="https://p.example/1.png"))]
    param, body = refused(messages=asked, about=about)
    assert (param, body["messages"][0]["content"]) == ("messages[0].content[1]", [{"type": "text", "text": "What?"}])
    assert refused(messages=[user(Audio(data="a", media_type="audio/wav"))], about=about)[0] == "messages[0].content[0]"


def test_a_call_and_its_result() -> None:
    assert messages_for(
        "openai",
        *HELLO,
        assistant(
            Text("Wait."), ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments="")
        ),
        user(
            Text("And?"),
            ToolResult(id="a", name="f", parts=[Text("1"), Text("2")]),
            ToolResult(id="b", name="g", parts=[Image(data="AAAA", media_type="image/png")], is_error=True),
        ),
    )[1:] == [
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1\n2"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: "},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_a_failed_call_says_so_once() -> None:
    asked = [
        *HELLO,
        assistant(ToolCall(id="a", name="f")),
        user(ToolResult(id="a", parts=[Text("Error: no")], is_error=True)),
    ]
    assert messages_for("openai", *asked)[-1]["content"] == "Error: no"
    asked[-1] = user(ToolResult(id="a", parts=[Text("no such file")], is_error=True))
    assert messages_for("openai", *asked)[-1]["content"] == "Error: no such file"


def test_a_refusal_goes_back_as_one_where_there_is_such_a_thing() -> None:
    asked = [*HELLO, assistant(Refusal("No.")), *HELLO]
    assert messages_for("openai", *asked)[1] == {"role": "assistant", "content": None, "refusal": "No."}
    assert messages_for("groq", *asked)[1] == {"role": "assistant", "content": "No."}


def test_a_later_instruction_stays_where_it_is() -> None:
    asked = [*HELLO, Message("system", [Text("Now rhyme.")])]
    assert messages_for("openai", *asked)[1] == {"role": "system", "content": "Now rhyme."}


def test_names_pass_where_they_are_taken() -> None:
    asked = [Message("user", [Text("Hi")], "ann")]
    assert messages_for("openai", *asked) == [{"role": "user", "content": "Hi", "name": "ann"}]
    for provider in ("mistral", "groq"):
        body, names = lost(provider, messages=asked)
        assert body["messages"] == [{"role": "user", "content": "Hi"}]
        assert names == ["messages[0].name"]


def test_a_custom_call_goes_only_where_it_comes_from() -> None:
    asked = [
        *HELLO,
        assistant(ToolCall(id="a", name="sql", arguments="select 1", custom=True)),
        user(ToolResult(id="a", parts=[Text("1")])),
    ]
    call = messages_for("openai", *asked)[1]["tool_calls"][0]
    assert call == {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    assert refused("mistral", messages=asked)[0] == "messages[1].tool_calls"


def test_ids_that_are_too_long_are_shortened_alike_for_call_and_result() -> None:
    long = "toolu_" + "x" * 60
    asked = [*HELLO, assistant(ToolCall(id=long, name="f")), user(ToolResult(id=long, parts=[Text("1")]))]
    _, called, result = messages_for("openai", *asked)
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) <= 40


@pytest.mark.parametrize("provider", ["openai", "groq", "deepseek", "openai_compatible"])
def test_whoever_ends_with_the_models_own_words_is_told_that_it_cannot_go_on(provider: str) -> None:
    param, body = refused(provider, messages=[*HELLO, assistant(Text("The answer is"))])
    assert param == "messages[1]"
    assert body["messages"][1] == {"role": "assistant", "content": "The answer is"}
    assert messages_for("openrouter", *HELLO, assistant(Text("The")))[1] == {"role": "assistant", "content": "The"}


def test_citations_and_pictures_of_earlier_answers() -> None:
    body, names = lost(
        messages=[*HELLO, assistant(Text("Hi", citations=[form.Citation(url="https://a.example")])), *HELLO]
    )
    assert (body["messages"][1], names) == ({"role": "assistant", "content": "Hi"}, ["messages[1].annotations"])
    assert refused(messages=[*HELLO, assistant(Text("Hi"), Image(data="AAAA")), *HELLO])[0] == "messages[1].content[1]"


# --- Marks of what may be cached ---


def test_marks_go_to_models_that_know_them() -> None:
    asked: dict[str, Any] = {"system": [Text("Be kind."), Text("Long", "1h")], "messages": [user(Text("Hi", "5m"))]}
    body = written(about={"model": "gpt-5.6-mini"}, **asked)
    assert body["messages"] == [
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "Be kind."},
                {"type": "text", "text": "Long", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
    ]
    body = written("openrouter", **asked)
    assert body["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][1]["content"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.5-mini", "gpt-4o", "gpt-4.1", "o3"])
def test_marks_are_told_to_be_lost_elsewhere(model: str) -> None:
    body, names = lost(
        about={"model": model}, messages=[user(Text("Hi", "5m"))], tools=[form.Tool(name="f", cache="5m")]
    )
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert names == ["cache_control"]


# --- Mistral ---


def test_mistrals_ids_have_nine_letters_and_digits_alike_in_every_request() -> None:
    asked = [*HELLO, assistant(ToolCall(id="toolu_1", name="f"), ToolCall(id="AbCdEf123", name="g"))]
    asked.append(user(ToolResult(id="toolu_1", parts=[Text("1")]), ToolResult(id="AbCdEf123", parts=[Text("2")])))
    _, called, first, second = messages_for("mistral", *asked)
    ids = [call["id"] for call in called["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert ids[1] == "AbCdEf123"
    assert re.fullmatch("[a-zA-Z0-9]{9}", ids[0])
    assert messages_for("mistral", *asked)[1] == called
    assert called["content"] == ""


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=6, unique=True))
def test_different_calls_keep_different_ids(ids: list[str]) -> None:
    calls = messages_for("mistral", *HELLO, assistant(*[ToolCall(id=each, name="f") for each in ids]), *HELLO)[1][
        "tool_calls"
    ]
    assert len({call["id"] for call in calls}) == len(ids)


def test_mistral_has_one_turn_after_the_other_and_none_of_the_users_after_a_tools() -> None:
    asked = [
        user(Text("a")),
        user(Text("b")),
        Message("system", [Text("c")]),
        assistant(ToolCall(id="AbCdEf123", name="f")),
        user(ToolResult(id="AbCdEf123", parts=[Text("1")]), Text("d")),
        user(Text("e")),
    ]
    assert [(message["role"], message["content"]) for message in messages_for("mistral", *asked)] == [
        ("user", "a\n\nb\n\nc"),
        ("assistant", ""),
        ("tool", "1\n\nd\n\ne"),
    ]
    asked[-1] = user(Image(url="https://p.example/1.png"))
    assert messages_for("mistral", *asked)[-1]["content"] == [
        {"type": "text", "text": "1\n\nd"},
        {"type": "image_url", "image_url": {"url": "https://p.example/1.png"}},
    ]


def test_mistral_goes_on_with_the_models_own_words() -> None:
    assert messages_for("mistral", *HELLO, assistant(Text("The")))[1] == {
        "role": "assistant",
        "content": "The",
        "prefix": True,
    }


def test_mistral_gets_no_field_that_it_does_not_know() -> None:
    body, names = lost(
        "mistral", seed=7, user="u", verbosity="low", cache_key="k", top_k=5, metadata={"a": "b"}, stream=True
    )
    assert set(body) == {"model", "messages", "random_seed", "stream"}
    assert body["random_seed"] == 7
    assert names == ["top_k", "user", "verbosity", "prompt_cache_key", "metadata"]


# --- Sampling ---


def test_everything_about_sampling() -> None:
    body = written(
        "openai_compatible",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        n=2,
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logit_bias={"1": 5},
        logprobs=3,
        stop=["a", "b"],
    )
    del body["model"], body["messages"]
    assert body == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "n": 2,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"1": 5},
        "logprobs": True,
        "top_logprobs": 3,
        "stop": ["a", "b"],
    }


@pytest.mark.parametrize(("name", "value"), [("n", 2), ("logit_bias", {"1": 5}), ("logprobs", 0)])
def test_groq_refuses_what_it_does_not_have(name: str, value: Any) -> None:
    param, body = refused("groq", **{name: value})
    assert param == name
    assert name not in body
    assert "n" not in written("groq", n=1)


def test_more_stop_sequences_than_there_may_be_are_refused() -> None:
    param, body = refused(stop=list("abcde"))
    assert (param, body["stop"]) == ("stop", list("abcd"))


# --- Tools ---

TOOLS = [
    form.Tool(name="f", description="F", parameters={"type": "object", "properties": {"x": {}}}, strict=True),
    form.Tool(name="g"),
]


def test_tools() -> None:
    assert written(tools=TOOLS, parallel_tools=False)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "F",
                "parameters": {"type": "object", "properties": {"x": {}}},
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert written(tools=TOOLS, parallel_tools=False)["parallel_tool_calls"] is False


def test_calls_one_by_one_are_refused_where_they_cannot_be_asked_for() -> None:
    assert refused("ollama", tools=TOOLS, parallel_tools=False)[0] == "parallel_tool_calls"
    assert "parallel_tool_calls" not in written("ollama", tools=TOOLS, parallel_tools=True)
    assert "parallel_tool_calls" not in written("openai", parallel_tools=False)


@pytest.mark.parametrize(
    ("provider", "choice", "expected", "offered"),
    [
        ("openai", form.ToolChoice(), "auto", ["f", "g"]),
        ("openai", form.ToolChoice(mode="none"), "none", ["f", "g"]),
        ("openai", form.ToolChoice(mode="required"), "required", ["f", "g"]),
        ("mistral", form.ToolChoice(mode="required"), "any", ["f", "g"]),
        (
            "openai",
            form.ToolChoice(mode="required", names=["f"]),
            {"type": "function", "function": {"name": "f"}},
            ["f", "g"],
        ),
        (
            "mistral",
            form.ToolChoice(mode="required", names=["f"]),
            {"type": "function", "function": {"name": "f"}},
            ["f", "g"],
        ),
        ("cohere", form.ToolChoice(mode="required", names=["f"]), "required", ["f"]),
        (
            "openai",
            form.ToolChoice(mode="auto", names=["f"]),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ["f", "g"],
        ),
        ("groq", form.ToolChoice(mode="auto", names=["g"]), "auto", ["g"]),
        ("ollama", form.ToolChoice(mode="auto"), None, ["f", "g"]),
        ("ollama", form.ToolChoice(mode="none"), None, []),
    ],
)
def test_choices_of_tools(provider: str, choice: form.ToolChoice, expected: Any, offered: list[str]) -> None:
    body = written(provider, tools=TOOLS, tool_choice=choice)
    assert body.get("tool_choice") == expected
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == offered


def test_a_choice_that_is_not_heeded_is_refused() -> None:
    param, body = refused("ollama", tools=TOOLS, tool_choice=form.ToolChoice(mode="required", names=["f"]))
    assert param == "tool_choice"
    assert len(body["tools"]) == 1


def test_nothing_is_said_of_tools_where_there_are_none() -> None:
    assert "tool_choice" not in written(tool_choice=form.ToolChoice(mode="none"))
    assert "tool_choice" not in written(tool_choice=form.ToolChoice())


# --- Forms of answers ---


def test_forms_of_answers() -> None:
    schema = {"type": "object"}
    assert written(format=form.Format())["response_format"] == {"type": "json_object"}
    assert written(format=form.Format(schema=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }
    whole = form.Format(schema=schema, name="n", description="d", strict=True)
    assert written("mistral", format=whole)["response_format"]["json_schema"] == {
        "name": "n",
        "description": "d",
        "schema": schema,
        "strict": True,
    }
    assert written("cohere", format=whole)["response_format"] == {"type": "json_object", "schema": schema}
    param, body = refused(format=whole, about={"caps": frozenset({"tools"})})
    assert (param, body["response_format"]) == ("response_format", {"type": "json_object"})


# --- Thinking ---

THINKS = {"caps": frozenset({"reasoning"})}


def effort(provider: str, about: dict[str, Any] | None = None, **said: Any) -> Any:
    return written(provider, about=about, reasoning=form.Reasoning(**said)).get("reasoning_effort")


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (-1, None),
        (0, "none"),
        (1, "low"),
        (1024, "low"),
        (1025, "medium"),
        (8192, "medium"),
        (24576, "high"),
        (60_000, "high"),
    ],
)
def test_a_budget_becomes_an_effort(budget: int, expected: str | None) -> None:
    assert effort("openai", budget=budget) == expected


def test_an_effort_passes_as_it_is_where_nothing_else_is_known() -> None:
    for name in ("none", "minimal", "low", "medium", "high", "xhigh", "max", "brand-new"):
        assert effort("openai", effort=name) == name


@pytest.mark.parametrize(
    ("efforts", "asked", "expected"),
    [
        (("low", "high", "max"), "medium", "high"),
        (("low", "high", "max"), "xhigh", "high"),
        (("low", "high", "max"), "minimal", "low"),
        (("none", "high"), "low", "high"),
        (("medium",), "max", "medium"),
    ],
)
def test_an_effort_that_a_model_has_not_becomes_the_nearest_and_is_told(
    efforts: tuple[str, ...], asked: str, expected: str
) -> None:
    for provider in ("openai", "mistral", "moonshot"):
        body, names = lost(provider, about={"efforts": efforts}, reasoning=form.Reasoning(effort=asked))
        assert (body["reasoning_effort"], names) == (expected, ["reasoning_effort"])


def test_a_budget_that_becomes_the_nearest_effort_is_no_loss() -> None:
    assert effort("openai", {"efforts": ("low", "high", "xhigh")}, budget=30_000) == "xhigh"
    assert effort("openai", {"efforts": ("low", "high")}, budget=5000) == "high"


def test_a_model_that_cannot_but_think_is_not_told_to_stop() -> None:
    about = {"caps": frozenset({"reasoning", "no_effort_none", "no_effort_minimal"})}
    param, body = refused(about=about, reasoning=form.Reasoning(effort="none"))
    assert (param, "reasoning_effort" in body) == ("reasoning_effort", False)
    assert lost(about=about, reasoning=form.Reasoning(effort="minimal"))[0]["reasoning_effort"] == "low"


def test_a_model_that_is_known_not_to_think_is_not_asked_to() -> None:
    about = {"caps": frozenset({"tools"})}
    body, names = lost(about=about, reasoning=form.Reasoning(effort="high"))
    assert ("reasoning_effort" in body, names) == (False, ["reasoning_effort"])
    assert "reasoning_effort" not in written(about=about, reasoning=form.Reasoning(effort="none"))


@pytest.mark.parametrize("provider", ["mistral", "ollama", "xai"])
def test_who_refuses_efforts_of_models_that_have_none_is_sent_none_unasked(provider: str) -> None:
    body, names = lost(provider, reasoning=form.Reasoning(effort="high"))
    assert ("reasoning_effort" in body, names) == (False, ["reasoning_effort"])


def test_deepseek_and_moonshot_have_a_switch() -> None:
    assert written("deepseek", reasoning=form.Reasoning(budget=0))["thinking"] == {"type": "disabled"}
    body = written("deepseek", reasoning=form.Reasoning(effort="high"))
    assert (body["thinking"], body["reasoning_effort"]) == ({"type": "enabled"}, "high")
    body = written("moonshot", about=THINKS, reasoning=form.Reasoning(effort="medium"))
    assert body["thinking"] == {"type": "enabled"}
    assert "reasoning_effort" not in body


def loop(*, thoughts: bool) -> list[Message]:
    """A finished turn without tools, a finished one with a call, and one that goes on."""
    thought = [Thinking(text="Hm", signature="c2ln", origin="anthropic")] if thoughts else []
    return [
        user(Text("a")),
        assistant(*thought, Text("b")),
        user(Text("c")),
        assistant(*thought, ToolCall(id="1", name="f")),
        user(ToolResult(id="1", parts=[Text("1")])),
        assistant(*thought, Text("d")),
        user(Text("e")),
        assistant(*thought, ToolCall(id="2", name="f")),
        user(ToolResult(id="2", parts=[Text("2")])),
    ]


@pytest.mark.parametrize("provider", ["deepseek", "moonshot"])
def test_thoughts_go_back_with_the_calls_that_they_led_to(provider: str) -> None:
    answers = [message for message in messages_for(provider, *loop(thoughts=True)) if message["role"] == "assistant"]
    assert [message.get("reasoning_content") for message in answers] == [None, "Hm", "Hm", "Hm"]
    for other in ("openai", "mistral", "openai_compatible"):
        assert not any(
            name.startswith("reasoning") for message in messages_for(other, *loop(thoughts=True)) for name in message
        )


def test_ollama_and_mistral_take_thoughts_back_in_their_own_words() -> None:
    answers = [message for message in messages_for("ollama", *loop(thoughts=True)) if message["role"] == "assistant"]
    assert [message.get("reasoning") for message in answers] == [None, "Hm", "Hm", "Hm"]
    answers = [message for message in messages_for("mistral", *loop(thoughts=True)) if message["role"] == "assistant"]
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    assert [message["content"] for message in answers] == [
        "b",
        [thought],
        [thought, {"type": "text", "text": "d"}],
        [thought],
    ]


@pytest.mark.parametrize("provider", ["ollama", "mistral"])
def test_a_model_that_does_not_think_gets_no_thoughts(provider: str) -> None:
    sent = written(provider, messages=loop(thoughts=True), about={"caps": frozenset({"tools"})})["messages"]
    assert sent == written(provider, messages=loop(thoughts=False), about={"caps": frozenset({"tools"})})["messages"]


def test_ollama_is_told_how_much_to_think_where_the_model_is_known_to() -> None:
    assert written("ollama", about=THINKS, reasoning=form.Reasoning(effort="high"))["reasoning_effort"] == "high"
    assert lost("ollama", about=THINKS, reasoning=form.Reasoning(effort="max"))[0]["reasoning_effort"] == "high"


def test_ollama_tells_probabilities() -> None:
    assert written("ollama", logprobs=2) | {"messages": []} == {
        "model": "their-model",
        "messages": [],
        "logprobs": True,
        "top_logprobs": 2,
    }


@pytest.mark.parametrize("provider", ["deepseek", "moonshot"])
def test_calls_without_their_thoughts_go_on_without_thinking(provider: str) -> None:
    assert written(provider, messages=loop(thoughts=False))["thinking"] == {"type": "disabled"}
    body, names = lost(provider, messages=loop(thoughts=False), reasoning=form.Reasoning(effort="high"))
    assert (body["thinking"], names) == ({"type": "disabled"}, ["reasoning_effort"])
    assert "thinking" not in written(provider, messages=loop(thoughts=False), about={"caps": frozenset({"tools"})})


def test_what_proves_thoughts_goes_back_to_where_it_came_from_as_it_came() -> None:
    detail = {"type": "reasoning.text", "text": "Hm", "signature": "c2ln", "format": "anthropic-claude-v1", "id": None}
    call = {"id": "a", "function": {"name": "f"}, "extra_content": {"google": {"thought_signature": "Zw=="}}}
    message = {"role": "assistant", "content": None, "reasoning_details": [detail | {"index": 3}], "tool_calls": [call]}
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}, message]})
    request = SPOKEN.read_request(body, "", None)
    for provider in ("openrouter", "openai_compatible"):
        back = messages_for(provider, *request.messages)[1]
        assert back["reasoning_details"] == [detail | {"index": 0}]
        assert back["tool_calls"][0]["extra_content"] == call["extra_content"]
    back = messages_for("openai", *request.messages)[1]
    assert set(back) == {"role", "content", "tool_calls"}
    assert set(back["tool_calls"][0]) == {"id", "type", "function"}


# --- Labels ---


def test_labels() -> None:
    body = written(user="u", verbosity="low", cache_key="k", service_tier="flex")
    assert (body["user"], body["verbosity"], body["prompt_cache_key"], body["service_tier"]) == (
        "u",
        "low",
        "k",
        "flex",
    )
    assert lost(metadata={"a": "b"})[1] == ["metadata"]


@pytest.mark.parametrize("tier", ["", "auto", "default", "standard", "standard_only", "SERVICE_TIER_STANDARD"])
@pytest.mark.parametrize("provider", CHAT_PROVIDERS)
def test_the_standard_tier_needs_no_word(provider: str, tier: str) -> None:
    assert "service_tier" not in written(provider, service_tier=tier)


def test_a_tier_that_the_provider_has_not_is_refused() -> None:
    assert refused("mistral", service_tier="flex")[0] == "service_tier"
    assert written("groq", service_tier="flex")["service_tier"] == "flex"
