"""Every stream that a chat client gets is one that it can read, and says what the provider's said."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.chat import SPOKEN
from apps.providers.translation.chat.usage import chat_usage
from apps.providers.translation.signatures import opened
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage
from tests.translation import legal_chat
from tests.translation.gathered import gathered
from tests.translation.strategies import disordered, in_batches, streams

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)


def asked(*, usage: bool = False, legacy: bool = False) -> form.Request:
    echo = {"functions": True} if legacy else {}
    return form.Request(model="asked-for", messages=[], stream=True, include_usage=usage, echo=echo)


def written(events: list[form.Event], request: form.Request | None = None) -> bytes:
    return SPOKEN.stream_writer(request or asked(), SHOWN).feed(events)


def chunks(data: bytes) -> list[dict]:
    return [json.loads(event[6:]) for event in data.split(b"\n\n") if event.startswith(b"data: {")]


@settings(max_examples=250, deadline=None)
@given(st.data(), streams(choices=2), st.booleans())
def test_every_stream_is_one_that_all_clients_read(data: st.DataObject, events: list[form.Event], usage: bool) -> None:
    writer = SPOKEN.stream_writer(asked(usage=usage), SHOWN)
    out = b"".join(writer.feed(batch) for batch in data.draw(in_batches(events)))
    stream = legal_chat.checked(out, include_usage=usage)
    meant = gathered(events)
    assert writer.events == stream.events
    assert stream.done == meant.ended
    assert (stream.error is not None) == (meant.failed is not None)
    for place, said in meant.choices.items():
        if said == type(said)():
            continue
        if said.finish is None and said == type(said)(signatures=said.signatures, citations=said.citations):
            continue  # what belongs to an answer's end has none to go with
        heard = stream.choices[place]
        assert (heard.content, heard.refusal, heard.reasoning) == (said.text, said.refusal, said.thinking)
        assert [(call["id"], call["name"], call["arguments"]) for call in heard.calls] == [
            tuple(call) for call in said.calls.values()
        ]
        assert len(heard.images) == len(said.images)
        assert heard.finish == (said.finish or "")
        if said.finish is not None:
            assert len(heard.details) == len(said.signatures)
            assert len(heard.annotations) == sum(bool(citation.url) for citation in said.citations)
    if meant.ended and usage and meant.usage is not None:
        assert stream.usage == chat_usage(meant.usage)
    else:
        assert stream.usage is None


@settings(max_examples=200, deadline=None)
@given(streams(choices=2, whole=True))
def test_what_is_written_reads_back_as_it_was(events: list[form.Event]) -> None:
    request = asked(usage=True)
    reader = SPOKEN.stream_reader(request)
    back = gathered(reader.feed(written(events, request)) + reader.finish())
    meant = gathered(events)
    assert back.ended
    assert set(back.choices) == set(meant.choices)
    for place, said in meant.choices.items():
        found = back.choices[place]
        assert (found.text, found.refusal, found.thinking) == (said.text, said.refusal, said.thinking)
        assert found.called() == said.called()
        assert len(found.signatures) == len(said.signatures)
        assert found.finish == said.finish
        assert found.images == said.images
    assert (back.usage is None) == (meant.usage is None)
    if back.usage is not None and meant.usage is not None:
        assert chat_usage(back.usage) == chat_usage(meant.usage)


@settings(max_examples=300, deadline=None)
@given(disordered())
def test_events_that_no_reader_gives_make_no_illegal_stream(events: list[form.Event]) -> None:
    legal_chat.checked(written(events, asked(usage=True)), include_usage=True)


def test_a_text_comes_as_it_comes() -> None:
    writer = SPOKEN.stream_writer(asked(), SHOWN)
    assert writer.feed([form.Begun()]) == b""
    for piece in ("Hel", "lo", '"\n'):
        (chunk,) = chunks(writer.feed([form.TextDelta(piece)]))
        assert chunk["choices"][0]["delta"]["content"] == piece


def test_pieces_of_arguments_wait_for_nothing() -> None:
    writer = SPOKEN.stream_writer(asked(), SHOWN)
    writer.feed([form.Begun(), form.ToolBegun(0, "call_1", "weather"), form.ToolBegun(1, "call_2", "time")])
    for index, piece in ((0, '{"ci'), (1, '{"zo'), (0, 'ty":1}'), (1, 'ne":2}')):
        (chunk,) = chunks(writer.feed([form.ToolDelta(index, piece)]))
        assert chunk["choices"][0]["delta"]["tool_calls"] == [{"index": index, "function": {"arguments": piece}}]


def test_a_custom_call_takes_any_text() -> None:
    call = form.ToolBegun(0, "call_1", "sql", custom=True)
    told = chunks(
        written([form.Begun(), call, form.ToolDelta(0, "select 1"), form.Finished("tool_calls"), form.Ended()])
    )
    first, second = (chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in told[:2])
    assert first == {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "sql", "input": ""}}
    assert second == {"index": 0, "custom": {"input": "select 1"}}


def test_a_call_without_arguments_has_an_empty_object() -> None:
    out = written([form.Begun(), form.ToolBegun(0, "call_1", "now"), form.Finished("tool_calls"), form.Ended()])
    assert legal_chat.checked(out, include_usage=False).choices[0].calls[0]["arguments"] == "{}"


def test_an_answer_of_nothing_is_still_an_answer() -> None:
    stream = legal_chat.checked(written([form.Begun(), form.Ended()]), include_usage=False)
    assert stream.done
    assert stream.choices[0].finish == "stop"


def test_a_failure_ends_the_stream_without_its_last_event() -> None:
    failed = form.Failed(message="Overloaded", type="overloaded_error", code="busy", param="model")
    out = written([form.Begun(), form.TextDelta("Hel"), failed, form.TextDelta("lo"), form.Ended()])
    assert out.endswith(
        b'data: {"error":{"message":"Overloaded","type":"overloaded_error","param":"model","code":"busy"}}\n\n'
    )


def test_a_silent_provider_keeps_the_connection_alive() -> None:
    writer = SPOKEN.stream_writer(asked(), SHOWN)
    assert writer.feed([form.Ping()]) == b": keep-alive\n\n"
    assert writer.events == 1


def test_a_signature_comes_with_the_thoughts_that_it_proves() -> None:
    out = written(
        [
            form.Begun(),
            form.ThinkingDelta("One "),
            form.ThinkingDelta("two"),
            form.Signed("c2ln", "anthropic"),
            form.Signed("ZW5j", "anthropic", redacted=True),
            form.ThinkingDelta("Three"),
            form.Signed("bGF0ZXI=", "anthropic"),
            form.Finished("stop"),
            form.Ended(),
        ]
    )
    assert out.count(b"reasoning_details") == 1
    first, second, third = legal_chat.checked(out, include_usage=False).choices[0].details
    assert third["text"] == "Three"
    assert (first["type"], first["text"]) == ("reasoning.text", "One two")
    assert opened(first["signature"], "openai") == ("c2ln", "anthropic")
    assert second["type"] == "reasoning.encrypted"
    assert opened(second["data"], "openai") == ("ZW5j", "anthropic")


def test_what_proves_a_call_comes_with_it() -> None:
    call = form.ToolBegun(0, "call_1", "f", signature="c2ln", origin="gemini")
    out = written([form.Begun(), call, form.Finished("tool_calls"), form.Ended()])
    extra = legal_chat.checked(out, include_usage=False).choices[0].calls[0]["extra_content"]
    assert extra == {"google": {"thought_signature": "tollgate.gemini.c2ln"}}


def test_citations_come_at_the_end_with_the_place_they_are_for() -> None:
    cited = form.Citation(url="https://a.example", title="A")
    out = written(
        [
            form.Begun(),
            form.TextDelta("Sunny. "),
            form.Cited(cited),
            form.Cited(cited),
            form.TextDelta("Warm."),
            form.Cited(cited),
            form.Cited(form.Citation(url="https://b.example", start=2, end=5)),
            form.Cited(form.Citation(title="A book", quoted="q")),
            form.Finished("stop"),
            form.Ended(),
        ]
    )
    found = [said["url_citation"] for said in legal_chat.checked(out, include_usage=False).choices[0].annotations]
    assert found[0] == {"start_index": 0, "end_index": 7, "url": "https://a.example", "title": "A"}
    assert [(each["start_index"], each["end_index"]) for each in found] == [(0, 7), (0, 7), (7, 12), (2, 5)]
    assert b'"citations":[{"index":0,"title":"A book","quoted":"q"}]' in out


def test_logprobs_pass_with_their_text() -> None:
    token = {"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": []}
    (chunk, *_) = chunks(written([form.Begun(), form.TextDelta("Hi", logprobs=[token])]))
    assert chunk["choices"][0]["logprobs"] == {"content": [token], "refusal": None}


def test_a_client_of_functions_gets_the_older_form() -> None:
    events: list[form.Event] = [
        form.Begun(),
        form.ToolBegun(0, "call_1", "weather"),
        form.ToolDelta(0, '{"a":'),
        form.ToolBegun(1, "call_2", "time"),
        form.ToolDelta(1, "{}"),
        form.ToolDelta(0, "1}"),
        form.Finished("tool_calls"),
        form.Ended(),
    ]
    told = chunks(written(events, asked(legacy=True)))
    calls = [chunk["choices"][0]["delta"]["function_call"] for chunk in told[:-1]]
    assert calls[0] == {"name": "weather", "arguments": ""}
    assert "".join(call["arguments"] for call in calls) == '{"a":1}'
    assert told[-1]["choices"][0]["finish_reason"] == "function_call"


@pytest.mark.parametrize(
    ("usage", "tier", "shown"),
    [(Usage(input=3, output=4), "flex", "flex"), (Usage(input=3, output=4), "standard", None)],
)
def test_usage_is_there_for_whom_it_was_asked(usage: Usage, tier: str, shown: str | None) -> None:
    events: list[form.Event] = [form.Begun(), form.Finished("stop"), form.Used(usage, tier), form.Ended()]
    last = chunks(written(events, asked(usage=True)))[-1]
    assert last["usage"]["total_tokens"] == 7
    assert last.get("service_tier") == shown
    assert all("usage" not in chunk for chunk in chunks(written(events)))
