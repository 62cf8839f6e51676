"""What is kept of a request: every field that an operator can ask for, of answers, streams, refusals and failures."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils.timezone import now

from tests.support import bodies
from tests.support.provider import FakeProvider, closed_port

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

HI: list[Any] = [{"role": "user", "content": "Hi"}]


def test_a_record_says_all_there_is_to_say_of_a_call(acme: "Tenant", upstream: FakeProvider) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
    }
    answer = bodies.completion(model="gpt-test-2026-01-01", usage=usage)
    upstream.answers(answer, headers={"x-request-id": "theirs-1"})
    body = json.dumps({"model": "renamed", "messages": HI, "user": "user-7"}).encode()
    before = now() - timedelta(milliseconds=2)
    reply = acme.http().post(
        "/v1/chat/completions?x=1",
        content=body,
        headers={"user-agent": "a-program/1.0", "x-client-request-id": "client-1"},
    )
    record = acme.record(reply.headers["x-request-id"])

    assert record.shown_id == reply.headers["x-request-id"]
    assert before <= record.created_at <= now()
    assert (record.organization_id, record.service_id) == (acme.organization.pk, acme.service.pk)
    assert (record.token_id, record.credential_id) == (acme.token_row.pk, acme.credential.pk)
    assert (record.endpoint, record.dialect, record.method) == ("chat_completions", "openai", "POST")
    assert record.path == "/v1/chat/completions"  # without its query, which may hold what is nobody's business
    assert (record.model_asked, record.model_served) == ("renamed", "gpt-test-2026-01-01")
    assert record.provider == "openai_compatible"
    assert (record.stream, record.status, record.error_code) == (False, 200, "")
    assert (record.input_tokens, record.cache_read_tokens, record.audio_input_tokens) == (60, 30, 10)
    assert (record.output_tokens, record.reasoning_tokens, record.audio_output_tokens) == (45, 20, 5)
    assert (record.cache_write_5m_tokens, record.cache_write_1h_tokens) == (None, None)
    assert record.usage_estimated is False
    assert (record.bytes_in, record.bytes_out) == (len(body), len(reply.content))
    assert record.first_byte_us is not None
    assert 0 < record.upstream_us <= record.first_byte_us <= record.total_us
    assert abs(record.total_us - record.upstream_us - record.gateway_us) <= 1  # each rounded down
    assert (record.user_agent, record.end_user, record.client_request_id) == ("a-program/1.0", "user-7", "client-1")
    assert record.upstream_request_id == "theirs-1"
    assert str(record.client_address) == "127.0.0.1"
    (attempt,) = record.attempts
    assert attempt["credential_id"] == acme.credential.pk.hex
    assert (attempt["credential"], attempt["provider"]) == ("fake provider", "openai_compatible")
    assert (attempt["model"], attempt["status"], attempt["error_code"]) == ("upstream/other", 200, "")
    assert attempt["upstream_request_id"] == "theirs-1"
    assert attempt["total_us"] > 0


def test_a_streams_record_counts_what_the_client_got(acme: "Tenant", upstream: FakeProvider) -> None:
    with acme.http().stream(
        "POST", "/v1/chat/completions", json={"model": "gpt-test", "messages": HI, "stream": True}
    ) as reply:
        content = reply.read()
    record = acme.record(reply.headers["x-request-id"])
    assert (record.stream, record.status, record.input_tokens, record.output_tokens) == (True, 200, 9, 2)
    assert record.bytes_out == len(content)
    assert record.first_byte_us is not None
    assert record.first_byte_us <= record.total_us


def test_usage_that_nobody_told_is_an_estimate_and_marked_as_one(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.streams("Hel", "lo", " there", usage=None)
    reply = acme.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HI, "stream": True})
    streamed = acme.record(reply.headers["x-request-id"])
    assert streamed.usage_estimated is True
    assert streamed.input_tokens is not None
    assert 3 <= (streamed.output_tokens or 0) <= 10
    upstream.answers({"id": "x", "choices": []})
    reply = acme.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HI})
    assert acme.record(reply.headers["x-request-id"]).usage_estimated is True


def test_a_call_that_reached_no_provider_used_nothing(acme: "Tenant") -> None:
    acme.add_route("gone", closed_port() + "/v1")
    reply = acme.http().post("/v1/chat/completions", json={"model": "gone", "messages": HI})
    record = acme.record(reply.headers["x-request-id"])
    assert (record.status, record.error_code) == (502, "upstream_unavailable")
    assert (record.input_tokens, record.output_tokens, record.usage_estimated) == (None, None, False)


def test_a_refusal_is_recorded_with_whom_it_concerned(acme: "Tenant", upstream: FakeProvider) -> None:
    reply = acme.http().post("/v1/chat/completions", json={"model": "unheard-of", "messages": HI, "user": "user-7"})
    record = acme.record(reply.headers["x-request-id"])
    assert (record.status, record.error_code, record.model_asked) == (404, "model_not_found", "unheard-of")
    assert (record.token_id, record.end_user, record.provider) == (acme.token_row.pk, "user-7", "")
    assert (record.credential_id, record.attempts, record.upstream_us) == (None, [], 0)
    assert record.bytes_out == len(reply.content)
    assert upstream.requests == []


def test_a_list_of_models_is_recorded_too(acme: "Tenant") -> None:
    reply = acme.http().get("/v1/models")
    record = acme.record(reply.headers["x-request-id"])
    assert (record.endpoint, record.method, record.status) == ("models", "GET", 200)
    assert record.bytes_out == len(reply.content)


def test_a_clients_wild_texts_are_kept_tame(acme: "Tenant") -> None:
    body = json.dumps({"model": "gpt-test", "messages": HI, "user": "a\u202eb\n\N{GRINNING FACE}" + "x" * 1000})
    reply = acme.http().post("/v1/chat/completions", content=body, headers={"user-agent": "u" * 5000})
    record = acme.record(reply.headers["x-request-id"])
    assert record.end_user == ("ab\N{GRINNING FACE}" + "x" * 1000)[:255]
    assert record.user_agent == "u" * 300


def test_neither_prompts_nor_answers_nor_secrets_are_recorded(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.answers(bodies.completion("the-answers-text"))
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "the-prompts-text"}]}
    reply = acme.http().post("/v1/chat/completions?key=in-the-query", json=body)
    record = acme.record(reply.headers["x-request-id"])
    kept = str([getattr(record, field.attname) for field in record._meta.concrete_fields])
    for secret in ("the-prompts-text", "the-answers-text", "in-the-query", acme.token, "sk-upstream"):
        assert secret not in kept
        assert secret not in acme.gateway.tail()
