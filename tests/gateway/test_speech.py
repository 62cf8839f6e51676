"""Speech: sound that passes as it comes, billed by the character or in tokens."""

import threading
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.test_refusals import refused
from tests.support.bodies import Json, event
from tests.support.governed import budget, priced
from tests.support.provider import CLOSE, FakeProvider
from tests.support.tenant import Tenant

SOUND = {"Content-Type": "audio/mpeg"}
SSE = {"Content-Type": "text/event-stream"}
TEXT = "Grüße an alle"  # 13 characters, 15 bytes
BY_CHARACTER: dict[str, Any] = {"per_character": Decimal(15)}  # tts-1's
IN_TOKENS: dict[str, Any] = {
    "input": Decimal("0.6"),
    "output": Decimal(10),
    "audio_output": Decimal(12),
}  # gpt-4o-mini-tts's


def delta() -> bytes:
    return event({"type": "speech.audio.delta", "audio": "QUJD" * 50})


def done(**usage: int) -> bytes:
    return event({"type": "speech.audio.done", "usage": usage})


def speak(acme: Tenant, **options: Any) -> bytes:
    asked: Any = {"model": "gpt-test", "voice": "coral", "input": TEXT, **options}
    return acme.client().audio.speech.create(**asked).read()


def body(**fields: Any) -> Json:
    return {"model": "gpt-test", "voice": "coral", "input": TEXT, **fields}


def test_speech_is_billed_by_the_character(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_CHARACTER)
    upstream.answers(b"\xff\xfbsound", headers=SOUND)
    assert speak(acme) == b"\xff\xfbsound"
    assert upstream.requests[0].path == "/v1/audio/speech"
    record = acme.record()
    assert (record.endpoint, record.stream, record.status, record.flags) == ("speech", False, 200, [])
    assert record.other_usage == {"characters": 13}
    assert record.cost_usd == Decimal("0.000195")  # 13 x 15 millionths
    assert not record.usage_estimated
    assert record.bytes_out == 7


def test_tokens_of_speech_are_estimated_where_they_are_the_price(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers(b"sound", headers=SOUND)
    speak(acme)
    record = acme.record()
    assert record.usage_estimated
    assert (record.audio_output_tokens, record.output_tokens) == (22, None)  # three for two bytes
    assert record.input_tokens
    assert record.cost_usd == (record.input_tokens * Decimal("0.6") + 22 * 12) / 10**6
    assert record.flags == []


def test_sound_reaches_the_client_piece_by_piece_with_its_content_type(acme: Tenant, upstream: FakeProvider) -> None:
    second, third = threading.Event(), threading.Event()
    upstream.streams_raw([b"one", second, b"two", third, b"three"], headers={"Content-Type": "audio/opus"})
    with acme.client().audio.speech.with_streaming_response.create(
        model="gpt-test", voice="coral", input=TEXT, response_format="opus"
    ) as response:
        assert response.headers["content-type"] == "audio/opus"
        pieces = response.iter_bytes()
        assert next(pieces) == b"one"
        second.set()
        assert next(pieces) == b"two"
        third.set()
        assert b"".join(pieces) == b"three"
    assert acme.record().bytes_out == 11


def test_a_stream_of_events_tells_its_tokens(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    steps = [delta(), delta(), done(input_tokens=8, output_tokens=100, total_tokens=108)]
    upstream.streams_raw(steps, headers=SSE)
    response = acme.http().post("/v1/audio/speech", json=body(stream_format="sse"))
    assert response.content == b"".join(steps)
    record = acme.record()
    assert (record.stream, record.input_tokens, record.audio_output_tokens) == (True, 8, 100)
    assert record.cost_usd == Decimal("0.0012048")  # 8 x 0.6 + 100 x 12 millionths
    assert (record.usage_estimated, record.other_usage) == (False, {"characters": 13})


def test_a_stream_of_events_that_breaks_off_is_billed_for_its_text(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_CHARACTER)
    upstream.streams_raw([delta(), CLOSE], headers=SSE)
    response = acme.http().post("/v1/audio/speech", json=body(stream_format="sse"))
    assert b'"upstream_disconnected"' in response.content
    record = acme.record()
    assert (record.cost_usd, record.usage_estimated) == (Decimal("0.000195"), True)


def test_sound_that_comes_though_events_were_asked_for_passes_as_sound(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(b"sound", headers=SOUND)
    response = acme.http().post("/v1/audio/speech", json=body(stream_format="sse"))
    assert (response.content, response.headers["content-type"]) == (b"sound", "audio/mpeg")
    assert acme.record().status == 200


def test_sound_that_breaks_off_does_not_look_complete(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_CHARACTER)
    upstream.streams_raw([b"one", CLOSE], headers=SOUND)
    with pytest.raises(httpx.RemoteProtocolError):
        acme.http().post("/v1/audio/speech", json=body())
    record = acme.record()
    assert (record.error_code, record.cost_usd, record.usage_estimated) == (
        "upstream_disconnected",
        Decimal("0.000195"),
        True,
    )


def test_a_refusal_of_the_provider_reaches_the_client_and_costs_nothing(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_CHARACTER)
    upstream.fails(400, "No such voice.", kind="invalid_request_error", code="invalid_voice")
    refused_here = acme.http().post("/v1/audio/speech", json=body())
    assert (refused_here.status_code, refused_here.json()["error"]["code"]) == (400, "invalid_voice")
    assert acme.record().cost_usd is None


def test_a_budget_holds_what_the_text_will_cost(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, per_character=Decimal(1_000_000))  # a USD each
    budget(acme, "13")
    error = refused(lambda: speak(acme, input=TEXT + "!"), openai.APIStatusError, "budget_exceeded")
    assert error.status_code == 402
    upstream.answers(b"sound", headers=SOUND)
    speak(acme)


def test_a_budget_holds_enough_for_tokens_that_nobody_tells(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    budget(acme, "1")
    upstream.answers(b"sound", headers=SOUND)
    speak(acme)
    record = acme.record()
    assert record.decision is not None
    assert record.cost_usd is not None
    assert Decimal(record.decision["hold"]) / 10**9 > record.cost_usd * 4
    assert "over_hold" not in record.flags


def test_a_text_that_is_said_twice_is_passed_on_once(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(b"sound", headers=SOUND)
    twice = b'{"model": "gpt-test", "voice": "coral", "input": "a very long text", "input": "short"}'
    acme.http().post("/v1/audio/speech", content=twice)
    assert upstream.requests[0].body.count(b'"input"') == 1
    assert acme.record().other_usage == {"characters": 5}


@pytest.mark.parametrize("fields", [{"input": None}, {"input": 5}, {"input": ["a"]}])
def test_a_request_without_a_text_is_refused(acme: Tenant, fields: Json) -> None:
    response = acme.http().post("/v1/audio/speech", json=body(**fields))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input"
