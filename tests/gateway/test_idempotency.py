"""Idempotency-Key: one call upstream and one charge, however often and by however many it is sent."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest
import redis
from django.conf import settings

from apps.services.actions import service_create, token_issue
from tests.support import bodies, contents, messages
from tests.support.crowd import Ask, crowd, statuses
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, EACH, budget, priced, settled
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant

REPLAYED = "x-tollgate-idempotent-replay"


def send(
    tenant: Tenant, key: str, *, token: str = "", path: str = "/v1/chat/completions", **fields: Any
) -> httpx.Response:
    headers = {"idempotency-key": key, "authorization": f"Bearer {token or tenant.token}"}
    return tenant.http(authorized=False).post(path, json={**BODY, **fields}, headers=headers)


@contextlib.contextmanager
def store() -> "Iterator[redis.Redis]":
    """The store that the tests' gateways share."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture
def key() -> str:
    return str(uuid4())


def test_the_same_request_is_answered_again_and_neither_made_nor_charged_again(acme: Tenant, key: str) -> None:
    priced(acme)
    made = budget(acme, "1")
    first, second = send(acme, key), send(acme, key)
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert second.headers["x-tollgate-original-request-id"] == first.headers["x-request-id"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert len(acme.upstream.requests) == 1
    assert settled(made).spent_usd == EACH
    replay = acme.record(second.headers["x-request-id"])
    assert (replay.status, replay.cost_usd, replay.input_tokens) == (200, None, None)
    assert replay.flags == ["idempotent_replay"]
    assert replay.attempts == []


def test_a_stream_is_replayed_to_the_byte(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    upstream.streams("Hel", "lo")
    first = send(acme, key, stream=True)
    second = send(acme, key, stream=True)
    assert first.content == second.content
    assert first.content.endswith(b"data: [DONE]\n\n")
    assert second.headers["content-type"].startswith("text/event-stream")
    assert len(upstream.requests) == 1


def test_a_translated_answer_is_replayed_as_well(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    acme.add_route("claude", upstream.url, provider="anthropic")
    upstream.answers(messages.message())
    first, second = (send(acme, key, model="claude", seed=1) for _ in range(2))
    assert first.content == second.content
    assert second.headers["x-tollgate-dropped"] == "seed"
    assert upstream.next_request().header("idempotency-key") is None
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("other", [{"max_tokens": 6}, {"model": "renamed"}, {"path": "/v1/responses", "input": "Hi"}])
def test_the_same_key_with_another_request_is_refused(acme: Tenant, key: str, other: dict[str, Any]) -> None:
    assert send(acme, key).status_code == 200
    refused = send(acme, key, **other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert refused.headers["x-should-retry"] == "false"
    assert send(acme, str(uuid4()), **other).status_code == 200


def test_one_form_of_a_stream_is_not_given_for_the_other(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    acme.add_route(contents.MODEL, upstream.url, provider="gemini")
    path = f"/v1beta/models/{contents.MODEL}:streamGenerateContent"
    asked: dict[str, Any] = {
        "json": {"contents": [{"parts": [{"text": "Hi"}]}]},
        "headers": {"x-goog-api-key": acme.token, "idempotency-key": key},
    }
    upstream.streams_raw(contents.chunks("Hel", "lo"))
    http = acme.http(authorized=False)
    assert http.post(path, params={"alt": "sse"}, **asked).headers["content-type"].startswith("text/event-stream")
    assert http.post(path, **asked).status_code == 409


def test_official_clients_know_the_refusal(acme: Tenant, key: str) -> None:
    assert send(acme, key).status_code == 200
    with pytest.raises(openai.ConflictError) as caught:
        acme.client().chat.completions.create(
            model="gpt-test", messages=[{"role": "user", "content": "x"}], extra_headers={"idempotency-key": key}
        )
    assert caught.value.code == "idempotency_key_reused"
    client = anthropic.Anthropic(api_key=acme.token, base_url=acme.gateway.url, max_retries=0)
    hello: Any = [{"role": "user", "content": "x"}]
    with client, pytest.raises(anthropic.ConflictError) as raised:
        client.messages.create(model="gpt-test", max_tokens=5, messages=hello, extra_headers={"idempotency-key": key})
    assert raised.value.type == "conflict_error"


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_failure_is_not_kept(acme: Tenant, upstream: FakeProvider, key: str, status: int) -> None:
    upstream.fails(status)
    assert send(acme, key).status_code == status
    assert send(acme, key).status_code == 200
    assert len(upstream.requests) == 2


def test_a_stream_that_breaks_off_is_not_kept(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    upstream.streams_raw([bodies.event(bodies.chunk({"content": "Hel"}))])
    assert b"error" in send(acme, key, stream=True).content
    upstream.streams("Hel", "lo")
    assert send(acme, key, stream=True).content.endswith(b"[DONE]\n\n")


def test_a_hundred_at_once_make_one_call(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    gate = threading.Event()
    upstream.streams_raw([bodies.event(bodies.chunk({"content": "Hi"}, finish="stop")), gate, bodies.event("[DONE]")])
    asks = [Ask({**BODY, "stream": True}, acme.token, {"idempotency-key": key}) for _ in range(100)]
    threading.Timer(0.3, gate.set).start()
    answers = crowd([acme.gateway.url], asks)
    assert statuses(answers) == {200: 100}
    assert len({answer.body for answer in answers}) == 1
    assert len(upstream.requests) == 1
    assert sum("idempotent_replay" in record.flags for record in acme.records(100)) == 99


def test_a_client_that_leaves_finds_its_answer_when_it_comes_again(
    acme: Tenant, upstream: FakeProvider, key: str
) -> None:
    gate = threading.Event()
    upstream.streams_raw([bodies.event(bodies.chunk({"content": "Hi"}, finish="stop")), gate, bodies.event("[DONE]")])
    headers = {"idempotency-key": key}
    with acme.http().stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}, headers=headers) as left:
        next(left.iter_bytes())
    gate.set()
    again = send(acme, key, stream=True)
    assert again.headers[REPLAYED] == "true"
    assert again.content.endswith(b"[DONE]\n\n")
    assert not upstream.hung_up.is_set()
    assert len(upstream.requests) == 1


def test_a_key_is_the_services_and_no_others(acme: Tenant, key: str) -> None:
    _, sibling = acme.issue_token()
    _, stranger = token_issue(
        service=service_create(organization=acme.organization, name="other", actor=ACTOR), name="t", actor=ACTOR
    )
    assert send(acme, key).status_code == 200
    assert REPLAYED in send(acme, key, token=sibling).headers
    assert REPLAYED not in send(acme, key, token=stranger).headers
    sent = [request.header("idempotency-key") for request in acme.upstream.requests]
    assert len(set(sent)) == 2
    assert key not in sent


def test_an_answer_is_kept_for_a_day(acme: Tenant, key: str) -> None:
    assert send(acme, key).status_code == 200
    with store() as client:
        left = [
            client.pttl(name) for name in client.scan_iter("tollgate:idempotency:*") if b'"kept"' in client.get(name)
        ]
    day = 24 * 3600 * 1000
    assert any(day - 60_000 < each <= day for each in left)


def test_two_gateways_make_one_call(acme: Tenant, key: str) -> None:
    with GatewayProcess() as other:
        first = send(acme, key)
        second = httpx.post(
            f"{other.url}/v1/chat/completions",
            json=BODY,
            headers={"idempotency-key": key, "authorization": f"Bearer {acme.token}"},
        )
    assert (second.content, second.headers[REPLAYED]) == (first.content, "true")


def doomed_call(gateway: GatewayProcess, tenant: Tenant, key: str) -> None:
    headers = {"idempotency-key": key, "authorization": f"Bearer {tenant.token}"}
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY, headers=headers)


def test_a_key_whose_gateway_died_is_free_again(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    """The lease is half a minute; the test ends it as time would."""
    upstream.hangs()
    with GatewayProcess() as doomed:
        ask = threading.Thread(target=doomed_call, args=(doomed, acme, key))
        ask.start()
        upstream.next_request()
        doomed.kill()
        ask.join()
    with store() as client:
        (held,) = [name for name in client.scan_iter("tollgate:idempotency:*") if b'"made"' in client.get(name)]
        assert 0 < client.pttl(held) <= 30_000
        client.pexpire(held, 1)
        eventually(lambda: not client.exists(held), what="the end of the lease")
    answer = send(acme, key)
    assert answer.status_code == 200
    assert REPLAYED not in answer.headers


def test_an_answer_too_large_to_be_kept_is_not_made_again(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    upstream.answers(bodies.completion("x" * 1_100_000))
    assert send(acme, key).status_code == 200
    again = send(acme, key)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_answer_not_kept")
    assert len(upstream.requests) == 1


def test_what_is_kept_cannot_be_read_in_the_store(acme: Tenant, upstream: FakeProvider, key: str) -> None:
    upstream.answers(bodies.completion("a very private answer"))
    assert send(acme, key).status_code == 200
    with store() as client:
        kept = [client.get(name) for name in client.scan_iter("tollgate:idempotency:*")]
    assert kept
    assert not any(b"private" in value or key.encode() in value for value in kept if isinstance(value, bytes))


@pytest.mark.parametrize("bad", ["x" * 256, "a b", "ü"])
def test_an_impossible_key_is_refused(acme: Tenant, bad: str) -> None:
    headers = {b"idempotency-key": bad.encode()}
    refused = acme.http().post("/v1/chat/completions", json=BODY, headers=headers)  # type: ignore[arg-type]  # bytes, to send what text could not
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert not acme.upstream.requests
