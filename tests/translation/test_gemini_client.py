"""Google's official client, unmodified, takes what is written for it, and what it sends is read as it was meant."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from apps.providers.translation import form
from apps.providers.translation.gemini import SPOKEN, array_of
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.support.provider import FakeProvider, Received, Script

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)
USAGE = form.Used(Usage(input=5, output=7, reasoning=3))

type Saying = Sequence[form.Event]


class Translated:
    """A provider that reads each request as the gateway does, and answers with the events that it is told."""

    def __init__(self, upstream: FakeProvider) -> None:
        self.upstream = upstream
        self.requests: list[form.Request] = []

    def says(self, *sayings: Saying | Callable[[form.Request], Saying]) -> None:
        """What is answered to each request."""
        for saying in sayings:
            self.upstream.replies(lambda received, saying=saying: self._script(received, saying))

    def _script(self, received: Received, saying: Any) -> Script:
        path, _, query = received.path.partition("?")
        model, _, verb = path.rpartition("/")[2].partition(":")
        request = SPOKEN.read_request(received.body, model, verb == "streamGenerateContent")
        self.requests.append(request)
        events = list(saying(request) if callable(saying) else saying)
        if not request.stream:
            return script(SPOKEN.write_answer(answer_of(events), request, SHOWN))
        writer = SPOKEN.stream_writer(request, SHOWN)
        if "alt=sse" not in query:
            writer = array_of(writer)
            return script(b"".join(writer.feed([event]) for event in events))
        return script(b"".join(writer.feed([event]) for event in events), kind="text/event-stream")


def script(body: bytes, kind: str = "application/json") -> Script:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return Script(head.encode(), [body], framing="length")


def answer_of(events: Sequence[form.Event]) -> form.Answer:
    """The whole answer of a stream's events, with one choice."""
    raw = SPOKEN.stream_writer(form.Request(model="m", messages=[], reasoning=form.Reasoning(shown=True)), SHOWN)
    parts: list[Any] = []
    usage: Usage | None = None
    finish: Any = "stop"
    assert raw.feed(list(events))
    for event in events:
        match event:
            case form.TextDelta():
                parts.append(form.Text(event.text))
            case form.ThinkingDelta():
                parts.append(form.Thinking(text=event.text))
            case form.Signed():
                parts[-1] = form.Thinking(text=parts[-1].text, signature=event.signature, origin=event.origin)
            case form.ToolBegun():
                parts.append(form.ToolCall(id=event.id, name=event.name))
            case form.ToolDelta():
                parts[-1].arguments = event.arguments
            case form.Finished():
                finish = event.finish
            case form.Used():
                usage = event.usage
    return form.Answer(choices=[form.Choice(parts=parts, finish=finish)], usage=usage)


@pytest.fixture
def provider() -> Iterator[Translated]:
    with FakeProvider() as upstream:
        yield Translated(upstream)


@pytest.fixture
def client(provider: Translated) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=provider.upstream.url, timeout=20_000)
    with genai.Client(api_key="x", http_options=options) as client:
        yield client


HELLO: Saying = [
    form.Begun(),
    form.ThinkingDelta("Hm."),
    form.Signed("their/signature", "anthropic"),
    form.TextDelta("Hel"),
    form.TextDelta("lo ä"),
    form.Finished("stop"),
    USAGE,
    form.Ended(),
]


def test_an_answer_is_read(client: genai.Client, provider: Translated) -> None:
    provider.says(HELLO)
    answer = client.models.generate_content(
        model="any",
        contents="Hi",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True)),
    )
    assert answer.text == "Hello ä"
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 12
    assert answer.usage_metadata.thoughts_token_count == 3
    assert (answer.model_version, answer.response_id) == ("asked-for", SHOWN.id)


def test_a_stream_is_read_piece_by_piece(client: genai.Client, provider: Translated) -> None:
    provider.says(HELLO)
    chunks = list(client.models.generate_content_stream(model="any", contents="Hi"))
    assert [chunk.text for chunk in chunks if chunk.text] == ["Hel", "lo ä"]
    last = chunks[-1]
    assert last.candidates is not None
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.usage_metadata is not None
    assert last.usage_metadata.candidates_token_count == 4
    assert provider.requests[0].stream


async def test_a_stream_is_read_by_the_asynchronous_client(client: genai.Client, provider: Translated) -> None:
    provider.says(HELLO)
    async with client.aio as asynchronous:
        stream = await asynchronous.models.generate_content_stream(model="any", contents="Hi")
        assert "".join([chunk.text or "" async for chunk in stream]) == "Hello ä"


def test_a_chat_gives_back_what_it_was_streamed(client: genai.Client, provider: Translated) -> None:
    """Thoughts of another provider with their signature, in one piece, though they came and were kept in many."""
    provider.says(HELLO, HELLO)
    chat = client.chats.create(
        model="any",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True)),
    )
    for question in ("Hi", "And?"):
        assert "".join(chunk.text or "" for chunk in chat.send_message_stream(question)) == "Hello ä"
    assert provider.requests[1].messages == [
        form.Message("user", [form.Text("Hi")]),
        form.Message(
            "assistant",
            [
                form.Thinking(text="Hm.", signature="their/signature", origin="anthropic"),
                form.Text("Hello ä"),
            ],
        ),
        form.Message("user", [form.Text("And?")]),
    ]


def weather(city: str, days: int) -> dict[str, Any]:
    """Tells the weather."""
    return {"city": city, "sunny": days}


def tomorrow() -> str:
    """Tells the date."""
    return "2026-11-22"


CALLS: Saying = [
    form.Begun(),
    form.ToolBegun(0, "toolu_1", "weather"),
    form.ToolDelta(0, '{"city": "Köln", "days": 2}'),
    form.ToolBegun(1, "toolu_2", "tomorrow"),
    form.ToolDelta(1, "{}"),
    form.Finished("tool_calls"),
    USAGE,
    form.Ended(),
]


@pytest.mark.parametrize("stream", [False, True])
def test_functions_are_called_and_their_results_come_back(
    client: genai.Client, provider: Translated, stream: bool
) -> None:
    provider.says(CALLS, HELLO)
    config = types.GenerateContentConfig(tools=[weather, tomorrow])
    if stream:
        pieces = client.models.generate_content_stream(model="any", contents="Weather?", config=config)
        assert "".join(piece.text or "" for piece in pieces) == "Hello ä"
    else:
        assert client.models.generate_content(model="any", contents="Weather?", config=config).text == "Hello ä"
    first, second = provider.requests
    assert [tool.name for tool in first.tools] == ["weather", "tomorrow"]
    parameters = first.tools[0].parameters
    assert parameters is not None
    assert parameters["properties"]["days"]["type"] == "integer"
    calls = [part for part in second.messages[1].parts if isinstance(part, form.ToolCall)]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in calls] == [
        ("toolu_1", "weather", {"city": "Köln", "days": 2}),
        ("toolu_2", "tomorrow", {}),
    ]
    results = [part for part in second.messages[2].parts if isinstance(part, form.ToolResult)]
    assert [(result.id, result.name, result.parts) for result in results] == [
        ("toolu_1", "weather", [form.Text('{"city":"Köln","sunny":2}')]),
        ("toolu_2", "tomorrow", [form.Text("2026-11-22")]),
    ]


def test_what_the_client_sends_is_read_with_nothing_lost(client: genai.Client, provider: Translated) -> None:
    provider.says(HELLO)
    picture = b"\xfb\xff\xfe" * 10  # letters of both alphabets of base64
    client.models.generate_content(
        model="any",
        contents=[
            types.Part.from_bytes(data=picture, mime_type="image/png"),
            types.Part.from_uri(file_uri="https://a.example/b.pdf", mime_type="application/pdf"),
            "Look",
        ],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            temperature=0.5,
            top_p=0.25,
            top_k=40,
            max_output_tokens=9,
            stop_sequences=["END"],
            candidate_count=1,
            seed=7,
            response_mime_type="application/json",
            response_schema=types.Schema(
                type=types.Type.OBJECT,
                properties={"sum": types.Schema(type=types.Type.INTEGER, nullable=True)},
                required=["sum"],
            ),
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
            tools=[
                types.Tool(
                    function_declarations=[
                        types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"}),
                    ]
                )
            ],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(
                    mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["f"]
                )
            ),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    )
    (request,) = provider.requests
    assert request == form.Request(
        model="any",
        messages=[
            form.Message(
                "user",
                [
                    form.Image(data="+//+" * 10, media_type="image/png"),
                    form.File(url="https://a.example/b.pdf", media_type="application/pdf"),
                    form.Text("Look"),
                ],
            )
        ],
        system=[form.Text("Be brief.")],
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        max_output=9,
        stop=["END"],
        n=1,
        seed=7,
        format=form.Format(
            schema={
                "type": "object",
                "properties": {"sum": {"type": ["integer", "null"]}},
                "required": ["sum"],
            }
        ),
        reasoning=form.Reasoning(effort="low"),
        tools=[form.Tool(name="f", parameters={"type": "object"})],
        tool_choice=form.ToolChoice(mode="required", names=["f"]),
    )


def test_structured_output_is_parsed(client: genai.Client, provider: Translated) -> None:
    provider.says([form.Begun(), form.TextDelta('{"sum": 3}'), form.Finished("stop"), form.Ended()])
    answer = client.models.generate_content(
        model="any",
        contents="1+2",
        config={"response_mime_type": "application/json", "response_schema": {"type": "OBJECT"}},
    )
    assert answer.parsed == {"sum": 3}


def test_a_picture_is_read(client: genai.Client, provider: Translated) -> None:
    picture = form.ImageMade(form.Image(data="AAAA", media_type="image/png"))
    provider.says([form.Begun(), picture, form.Finished("stop"), form.Ended()])
    first, *_ = client.models.generate_content_stream(model="any", contents="Draw")
    assert first.parts is not None
    assert first.parts[0].inline_data is not None
    assert first.parts[0].inline_data.data == b"\0\0\0"


@pytest.mark.parametrize(("status", "error"), [(503, errors.ServerError), (429, errors.ClientError)])
def test_a_failure_in_the_middle_is_raised(
    client: genai.Client, provider: Translated, status: int, error: type[errors.APIError]
) -> None:
    provider.says([form.Begun(), form.TextDelta("Hel"), form.Failed(message="Overloaded.", status=status)])
    stream = client.models.generate_content_stream(model="any", contents="Hi")
    assert next(stream).text == "Hel"
    with pytest.raises(error) as raised:
        list(stream)
    assert (raised.value.code, raised.value.message) == (status, "Overloaded.")


def test_without_events_a_stream_is_one_array(provider: Translated) -> None:
    provider.says(HELLO, [form.Begun(), form.TextDelta("Hel"), form.Failed(message="Oh.", status=503)])
    url = f"{provider.upstream.url}/v1beta/models/any:streamGenerateContent"
    ask = {"contents": [{"parts": [{"text": "Hi"}]}]}
    whole, broken = (httpx.post(url, json=ask).json() for _ in range(2))
    assert [part["text"] for each in whole for part in each["candidates"][0]["content"]["parts"]][-3:] == [
        "Hel",
        "lo ä",
        "",
    ]
    assert broken[0]["candidates"][0]["content"]["parts"] == [{"text": "Hel"}]
    assert broken[1]["error"]["status"] == "UNAVAILABLE"
