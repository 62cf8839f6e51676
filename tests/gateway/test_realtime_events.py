"""What is read of realtime events, and what is written: for every event there may be."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BadRequest, GatewayError, InvalidValue, ModelNotFound
from apps.gateway.realtime import events
from apps.gateway.realtime.events import Rules

CAP = 100
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["type", "event_id", "session", "response", "audio", "model", "max_output_tokens", "item", "x"])
objects = st.dictionaries(names, plain, max_size=6)


def transcriber(name: str) -> str:
    if name != "scribe":
        raise ModelNotFound("no")
    return "whisper-1"


RULES = Rules(frozenset({"voice", "gpt-realtime"}), "gpt-realtime", CAP, transcriber)


def said(**fields: Any) -> events.ClientEvent:
    return events.read_client(json.dumps(fields))


@given(objects | plain)
def test_whatever_a_client_says_is_read_as_it_passes_or_refused(value: Any) -> None:
    text = json.dumps(value)
    try:
        event = events.read_client(text)
    except BadRequest:
        return
    assert orjson.loads(event.text) == value
    assert event.type == value["type"]


@given(st.lists(st.tuples(st.sampled_from(["type", "event_id"]), st.sampled_from(["a", "b", "c"])), min_size=1))
def test_of_fields_that_stand_several_times_the_one_that_was_read_passes(pairs: list[tuple[str, str]]) -> None:
    text = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}"
    last = dict(pairs)
    if "type" not in last:
        return
    event = events.read_client(text)
    if len({name for name, _ in pairs}) != len(pairs) and [name for name, _ in pairs].count("type") > 1:
        assert json.loads(event.text, object_pairs_hook=list) == list(last.items())
    assert event.type == last["type"]


@given(objects, objects, st.sampled_from(["session.update", "transcription_session.update"]))
def test_no_update_leads_to_more_than_was_allowed(session: dict[str, Any], more: dict[str, Any], kind: str) -> None:
    event = said(type=kind, session={**session, "audio": {"input": more}})
    try:
        passes, hears = events.ruled_update(event, RULES)
    except GatewayError:
        return
    found = json.loads(passes)["session"]
    assert found.get("model") in (None, "gpt-realtime")
    for name in ("max_output_tokens", "max_response_output_tokens"):
        if name in found:
            assert type(found[name]) is int
            assert 0 < found[name] <= CAP
    assert hears in (None, "", "whisper-1")


@given(objects)
def test_no_request_for_a_response_leads_to_more_either(response: dict[str, Any]) -> None:
    try:
        asked = events.ruled_response(said(type="response.create", response=response), RULES)
    except GatewayError:
        return
    found = json.loads(asked.text)["response"]
    assert found.get("model") in (None, "gpt-realtime")
    if "max_output_tokens" in found:
        assert 0 < found["max_output_tokens"] <= CAP


def test_what_an_update_says_of_transcribing() -> None:
    def hears(session: dict[str, Any]) -> str | None:
        return events.ruled_update(said(type="session.update", session=session), RULES)[1]

    assert hears({}) is None
    assert hears({"audio": {"input": {}}}) is None
    assert hears({"audio": {"input": {"transcription": None}}}) == ""
    assert hears({"audio": {"input": {"transcription": {"model": "scribe"}}}}) == "whisper-1"
    assert hears({"input_audio_transcription": {"model": "scribe"}}) == "whisper-1"
    for wrong in ({"model": "other"}, {}, "whisper-1", {"model": 5}):
        with pytest.raises(GatewayError):
            hears({"input_audio_transcription": wrong})
    with pytest.raises(InvalidValue):
        hears({"model": "gpt-5"})


def test_a_response_aside_has_an_id_and_others_keep_theirs() -> None:
    aside = events.ruled_response(said(type="response.create", response={"conversation": "none"}), RULES)
    assert aside.aside
    assert json.loads(aside.text)["event_id"] == aside.event_id != ""
    own = events.ruled_response(said(type="response.create", event_id="x", response={"conversation": "none"}), RULES)
    assert (own.event_id, own.aside) == ("x", True)
    usual = events.ruled_response(said(type="response.create"), RULES)
    assert (usual.event_id, usual.aside) == ("", False)
    assert "event_id" not in json.loads(usual.text)


@given(st.text() | plain.map(json.dumps) | objects.map(json.dumps))
def test_whatever_a_provider_says_is_survived(text: str) -> None:
    event = events.read_server(text)
    assert event.spoken(48_000) >= 0
    assert event.written >= 0
    assert isinstance(event.refused_event + event.error_code + event.of_response.error_code, str)
    events.sounds_of(events.session_of(text))


@given(objects)
def test_a_response_that_is_done_is_known_by_its_usage_whatever_stands_beside_it(beside: dict[str, Any]) -> None:
    response = {**beside, "id": "r", "usage": {"input_tokens": 3}, "output": [{"type": "message", "usage": 5}]}
    event = events.read_server(
        json.dumps({"event_id": 5, "item_id": [], **beside, "type": "response.done", "response": response})
    )
    assert event.type == "response.done"
    assert (event.of_response.id, event.of_response.usage) == ("r", {"input_tokens": 3})


def test_seconds_of_audio() -> None:
    append = events.read_client(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 64_000}))
    assert append.seconds(48_000) == 1.0
    assert append.seconds_most == 6.0
    delta = events.read_server(json.dumps({"type": "response.output_audio.delta", "delta": "A" * 64_000}))
    assert (delta.spoken(48_000), delta.written) == (1.0, 0)
    text = events.read_server(json.dumps({"type": "response.output_text.delta", "delta": "x" * 7}))
    assert (text.spoken(48_000), text.written) == (0.0, 7)


@pytest.mark.parametrize(
    ("session", "rates"),
    [
        ({}, (48_000, 48_000)),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}}, (48_000, 48_000)),
        (
            {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}},
            (8_000, 8_000),
        ),
        ({"input_audio_format": "g711_ulaw", "output_audio_format": "pcm16"}, (8_000, 48_000)),
        ({"audio": 5}, (48_000, 48_000)),
    ],
)
def test_in_which_form_audio_is(session: dict[str, Any], rates: tuple[int, int]) -> None:
    found = events.sounds_of(session)
    assert (found.heard, found.spoken) == rates


def test_a_session_is_opened_in_the_providers_own_words() -> None:
    def update(created: str, session: dict[str, Any], wanted: dict[str, Any], cap: int | None) -> dict[str, Any] | None:
        found = events.opening_update(created, session, wanted, cap)
        return None if found is None else json.loads(found[0])

    assert update("session.created", {}, {}, None) is None
    now = update("session.created", {"type": "realtime"}, {}, 7)
    assert now is not None
    assert (now["type"], now["session"]) == ("session.update", {"type": "realtime", "max_output_tokens": 7})
    first = update("session.created", {"max_response_output_tokens": "inf"}, {}, 7)
    assert first is not None
    assert first["session"] == {"max_response_output_tokens": 7}
    asked = update("session.created", {}, {"max_output_tokens": 3}, 7)
    assert asked is not None
    assert asked["session"] == {"max_output_tokens": 3}
    heard = update("transcription_session.created", {}, {"x": 1}, None)
    assert heard is not None
    assert heard["type"] == "transcription_session.update"
