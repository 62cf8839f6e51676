"""Realtime sessions: events relayed as they come, each response and transcript with its record and its cost."""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from apps.providers.prices.actions import price_set
from tests.gateway.realtime import COST, by_endpoint, voiced, voiced_tenant
from tests.gateway.test_connection import Authority
from tests.support.gateway import GatewayProcess
from tests.support.governed import LONG_AGO, check_amounts, priced, ruled
from tests.support.provider import closed_port
from tests.support.realtime import TRANSCRIBED, RealtimeProvider, add_realtime, session
from tests.support.tenant import ACTOR, SECRET, Tenant, recorded

# openai's client opens websockets' connection in a way that this has begun to warn of.
official = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")


@pytest.fixture
def provider() -> Iterator[RealtimeProvider]:
    with RealtimeProvider() as made:
        yield made


@pytest.fixture
def acme(acme: Tenant, provider: RealtimeProvider) -> Tenant:
    return voiced(acme, provider)


@pytest.fixture(scope="module")
def trying() -> Iterator[GatewayProcess]:
    """A gateway that tries another route where one fails."""
    with GatewayProcess({"UPSTREAM_ATTEMPTS": "3", "UPSTREAM_FIRST_BYTE_TIMEOUT": "2"}) as process:
        yield process


# --- What passes ---


@official
def test_the_official_client_talks_through_the_gateway(acme: Tenant, provider: RealtimeProvider) -> None:
    with acme.client().realtime.connect(model="gpt-realtime") as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "instructions": "Be kind."})
        assert connection.recv().type == "session.updated"
        connection.response.create()
        kinds = []
        for event in connection:
            kinds.append(event.type)
            if event.type == "response.done":
                assert event.response.usage is not None
                assert event.response.usage.total_tokens == 150
                break
    assert kinds == [
        "response.created",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.done",
    ]
    line = provider.line
    assert line.path == "/v1/realtime?model=gpt-realtime"
    assert line.headers["authorization"] == f"Bearer {SECRET}"
    assert acme.token not in str(line.headers)
    records = by_endpoint(acme, 2)
    (response,) = records["realtime_response"]
    assert (response.input_tokens, response.audio_input_tokens, response.cache_read_tokens) == (45, 35, 15)
    assert (response.output_tokens, response.audio_output_tokens) == (20, 30)
    assert response.other_usage == {"audio_cache_read": 5, "image_cache_read": 0}
    assert (response.status, response.flags, response.usage_estimated) == (200, [], False)
    assert (response.cost_usd, response.model_asked, response.upstream_request_id) == (COST, "gpt-realtime", "resp_1")
    (whole,) = records["realtime"]
    assert (whole.status, whole.error_code, whole.cost_usd, whole.input_tokens) == (101, "", None, None)
    assert (whole.method, whole.path, whole.stream) == ("GET", "/v1/realtime", True)
    assert whole.bytes_in > 0
    assert whole.bytes_out > whole.bytes_in
    assert response.client_request_id == whole.shown_id


@official
def test_azures_client_finds_the_deployment_wherever_the_model_is(acme: Tenant, provider: RealtimeProvider) -> None:
    azure = openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url,
        websocket_base_url=acme.gateway.url.replace("http", "ws") + "/openai",  # it would expect TLS otherwise
        api_key=acme.token,
        api_version="2025-04-01-preview",
        max_retries=0,
    )
    with azure, azure.realtime.connect(model="gpt-realtime") as connection:
        assert connection.recv().type == "session.created"
    assert provider.line.path == "/v1/realtime?model=gpt-realtime"
    assert acme.record().path == "/openai/realtime"


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2025-04-01-preview", "/openai/realtime?api-version=2025-04-01-preview&deployment=dep%2F1"),
        ("", "/openai/v1/realtime?model=dep%2F1"),
    ],
)
def test_azure_is_asked_at_its_own_paths(acme: Tenant, provider: RealtimeProvider, version: str, path: str) -> None:
    acme.add_route(
        "on-azure",
        provider.url,
        provider="azure_openai",
        api_version=version,
        upstream_name="dep/1",
        secret="azure-key",
    )
    with session(acme, query="model=on-azure"):
        line = provider.line
    assert line.path == path
    assert line.headers["api-key"] == "azure-key"
    assert "authorization" not in line.headers


def test_a_browser_brings_its_token_as_a_subprotocol(acme: Tenant, provider: RealtimeProvider) -> None:
    offered: Any = ["realtime", f"openai-insecure-api-key.{acme.token}", "openai-beta.realtime-v1"]
    with session(acme, token="", subprotocols=offered, headers={"Origin": "https://app.example"}) as client:
        assert client.socket.subprotocol == "realtime"
    line = provider.line
    assert line.headers["openai-beta"] == "realtime=v1"
    assert "sec-websocket-protocol" not in line.headers
    assert "origin" not in line.headers
    assert acme.token not in str(line.headers)
    with pytest.raises(InvalidStatus) as caught, session(acme, token="tg_live_another", subprotocols=offered):
        pass
    assert json.loads(caught.value.response.body or b"")["error"]["message"].startswith("Several different tokens")


def test_headers_that_pass_and_the_end_user(acme: Tenant, provider: RealtimeProvider) -> None:
    sent = {
        "OpenAI-Safety-Identifier": "ana",
        "x-client-request-id": "mine",
        "Cookie": "a=b",
        "x-tollgate-tags": "team=voice",
        "OpenAI-Organization": "org-1",
    }
    with session(acme, headers=sent) as client:
        assert client.answer.headers["x-tollgate-provider"] == "openai_compatible"
        assert client.answer.headers["x-tollgate-attempts"] == "1"
        shown = client.answer.headers["x-request-id"]
        client.respond()
    passed = provider.line.headers
    assert (passed["openai-safety-identifier"], passed["x-client-request-id"]) == ("ana", "mine")
    assert passed["user-agent"] == "tollgate"
    assert not passed.keys() & {"cookie", "openai-organization", "x-tollgate-tags"}
    records = by_endpoint(acme, 2)
    assert records["realtime"][0].shown_id == shown
    assert {record.end_user for found in records.values() for record in found} == {"ana"}
    assert {tuple(record.tags) for found in records.values() for record in found} == {("team=voice",)}


def test_events_pass_as_they_were_written(acme: Tenant, provider: RealtimeProvider) -> None:
    ours = '{ "type":"conversation.item.create" , "item": {"type": "message", "x": 1.50, "n": 12345678901234567890} }'
    plain = '{"type": "input_audio_buffer.append", "audio" : "AAAA"}'
    theirs = '{"type" : "something.new", "text": "\\u00fc \\ud83d\\ude00 ü", "x": 1.0, "type_": [1,2 ]}'
    with session(acme) as client:
        client.socket.send(plain)
        client.socket.send(ours)
        line = provider.line
        (item,) = line.asked("conversation.item.create")
        assert item["item"] == {"type": "message", "x": 1.5, "n": 12345678901234567890}
        line.say(theirs)
        assert client.socket.recv(timeout=5) == theirs
        client.socket.send("{not JSON")
        assert client.next()["error"]["code"] == "invalid_json"
        client.socket.send('{"type": 5}')
        assert client.next()["error"]["code"] == "invalid_type"
        client.respond()  # the session goes on
    assert [event["type"] for event in line.received] == [
        "input_audio_buffer.append",
        "conversation.item.create",
        "response.create",
    ]


def test_a_field_that_stands_twice_passes_once(acme: Tenant, provider: RealtimeProvider) -> None:
    twice = '{"type": "response.create", "type": "input_audio_buffer.clear", "event_id": "a"}'
    hidden = '{"t\\u0079pe": "response.create", "type": "input_audio_buffer.clear", "event_id": "b"}'
    with session(acme) as client:
        client.socket.send(twice)
        client.socket.send(hidden)
        found = provider.line.asked("input_audio_buffer.clear", 2)
    assert [event["event_id"] for event in found] == ["a", "b"]
    assert not [event for event in provider.line.received if event["type"] == "response.create"]


def test_large_events_pass_both_ways(acme: Tenant, provider: RealtimeProvider) -> None:
    sound = base64.b64encode(bytes(3 << 20)).decode()
    with session(acme) as client:
        client.say("input_audio_buffer.append", audio=sound)
        assert provider.line.asked("input_audio_buffer.append")[0]["audio"] == sound
        provider.line.say({"type": "conversation.item.retrieved", "item": {"audio": sound}})
        assert client.next()["item"]["audio"] == sound


# --- Which model ---


def test_the_model_has_the_providers_name_there_and_cannot_be_changed(acme: Tenant, provider: RealtimeProvider) -> None:
    add_realtime(acme, provider, "voice", upstream_name="gpt-realtime-2")
    with session(acme, query="model=voice") as client:
        assert provider.line.path == "/v1/realtime?model=gpt-realtime-2"
        client.say("session.update", session={"type": "realtime", "model": "voice", "instructions": "x"})
        client.until("session.updated")
        client.say("session.update", event_id="mine", session={"type": "realtime", "model": "gpt-realtime"})
        error = client.next()["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "session.model", "mine")
    (update,) = provider.line.asked("session.update")
    assert update["session"] == {"type": "realtime", "model": "gpt-realtime-2", "instructions": "x"}


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/v1/realtime", "", 400, "missing_required_parameter"),
        ("/v1/realtime", "model=nobody", 404, "model_not_found"),
        ("/v1/realtime", "model=a%20b", 400, "invalid_value"),
        ("/v1/realtime", "call_id=rtc_1", 400, "invalid_value"),
        ("/v1/realtime", "model=gpt-realtime&intent=other", 400, "invalid_value"),
        ("/v1/responses", "model=gpt-realtime", 405, "method_not_allowed"),
        ("/v1/chat/completions", "", 405, "method_not_allowed"),
        ("/v1/nothing", "", 404, "unknown_url"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_a_status(
    acme: Tenant, path: str, query: str, status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as caught, session(acme, path=path, query=query):
        pass
    answer = caught.value.response
    assert answer.status_code == status
    body = json.loads(answer.body or b"")
    assert body["error"]["code"] == code
    assert answer.headers["x-request-id"] == body["error"]["request_id"]
    record = recorded(body["error"]["request_id"])
    assert (record.status, record.error_code) == (status, code)


def test_without_a_token_there_is_no_session(acme: Tenant, provider: RealtimeProvider) -> None:
    for token in ("", "tg_live_nothing", "ek_nothing"):
        with pytest.raises(InvalidStatus) as caught, session(acme, token=token):
            pass
        assert caught.value.response.status_code == 401
    _, narrow = acme.issue_token(scopes=["chat_completions"])
    with pytest.raises(InvalidStatus) as caught, session(acme, token=narrow):
        pass
    assert caught.value.response.status_code == 403
    assert not provider.lines


def test_plain_http_is_told_to_come_by_websocket(acme: Tenant) -> None:
    response = acme.http().get("/v1/realtime?model=gpt-realtime")
    assert (response.status_code, response.json()["error"]["code"]) == (426, "upgrade_required")
    assert acme.http().post("/v1/realtime", json={}).status_code == 405


def test_a_model_without_sessions_says_so(acme: Tenant) -> None:
    acme.add_route("elsewhere", acme.upstream.url, provider="mistral")
    with pytest.raises(InvalidStatus) as caught, session(acme, query="model=elsewhere"):
        pass
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == "dialect_mismatch"


# --- What each response costs ---


def test_every_response_is_recorded_and_priced_for_itself(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        for _ in range(3):
            client.respond()
        line = provider.line
        id_ = line.begin()  # by itself, as when it hears
        line.end(id_)
        client.until("response.done")
    found = by_endpoint(acme, 5)
    assert [record.cost_usd for record in found["realtime_response"]] == [COST] * 4
    check_amounts(acme)
    assert len(found["realtime"]) == 1
    assert [record.upstream_request_id for record in found["realtime_response"]] == [f"resp_{n}" for n in (1, 2, 3, 4)]


def test_a_response_that_tells_no_usage_is_estimated(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        client.respond()
        provider.answers = False
        client.say("input_audio_buffer.append", audio=base64.b64encode(bytes(48_000 * 2)).decode())  # two seconds
        line = provider.line
        line.asked("input_audio_buffer.append")
        id_ = line.begin()
        sound = base64.b64encode(bytes(48_000)).decode()  # one second
        line.say({"type": "response.output_audio.delta", "response_id": id_, "delta": sound})
        line.say({"type": "response.output_audio_transcript.delta", "response_id": id_, "delta": "x" * 38})
        line.end(id_, None)
        client.until("response.done")
    _, record = by_endpoint(acme, 3)["realtime_response"]
    assert record.usage_estimated
    # All that the first one saw and said, and what came since.
    assert record.input_tokens is not None
    assert record.audio_input_tokens == 35 + 5 + 30 + 20
    assert record.audio_output_tokens == 20
    assert record.output_tokens == 10
    assert record.cost_usd


def test_a_response_that_fails_is_recorded_with_the_providers_word_and_costs_what_it_tells(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    provider.answers = False
    with session(acme) as client:
        line = provider.line
        error = {"type": "server_error", "code": "rate_limit_exceeded"}
        line.end(line.begin(), None, "failed", status_details={"type": "failed", "error": error})
        client.until("response.done")
        line.end(line.begin(), status="cancelled")
        client.until("response.done")
    failed, cancelled = by_endpoint(acme, 3)["realtime_response"]
    assert (failed.status, failed.error_code, failed.cost_usd) == (200, "rate_limit_exceeded", None)
    assert (cancelled.status, cancelled.error_code, cancelled.cost_usd) == (200, "", COST)


def test_an_end_that_had_no_beginning_is_recorded_all_the_same(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        provider.line.end("resp_unheard_of")
        client.until("response.done")
    assert by_endpoint(acme, 2)["realtime_response"][0].cost_usd == COST


def test_an_end_that_is_told_twice_is_charged_once(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        line = provider.line
        for id_ in (line.begin(), "resp_unheard_of"):
            line.end(id_)
            line.end(id_)
            for _ in range(2):
                client.until("response.done")  # it passes all the same
        client.respond()
    found = by_endpoint(acme, 4)["realtime_response"]
    assert [record.cost_usd for record in found] == [COST] * 3
    assert len({record.upstream_request_id for record in found}) == 3


def test_an_id_that_begins_again_is_another_response(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme) as client:
        line = provider.line
        for _ in range(2):
            line.say({"type": "response.created", "response": {"id": "resp_same", "object": "realtime.response"}})
            line.end("resp_same")
            client.until("response.done")
    assert [record.cost_usd for record in by_endpoint(acme, 3)["realtime_response"]] == [COST] * 2


def test_a_new_price_counts_from_the_next_response_on(acme: Tenant) -> None:
    with session(acme) as client:
        client.respond()
        price_set(
            organization=acme.organization,
            provider="openai_compatible",
            model="gpt-realtime",
            prices={"input": Decimal(0), "output": Decimal(1000)},
            effective_from=LONG_AGO.replace(year=2021),
            actor=ACTOR,
        )
        costs: set[Any] = set()
        while len(costs) < 2:  # the gateway hears of it within half a second
            client.respond()
            costs = {record.cost_usd for record in acme.records() if record.endpoint == "realtime_response"}
            if len(client.heard) > 2000:
                raise AssertionError(costs)
    assert costs == {COST, Decimal("0.05")}  # 50 tokens out, sound as text


# --- Transcripts ---


def hear(client: Any, model: str | None) -> None:
    transcription = None if model is None else {"model": model, "language": "de"}
    client.say("session.update", session={"type": "realtime", "audio": {"input": {"transcription": transcription}}})


def test_a_transcript_is_priced_by_the_model_that_wrote_it(acme: Tenant, provider: RealtimeProvider) -> None:
    credential = acme.models["gpt-realtime"].credential
    assert credential is not None
    acme.add_model("scribe", credential=credential, upstream_name="gpt-4o-transcribe")
    priced(acme, "gpt-4o-transcribe", input=Decimal("2.5"), audio_input=Decimal(6), output=Decimal(10))
    completed = "conversation.item.input_audio_transcription.completed"
    with session(acme) as client:
        hear(client, "scribe")
        client.until("session.updated")
        client.say("input_audio_buffer.append", audio="AAAA")
        client.say("input_audio_buffer.commit")
        client.until(completed)
        hear(client, None)
        client.until("session.updated")
        client.say("input_audio_buffer.commit")
        client.until("input_audio_buffer.committed")
    (update, _) = provider.line.asked("session.update", 2)
    assert update["session"]["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    found = by_endpoint(acme, 2)
    (record,) = found["realtime_transcription"]
    assert (record.input_tokens, record.audio_input_tokens, record.output_tokens) == (2, 10, 5)
    assert (record.model_asked, record.cost_usd) == ("scribe", (2 * Decimal("2.5") + 10 * 6 + 5 * 10) / 10**6)
    assert record.client_request_id == found["realtime"][0].shown_id


def test_a_model_that_may_not_be_called_does_not_transcribe(acme: Tenant, provider: RealtimeProvider) -> None:
    acme.add_route("elsewhere", acme.upstream.url)
    with session(acme) as client:
        for model, code in (("whisper-1", "model_not_found"), ("elsewhere", "invalid_value")):
            hear(client, model)
            assert client.next()["error"]["code"] == code
        client.say("session.update", session={"type": "realtime", "audio": {"input": {"transcription": {}}}})
        assert client.next()["error"]["code"] == "missing_required_parameter"
        client.say("session.update", session={"input_audio_transcription": {"model": "whisper-1"}})
        assert client.next()["error"]["code"] == "model_not_found"
    assert not [event for event in provider.line.received if event["type"] == "session.update"]


def test_a_session_that_only_transcribes(acme: Tenant, provider: RealtimeProvider) -> None:
    provider.session = {"object": "realtime.transcription_session", "type": "transcription"}
    provider.transcribed = {"type": "duration", "seconds": 2.4}
    add_realtime(acme, provider, "whisper-1")
    priced(acme, "whisper-1", per_second=Decimal(100))
    with session(acme, query="intent=transcription&model=whisper-1") as client:
        assert provider.line.path == "/v1/realtime?intent=transcription"
        client.say(
            "session.update",
            session={"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        )
        client.until("session.updated")
        for _ in range(2):
            client.say("input_audio_buffer.append", audio="AAAA")
            client.say("input_audio_buffer.commit")
            client.until("conversation.item.input_audio_transcription.completed")
    found = by_endpoint(acme, 3)
    assert [record.cost_usd for record in found["realtime_transcription"]] == [Decimal("0.0003")] * 2
    assert found.keys() == {"realtime", "realtime_transcription"}


# --- Where the provider refuses ---


def test_a_refusal_of_the_provider_reaches_the_client_by_its_status(acme: Tenant, provider: RealtimeProvider) -> None:
    refusal = {"error": {"message": "No such voice.", "type": "invalid_request_error", "code": "nope", "param": None}}
    provider.refusals = [(400, {}, json.dumps(refusal).encode())]
    with pytest.raises(InvalidStatus) as caught, session(acme):
        pass
    assert (caught.value.response.status_code, json.loads(caught.value.response.body or b"")) == (400, refusal)
    record = acme.record()
    assert (record.status, record.error_code, record.attempts[0]["status"]) == (400, "upstream_400", 400)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((401, {}, b"{}"), "upstream_auth_failed"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "upstream_malformed"),
        ((200, {}, b"hello"), "upstream_malformed"),
    ],
)
def test_what_is_the_operators_to_mend_is_502(acme: Tenant, provider: RealtimeProvider, answer: Any, code: str) -> None:
    provider.refusals = [answer]
    with pytest.raises(InvalidStatus) as caught, session(acme):
        pass
    assert caught.value.response.status_code == 502
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == code
    assert acme.record().error_code == code


def test_the_next_credential_is_asked_where_one_fails(trying: GatewayProcess, provider: RealtimeProvider) -> None:
    with RealtimeProvider() as failing, voiced_tenant(trying, failing) as made:
        failing.refusals = [(503, {}, b"{}")]
        made.add_route("both", failing.url + "/v1", priority=1)
        second = made.add_credential(provider.url + "/v1", priority=2)
        made.add_model("both", credential=second)
        with session(made, query="model=both") as client:
            assert client.answer.headers["x-tollgate-attempts"] == "2"
            client.respond()
        record = by_endpoint(made, 2)["realtime"][0]
        assert [attempt["status"] for attempt in record.attempts] == [503, 101]
        assert record.credential_id == second.pk


def test_a_provider_that_does_not_answer_is_504(trying: GatewayProcess, provider: RealtimeProvider) -> None:
    provider.hangs = True
    with voiced_tenant(trying, provider) as made:
        with pytest.raises(InvalidStatus) as caught, session(made):
            pass
        assert caught.value.response.status_code == 504
        assert made.record().error_code == "upstream_first_byte_timeout"


def test_the_egress_rule_holds_for_websockets(provider: RealtimeProvider) -> None:
    with GatewayProcess({"EGRESS_ALLOW": "10.0.0.0/8"}) as strict, voiced_tenant(strict, provider) as made:
        with pytest.raises(InvalidStatus) as caught, session(made):
            pass
        assert json.loads(caught.value.response.body or b"")["error"]["code"] == "egress_refused"
    assert not provider.lines


def test_a_provider_that_is_not_there_is_502(acme: Tenant) -> None:
    acme.add_route("gone", closed_port())
    with pytest.raises(InvalidStatus) as caught, session(acme, query="model=gone"):
        pass
    assert json.loads(caught.value.response.body or b"")["error"]["code"] == "upstream_unavailable"


def test_a_provider_that_transcribes_unasked_is_paid_for_it(acme: Tenant, provider: RealtimeProvider) -> None:
    completed = "conversation.item.input_audio_transcription.completed"
    with session(acme) as client:
        provider.line.say({"type": completed, "item_id": "item_1", "usage": TRANSCRIBED})
        client.until(completed)
    (record,) = by_endpoint(acme, 2)["realtime_transcription"]
    assert (record.model_asked, record.cost_usd) == ("gpt-realtime", (2 * 4 + 10 * 32 + 5 * Decimal(16)) / 10**6)


def test_a_policy_may_hide_who_served_it(acme: Tenant) -> None:
    ruled(acme, hide_served=True)
    with session(acme) as client:
        assert not [name for name in client.answer.headers if name.lower().startswith("x-tollgate")]
        assert client.answer.headers["x-request-id"]


def test_providers_are_spoken_to_over_tls(tmp_path: Path, django_db_setup: None) -> None:
    authority = Authority(tmp_path)
    context = authority.server("localhost")
    with RealtimeProvider(context) as secure:
        with (
            GatewayProcess({"SSL_CERT_FILE": str(authority.file), "UPSTREAM_ATTEMPTS": "1"}) as trusting,
            voiced_tenant(trusting, secure) as made,
        ):
            with session(made) as client:
                client.respond()
            assert by_endpoint(made, 2)["realtime_response"][0].cost_usd == COST
        assert len(secure.lines) == 1
    with RealtimeProvider(context) as unknown, GatewayProcess() as doubting, voiced_tenant(doubting, unknown) as made:
        with pytest.raises(InvalidStatus) as caught, session(made):
            pass
        error = json.loads(caught.value.response.body or b"")["error"]
        assert error["code"] == "upstream_unavailable"
        assert "certificate" in error["message"]


# --- Other servers ---


def test_sessions_under_a_server_that_knows_nothing_of_us(provider: RealtimeProvider) -> None:
    with GatewayProcess(stock_server=True) as stock, voiced_tenant(stock, provider) as made:
        with session(made) as client:
            client.respond()
        assert by_endpoint(made, 2)["realtime_response"][0].cost_usd == COST


def test_the_console_alone_has_no_websocket(django_db_setup: None) -> None:
    with GatewayProcess(plane="console") as console:
        url = console.url.replace("http", "ws") + "/v1/realtime"
        with pytest.raises(InvalidStatus) as caught, connect(url):
            pass
        assert caught.value.response.status_code == 403
