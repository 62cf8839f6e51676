"""Gemini's streams: read the same however they are cut, and written so that every client of Gemini's reads them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.translation import form
from apps.providers.translation.gemini import SPOKEN, array_of
from apps.providers.translation.gemini.counts import usage_metadata
from apps.providers.translation.spoken import Shown
from apps.providers.usage import Usage, gemini_usage
from tests.translation import legal_gemini
from tests.translation.gathered import gathered
from tests.translation.strategies import cuts, in_batches, streams, usages

SHOWN = Shown(id="0123456789abcdef" * 2, model="asked-for", created=1_767_225_600, input_tokens=5)
THOUGHTS = form.Request(model="m", messages=[], stream=True, n=2, reasoning=form.Reasoning(shown=True))
PLAIN = form.Request(model="m", messages=[], stream=True)


def written(events: list[form.Event], request: form.Request = THOUGHTS) -> bytes:
    return SPOKEN.stream_writer(request, SHOWN).feed(events)


def chunk(*parts: dict[str, Any], **fields: Any) -> bytes:
    """An event as Google sends it; `finishReason` and such go into the candidate."""
    outer = {name: fields.pop(name) for name in ("usageMetadata",) if name in fields}
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **fields}
    body = {"candidates": [candidate], **outer, "modelVersion": "gemini-3-pro", "responseId": "r1"}
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


def read(data: bytes, request: form.Request = PLAIN) -> list[form.Event]:
    reader = SPOKEN.stream_reader(request)
    return reader.feed(data) + reader.finish()


@settings(max_examples=400, deadline=None)
@given(st.data(), streams(choices=2, custom=True), st.booleans())
def test_every_stream_is_one_that_all_clients_read(
    data: st.DataObject, events: list[form.Event], thoughts: bool
) -> None:
    writer = SPOKEN.stream_writer(THOUGHTS if thoughts else PLAIN, SHOWN)
    out = b"".join(writer.feed(batch) for batch in data.draw(in_batches(events)))
    stream = legal_gemini.checked(out)
    meant = gathered(events)
    assert writer.events == stream.events
    assert stream.done == meant.ended
    assert (stream.error is not None) == (meant.failed is not None)
    for place, said in meant.choices.items():
        heard = stream.choices.get(place, legal_gemini.Heard())
        assert len(heard.text) == len(said.text) + len(said.refusal)
        assert heard.thinking == (said.thinking if thoughts else "")
        assert len(heard.images) == len(said.images)
        carried = sum(isinstance(each, form.ToolBegun) and bool(each.signature) for each in of(events, place))
        if meant.ended:
            assert len(heard.calls) == len(said.calls)
            assert len(heard.signatures) == len(said.signatures) + carried
            assert bool(heard.chunks) == bool(said.citations)
        assert len(heard.calls) <= len(said.calls)
        for call, (call_id, name, arguments) in zip(heard.calls, said.calls.values(), strict=False):
            assert call[:2] == (call_id, name)
            assert call[2] == {"input": arguments} or call[2] == json.loads(arguments)
    if meant.ended and meant.usage is not None:
        assert stream.usage == usage_metadata(meant.usage)
    else:
        assert stream.usage is None


def of(events: list[form.Event], choice: int) -> list[form.Event]:
    return [event for event in events if getattr(event, "choice", -1) == choice]


@settings(max_examples=200, deadline=None)
@given(streams(choices=2, whole=True))
def test_what_is_written_reads_back_as_it_was(events: list[form.Event]) -> None:
    back, meant = gathered(read(written(events), THOUGHTS)), gathered(events)
    assert back.ended
    for place, said in meant.choices.items():
        found = back.choices[place]
        assert len(found.text) == len(said.text) + len(said.refusal)
        if not said.refusal:
            assert found.text == said.text
        assert found.thinking == said.thinking
        assert sorted(found.called()) == sorted(said.called()) if not said.calls else found.called() == said.called()
        assert len(found.signatures) == len(said.signatures)
        assert found.finish == said.finish
    assert (back.usage is None) == (meant.usage is None)


@settings(max_examples=200, deadline=None)
@given(st.data(), streams(choices=2), st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\r"]))
def test_the_same_bytes_say_the_same_wherever_they_are_cut(
    data: st.DataObject, events: list[form.Event], blank: bytes
) -> None:
    raw = written(events).replace(b"\r\n\r\n", blank)
    reader = SPOKEN.stream_reader(THOUGHTS)
    found: list[form.Event] = []
    for piece in data.draw(cuts(raw)):
        found += reader.feed(piece)
    found += reader.finish()
    assert found == read(written(events), THOUGHTS)


NAMES = ["candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id"]
NAMES += [
    "inlineData",
    "mimeType",
    "data",
    "finishReason",
    "index",
    "usageMetadata",
    "promptTokenCount",
    "error",
    "code",
]
NAMES += ["groundingMetadata", "groundingChunks", "groundingSupports", "segment", "groundingChunkIndices", "web", "uri"]
NAMES += ["logprobsResult", "chosenCandidates", "topCandidates", "promptFeedback", "blockReason", "citationMetadata"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["STOP", "x", "image/png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
CANDIDATES = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(JSON, max_size=3)}) | JSON},
    optional=dict.fromkeys(("finishReason", "index", "groundingMetadata", "logprobsResult"), JSON),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({"candidates": st.lists(CANDIDATES | JSON, max_size=2)}) | JSON, max_size=4))
def test_whatever_a_provider_sends_is_read_as_a_legal_sequence(bodies: list[Any]) -> None:
    raw = b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)
    events = read(raw)
    gathered(events)
    legal_gemini.checked(written(events))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_stream_are_passed_over(data: bytes) -> None:
    assert not any(isinstance(event, form.Ended) for event in read(data))


# --- Reading ---


def test_a_stream_as_google_sends_it_is_read() -> None:
    raw = (
        chunk({"text": "Let me see.", "thought": True}, usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5})
        + chunk({"text": "Hel"})
        + chunk({"text": "lo"})
        + chunk(
            {"text": "", "thoughtSignature": "c2ln"},
            finishReason="STOP",
            usageMetadata={
                "promptTokenCount": 5,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 7,
                "totalTokenCount": 14,
            },
        )
    )
    events = read(raw)
    assert events[0] == form.Begun("r1", "gemini-3-pro", Usage(input=5))
    said = gathered(events)
    assert said.ended
    assert (said.choices[0].text, said.choices[0].thinking) == ("Hello", "Let me see.")
    assert form.Signed("c2ln", "gemini", redacted=True) in events  # of thoughts that the text came after
    assert said.choices[0].finish == "stop"
    assert said.usage == Usage(input=5, output=9, reasoning=7)


def test_calls_come_whole_each_with_its_signature_and_an_id() -> None:
    raw = chunk(
        {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "add", "args": {"a": 1}}},
        {"functionCall": {"id": "theirs", "name": "now"}},
        finishReason="STOP",
    )
    events = read(raw)
    begun = [event for event in events if isinstance(event, form.ToolBegun)]
    assert [(call.index, call.name, call.signature, call.origin) for call in begun] == [
        (0, "add", "c2ln", "gemini"),
        (1, "add", "", ""),
        (2, "now", "", ""),
    ]
    assert begun[2].id == "theirs"
    assert len({call.id for call in begun}) == 3
    assert [call.id for call in begun] == [call.id for call in read(raw) if isinstance(call, form.ToolBegun)]
    assert gathered(events).choices[0].called() == [
        (begun[0].id, "add", {"a": 1}),
        (begun[1].id, "add", {"a": 1}),
        ("theirs", "now", {}),
    ]
    assert gathered(events).choices[0].finish == "tool_calls"


def test_a_whole_answer_and_a_stream_give_a_call_the_same_id() -> None:
    raw = chunk({"functionCall": {"name": "add", "args": {"a": 1}}}, finishReason="STOP")
    answer = SPOKEN.read_answer(raw[6:])
    (call,) = answer.choices[0].parts
    assert isinstance(call, form.ToolCall)
    assert call.id == next(event.id for event in read(raw) if isinstance(event, form.ToolBegun))


def test_thoughts_are_signed_by_the_part_that_follows_them() -> None:
    raw = chunk({"text": "Hm.", "thought": True}) + chunk(
        {"text": "Yes", "thoughtSignature": "c2ln"}, finishReason="STOP"
    )
    kinds = [event for event in read(raw) if isinstance(event, form.ThinkingDelta | form.Signed | form.TextDelta)]
    assert kinds == [form.ThinkingDelta("Hm."), form.Signed("c2ln", "gemini"), form.TextDelta("Yes")]


def test_a_picture_may_be_signed_too() -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
    picture = form.Image(data="AAAA", media_type="image/png")
    raw = chunk(part, finishReason="STOP")
    assert read(raw)[1:3] == [form.Signed("c2ln", "gemini", redacted=True), form.ImageMade(picture)]
    thought = form.Thinking(signature="c2ln", origin="gemini", redacted=True)
    assert SPOKEN.read_answer(raw[6:]).choices[0].parts == [thought, picture]


def test_a_stream_that_broke_off_has_no_end() -> None:
    reader = SPOKEN.stream_reader(PLAIN)
    reader.feed(chunk({"text": "Hel"}))
    assert reader.finish() == []


def test_an_answer_of_two_that_is_not_over_leaves_the_stream_without_an_end() -> None:
    reader = SPOKEN.stream_reader(THOUGHTS)
    reader.feed(chunk({"text": "a"}, finishReason="STOP") + chunk({"text": "b"}, index=1))
    assert reader.finish() == []


def test_a_prompt_that_is_blocked_is_filtered() -> None:
    raw = b'data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}\r\n\r\n'
    events = read(raw)
    assert gathered(events).choices[0].finish == "content_filter"
    assert gathered(events).ended
    assert gathered(events).usage == Usage(input=3, output=None)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_an_end_that_is_a_failure_is_one(reason: str) -> None:
    raw = chunk({"text": "x"}, usageMetadata={"promptTokenCount": 3}) + chunk(finishReason=reason, finishMessage="Oh.")
    failed = gathered(read(raw)).failed
    assert failed is not None
    assert (failed.status, failed.code, failed.message) == (502, reason.lower(), "Oh.")


def test_an_error_in_the_middle_ends_the_stream() -> None:
    error = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    raw = chunk({"text": "x"}) + b"data: " + json.dumps(error).encode() + b"\r\n\r\n" + chunk({"text": "y"})
    events = read(raw)
    assert events[-1] == form.Failed(message="Overloaded.", type="UNAVAILABLE", code="unavailable", status=503)
    assert gathered(events).choices[0].text == "x"


def test_citations_count_characters_and_come_once() -> None:
    grounding = {
        "webSearchQueries": ["q1", "q2"],
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://b.example"}}],
        "groundingSupports": [{"segment": {"startIndex": 5, "endIndex": 10}, "groundingChunkIndices": [0]}],
    }
    raw = (
        chunk({"text": "äö "})
        + chunk({"text": "käse"}, groundingMetadata=grounding)
        + chunk(groundingMetadata=grounding | {"webSearchQueries": ["q1"]})
        + chunk(finishReason="STOP", usageMetadata={"promptTokenCount": 1})
    )
    events = read(raw)
    assert [event.citation for event in events if isinstance(event, form.Cited)] == [
        form.Citation(url="https://a.example", title="A", start=3, end=7),
        form.Citation(url="https://b.example", title="https://b.example"),
    ]
    usage = gathered(events).usage
    assert usage is not None
    assert usage.searches == 2


def test_pictures_and_chances_of_tokens_are_read() -> None:
    result = {
        "chosenCandidates": [{"token": "ä", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "ä", "logProbability": -0.5}, {"token": "b"}]}],
    }
    raw = chunk({"text": "ä"}, logprobsResult=result) + chunk(
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finishReason="STOP"
    )
    events = read(raw)
    (said,) = [event for event in events if isinstance(event, form.TextDelta)]
    assert said.logprobs == [
        {
            "token": "ä",
            "logprob": -0.5,
            "bytes": [195, 164],
            "top_logprobs": [
                {"token": "ä", "logprob": -0.5, "bytes": [195, 164]},
                {"token": "b", "logprob": -9999.0, "bytes": [98]},
            ],
        }
    ]
    assert form.ImageMade(form.Image(data="AAAA", media_type="image/png")) in events
    # And written again as they were.
    first = json.loads(written(events).split(b"\r\n\r\n")[0][6:])
    assert first["candidates"][0]["logprobsResult"]["chosenCandidates"] == result["chosenCandidates"]


# --- Writing ---


def events_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(event[6:]) for event in data.split(b"\r\n\r\n")[:-1]]


def test_text_leaves_at_once() -> None:
    writer = SPOKEN.stream_writer(PLAIN, SHOWN)
    assert writer.feed([form.Begun()]) == b""
    (event,) = events_of(writer.feed([form.TextDelta('a"\n')]))
    assert event == {
        "candidates": [{"content": {"parts": [{"text": 'a"\n'}], "role": "model"}, "index": 0}],
        "modelVersion": "asked-for",
        "responseId": SHOWN.id,
    }


def test_a_ping_is_not_told() -> None:
    assert written([form.Begun(), form.Ping()]) == b""


def test_a_call_leaves_as_soon_as_the_next_one_begins() -> None:
    writer = SPOKEN.stream_writer(PLAIN, SHOWN)
    pieces: list[form.Event] = [form.ToolBegun(0, "a", "f"), form.ToolDelta(0, '{"x":'), form.ToolDelta(0, "1}")]
    assert writer.feed(pieces) == b""
    (event,) = events_of(writer.feed([form.ToolBegun(1, "b", "g")]))
    assert event["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "f", "args": {"x": 1}, "id": "a"}}]
    assert len(events_of(writer.feed([form.Finished("tool_calls")]))) == 1


@pytest.mark.parametrize(("begun", "rest"), [("", "{}"), ('{"x":{}', "}")])
def test_calls_keep_their_order_though_the_second_is_whole_first(begun: str, rest: str) -> None:
    pieces: list[form.Event] = [
        form.ToolBegun(0, "a", "f"),
        form.ToolDelta(0, begun),
        form.ToolBegun(1, "b", "g"),
        form.ToolDelta(1, "{}"),
        form.TextDelta("in between"),
        form.TextDelta("and more"),
        form.ToolDelta(0, rest),
        form.Finished("tool_calls"),
        form.Ended(),
    ]
    assert [call[0] for call in legal_gemini.checked(written(pieces)).choices[0].calls] == ["a", "b"]


@pytest.mark.parametrize(("finish", "reason"), [("tool_calls", "MALFORMED_FUNCTION_CALL"), ("length", "MAX_TOKENS")])
def test_a_call_whose_arguments_are_no_object_is_not_told_as_one(finish: Any, reason: str) -> None:
    pieces: list[form.Event] = [
        form.ToolBegun(0, "a", "f"),
        form.ToolDelta(0, '{"x": '),
        form.Finished(finish),
        form.Ended(),
    ]
    heard = legal_gemini.checked(written(pieces)).choices[0]
    assert (heard.calls, heard.finish) == ([], reason)


def test_arguments_on_several_lines_do_not_break_the_event() -> None:
    pieces: list[form.Event] = [
        form.ToolBegun(0, "a", "f"),
        form.ToolDelta(0, '{\r\n "x": "\\n"\n}'),
        form.Finished("tool_calls"),
        form.Ended(),
    ]
    assert legal_gemini.checked(written(pieces)).choices[0].calls == [("a", "f", {"x": "\n"})]


def test_thoughts_are_for_who_asked_for_them_and_signatures_for_all() -> None:
    pieces: list[form.Event] = [form.ThinkingDelta("Hm."), form.Signed("c2ln", "anthropic"), form.Finished("stop")]
    pieces.append(form.Ended())
    shown, hidden = (legal_gemini.checked(written(pieces, request)).choices[0] for request in (THOUGHTS, PLAIN))
    assert (shown.thinking, hidden.thinking) == ("Hm.", "")
    assert shown.signatures == hidden.signatures != []


@pytest.mark.parametrize(
    ("status", "code", "word"), [(429, 429, "RESOURCE_EXHAUSTED"), (502, 503, "UNAVAILABLE"), (0, 503, "UNAVAILABLE")]
)
def test_a_failure_is_googles_error(status: int, code: int, word: str) -> None:
    out = written([form.Begun(), form.TextDelta("x"), form.Failed(message="Oh.", code="boom", status=status)])
    error = legal_gemini.checked(out).error
    assert error is not None
    assert (error["code"], error["status"], error["message"]) == (code, word, "Oh.")
    assert error["details"][0]["reason"] == "BOOM"


def test_places_of_citations_are_told_in_bytes() -> None:
    pieces: list[form.Event] = [form.TextDelta("äö "), form.TextDelta("käse")]
    pieces += [form.Cited(form.Citation(url="https://a.example", title="A", start=3, end=7))]
    pieces += [form.Finished("stop"), form.Ended()]
    back = [event.citation for event in read(written(pieces)) if isinstance(event, form.Cited)]
    assert back == [form.Citation(url="https://a.example", title="A", start=3, end=7)]
    last = events_of(written(pieces))[-1]["candidates"][0]["groundingMetadata"]
    assert last["groundingSupports"][0]["segment"] == {"startIndex": 5, "endIndex": 10, "text": "käse"}


def test_usage_is_told_once_with_the_last_event_even_if_only_the_beginning_told_it() -> None:
    pieces: list[form.Event] = [form.Begun(usage=Usage(input=3)), form.Finished("stop"), form.Ended()]
    assert legal_gemini.checked(written(pieces)).usage == {
        "promptTokenCount": 3,
        "candidatesTokenCount": 0,
        "totalTokenCount": 3,
    }


@given(usages())
def test_usage_reads_back_with_all_its_tokens(usage: Usage) -> None:
    back = gemini_usage(usage_metadata(usage))
    assert back is not None
    assert not back.mismatch
    assert (back.output, back.reasoning) == (usage.output, usage.reasoning)
    written_too = (usage.cache_write_5m or 0) + (usage.input or 0)  # Gemini has no word for writing a cache
    assert (back.input, back.cache_read or 0) == (written_too, usage.cache_read or 0)


def test_audio_and_pictures_are_counted_apart() -> None:
    usage = Usage(input=1, audio_input=2, image_input=3, audio_cache_read=4, output=5, image_output=6, reasoning=2)
    back = gemini_usage(usage_metadata(usage))
    assert back is not None
    assert not back.mismatch
    kept = ("input", "audio_input", "image_input", "audio_cache_read", "output", "image_output", "reasoning")
    assert [getattr(back, name) for name in kept] == [getattr(usage, name) for name in kept]


# --- As one JSON array ---


@settings(max_examples=200, deadline=None)
@given(st.data(), streams(choices=2, custom=True))
def test_an_array_has_the_same_elements(data: st.DataObject, events: list[form.Event]) -> None:
    writer = array_of(SPOKEN.stream_writer(PLAIN, SHOWN))
    out = b"".join(writer.feed(batch) for batch in data.draw(in_batches(events)))
    meant = gathered(events)
    over = meant.ended or meant.failed is not None
    assert out.endswith(b"]") == over or not over
    if not out:  # nothing to tell yet, so that it may still become an error with a status of its own
        assert writer.events == 0
        return
    found = json.loads(out if over else out + b"]")
    assert found == events_of(written(events, PLAIN))
    assert writer.events == len(found)
