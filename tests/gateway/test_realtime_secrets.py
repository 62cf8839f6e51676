"""Client secrets: what a service gives to a browser, good for one kind of session here and for nothing else."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings as django_settings
from websockets.exceptions import InvalidStatus

from apps.services.actions import token_revoke
from tests.gateway.realtime import COST, by_endpoint, voiced, voiced_tenant
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import ruled
from tests.support.realtime import RealtimeProvider, session
from tests.support.store import PrivateStore
from tests.support.tenant import ACTOR, Tenant

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "The launch code is 0000.",
    "audio": {"output": {"voice": "marin"}},
}


@pytest.fixture
def provider() -> Iterator[RealtimeProvider]:
    with RealtimeProvider() as made:
        yield made


@pytest.fixture
def acme(acme: Tenant, provider: RealtimeProvider) -> Tenant:
    return voiced(acme, provider)


def ask(acme: Tenant, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return acme.http().post("/v1/realtime/client_secrets", json={"session": SESSION, **body}, headers=headers)


def secret(acme: Tenant, **body: Any) -> str:
    response = ask(acme, **body)
    assert response.status_code == 200, response.text
    value: str = response.json()["value"]
    return value


def refusal(acme: Tenant, value: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught, session(acme, token=value, **options):
        pass
    answer = caught.value.response
    return answer.status_code, json.loads(answer.body or b"")["error"]["code"]


def test_the_official_client_asks_for_one_and_a_browser_opens_its_session(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    made = acme.client().realtime.client_secrets.create(
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind."},
        expires_after={"anchor": "created_at", "seconds": 60},
    )
    assert made.value.startswith("ek_")
    assert 50 <= made.expires_at - time.time() <= 61
    assert (made.session.type, made.session.model) == ("realtime", "gpt-realtime")
    offered: Any = ["realtime", f"openai-insecure-api-key.{made.value}"]
    with session(acme, token="", query="", subprotocols=offered) as client:
        (opened,) = client.heard
        assert opened["session"]["instructions"] == "Be kind."
        client.respond()
    assert made.value not in str(provider.line.headers)
    found = by_endpoint(acme, 3)
    (issued,) = found["realtime_client_secrets"]
    assert (issued.status, issued.cost_usd, issued.model_asked) == (200, None, "gpt-realtime")
    (response,) = found["realtime_response"]
    assert response.cost_usd == COST
    assert response.token_id == acme.token_row.pk
    assert response.service_id == acme.service.pk


def test_a_session_is_opened_as_the_service_wants_it(acme: Tenant, provider: RealtimeProvider) -> None:
    with session(acme, token=secret(acme), query="model=gpt-realtime") as client:
        assert client.heard[0]["session"]["audio"] == {"output": {"voice": "marin"}}
        client.say("session.update", session={"type": "realtime", "instructions": "Sing."})
        assert client.until("session.updated")["session"]["instructions"] == "Sing."
    first, second = provider.line.asked("session.update", 2)
    assert first["session"] == SESSION
    assert second["session"] == {"type": "realtime", "instructions": "Sing."}


def test_several_sessions_may_be_opened_until_it_expires(acme: Tenant) -> None:
    value = secret(acme)
    for _ in range(2):
        with session(acme, token=value, query="") as client:
            client.respond()
    acme_store().delete(*acme_store().keys("tg:ek:*"))
    assert refusal(acme, value) == (401, "invalid_api_key")


def acme_store() -> "redis.Redis":
    client: redis.Redis = redis.Redis.from_url(django_settings.REDIS_URL, decode_responses=True)
    return client


def test_the_store_knows_neither_secret_nor_configuration_and_forgets_in_time(acme: Tenant) -> None:
    value = secret(acme, expires_after={"anchor": "created_at", "seconds": 10})
    store = acme_store()
    keys = store.keys("tg:ek:*")
    assert keys
    for key in keys:
        kept = str(store.get(key))
        assert value not in key + kept
        assert "launch" not in kept
        assert "gpt-realtime" not in kept
    assert min(store.ttl(key) for key in keys) <= 10


def test_it_opens_nothing_else(acme: Tenant) -> None:
    value = secret(acme)
    http = acme.http(authorized=False)
    http.headers["authorization"] = f"Bearer {value}"
    assert http.get("/v1/models").status_code == 401
    assert http.post("/v1/chat/completions", json={"model": "gpt-test", "messages": []}).status_code == 401
    assert http.post("/v1/realtime/client_secrets", json={"session": SESSION}).status_code == 401
    assert refusal(acme, value, query="model=gpt-test") == (400, "invalid_value")


def test_it_is_worth_no_more_than_its_token(acme: Tenant) -> None:
    value = secret(acme)
    ruled(acme, denied_models=["gpt-realtime"])
    eventually(lambda: ask(acme).status_code == 403, what="the policy")
    assert refusal(acme, value) == (403, "model_not_allowed")
    ruled(acme, denied_models=None)
    eventually(lambda: ask(acme).status_code == 200, what="the policy's end")
    with session(acme, token=value) as client:
        token_revoke(token=acme.token_row, actor=ACTOR)
        assert client.ended() == (1008, "invalid_api_key")
    assert refusal(acme, value) == (401, "invalid_api_key")
    assert ask(acme).status_code == 401


def test_whom_it_is_for_is_said_when_it_is_made(acme: Tenant) -> None:
    value = secret(acme, headers={"x-tollgate-tags": "team=voice"})
    with session(
        acme, token=value, headers={"x-tollgate-tags": "team=other", "OpenAI-Safety-Identifier": "ana"}
    ) as client:
        client.respond()
    (response,) = by_endpoint(acme, 3)["realtime_response"]
    assert (response.tags, response.end_user) == (["team=voice"], "ana")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"session": {"type": "realtime"}}, "session.model"),
        ({"session": {"type": "transcription"}}, "session.audio.input.transcription.model"),
        ({"session": None}, "session.model"),
        ({"session": 5}, "session"),
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "never"}}, "expires_after.anchor"),
    ],
)
def test_what_is_asked_wrongly_is_refused(acme: Tenant, body: dict[str, Any], param: str) -> None:
    response = ask(acme, **body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_model_that_is_not_there_has_no_secret(acme: Tenant) -> None:
    response = ask(acme, session={**SESSION, "model": "nobody"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    large = ask(acme, session={**SESSION, "instructions": "x" * 70_000})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")


def test_it_counts_as_a_request(acme: Tenant) -> None:
    ruled(acme, requests_per_minute=2)
    assert [ask(acme).status_code for _ in range(3)] == [200, 200, 429]


def test_a_configuration_that_the_provider_refuses_has_no_session(acme: Tenant, provider: RealtimeProvider) -> None:
    provider.refuses_update = "invalid_voice"
    with session(acme, token=secret(acme)) as client:
        assert client.ended() == (1008, "invalid_value")
    assert [event["type"] for event in client.heard] == ["session.created", "error", "error"]
    assert client.heard[1]["error"]["code"] == "invalid_voice"


def test_a_secret_for_transcribing(acme: Tenant, provider: RealtimeProvider) -> None:
    provider.session = {"object": "realtime.transcription_session", "type": "transcription"}
    config = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-realtime"}}}}
    value = secret(acme, session=config)
    with session(acme, token=value, query="") as client:
        assert client.heard[0]["session"]["audio"] == config["audio"]
        client.say("input_audio_buffer.append", audio="AAAA")
        client.say("input_audio_buffer.commit")
        client.until("conversation.item.input_audio_transcription.completed")
    assert provider.line.path == "/v1/realtime?intent=transcription"
    assert by_endpoint(acme, 3)["realtime_transcription"][0].cost_usd


def test_without_the_store_there_are_none(provider: RealtimeProvider) -> None:
    with (
        PrivateStore() as store,
        GatewayProcess({"REDIS_URL": store.url}) as gateway,
        voiced_tenant(gateway, provider) as acme,
    ):
        value = secret(acme)
        store.kill()
        assert eventually(lambda: (response := ask(acme)).status_code == 503 and response).json()["error"]["code"] == (
            "counters_unavailable"
        )
        assert refusal(acme, value) == (503, "counters_unavailable")
        with session(acme) as client:  # whom nothing limits needs no store
            client.respond()
        store.start()
        eventually(lambda: ask(acme).status_code == 200, what="the store")
        with session(acme, token=value) as client:  # it was kept on disk
            client.respond()
