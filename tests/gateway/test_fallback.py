"""After refusals that a policy names, the next route is tried; what an attempt told that it used is charged, also to budgets."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support import bodies, messages
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, EACH, budget, priced, ruled, settled
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant, tenant

TOO_LONG = ("context_length_exceeded", "Your input exceeds the context window of this model.")
BARRED = ("content_filter", "The prompt was filtered.")
UNSAID: dict[str, Any] = {
    "choices": [{"index": 0, "finish_reason": "content_filter", "message": {"role": "assistant"}}]
}


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess() as process:
        yield process


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider that serves the same model."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def acme(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    with tenant(patient, upstream) as made:
        yield made


@pytest.fixture
def both(acme: Tenant, spare: FakeProvider) -> Tenant:
    """gpt-test is served by `upstream` first, and by `spare`."""
    acme.add_route("gpt-test", spare.url + "/v1", label="spare", priority=200)
    return acme


def ask(made: Tenant, **fields: Any) -> httpx.Response:
    return made.http().post("/v1/chat/completions", json={**BODY, **fields})


def refuses(provider: FakeProvider, refusal: tuple[str, str]) -> None:
    code, sentence = refusal
    provider.fails(400, sentence, code=code, kind="invalid_request_error")


def served(provider: FakeProvider) -> int:
    return len(provider.requests)


def ruled_at_once(made: Tenant, upstream: FakeProvider, *reasons: str) -> None:
    """The policy holds when this returns, and nothing has been asked."""
    ruled(made, fallback_on=list(reasons))

    def holds() -> bool:
        refuses(upstream, BARRED if "content_filter" in reasons else TOO_LONG)
        return ask(made).status_code == 200

    eventually(holds, what="the policy")
    upstream.reset()
    made.records(1)


@pytest.mark.parametrize(("reason", "refusal"), [("content_filter", BARRED), ("context_length", TOO_LONG)])
def test_after_a_refusal_that_the_policy_names_the_next_route_answers(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider, reason: str, refusal: tuple[str, str]
) -> None:
    ruled_at_once(both, upstream, reason)
    before = served(spare)
    refuses(upstream, refusal)
    response = ask(both)
    assert response.status_code == 200
    assert response.headers["x-tollgate-attempts"] == "2"
    assert (served(upstream), served(spare)) == (1, before + 1)
    record = both.record(response.headers["x-request-id"])
    assert [attempt["error_code"] for attempt in record.attempts] == [refusal[0], ""]
    assert record.error_code == ""


@pytest.mark.parametrize("refusal", [BARRED, TOO_LONG])
def test_without_a_policy_such_a_refusal_is_the_answer(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider, refusal: tuple[str, str]
) -> None:
    refuses(upstream, refusal)
    response = ask(both)
    assert (response.status_code, response.json()["error"]["code"]) == (400, refusal[0])
    assert served(spare) == 0


def test_a_refusal_that_the_policy_does_not_name_is_the_answer(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    ruled_at_once(both, upstream, "content_filter")
    before = served(spare)
    refuses(upstream, TOO_LONG)
    assert ask(both).json()["error"]["code"] == TOO_LONG[0]
    upstream.fails(400, "Invalid value for 'temperature'", code="invalid_value")
    assert ask(both).json()["error"]["code"] == "invalid_value"
    assert served(spare) == before


def test_where_every_route_refuses_the_last_refusal_is_the_answer_and_none_is_asked_twice(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    ruled_at_once(both, upstream, "content_filter")
    before = served(spare)
    refuses(upstream, BARRED)
    refuses(spare, ("content_filter", "The other one filtered it as well."))
    response = ask(both)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "The other one filtered it as well."
    assert (served(upstream), served(spare)) == (1, before + 1)


def test_such_refusals_are_never_held_against_a_route(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    ruled_at_once(both, upstream, "context_length")
    for _ in range(5):
        refuses(upstream, TOO_LONG)
        assert ask(both).headers["x-tollgate-attempts"] == "2"
    assert ask(both).headers["x-tollgate-attempts"] == "1"
    assert served(upstream) == 6


def test_an_answer_that_says_nothing_is_charged_and_the_next_route_asked(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    priced(both)
    held = budget(both, "0.01")
    ruled_at_once(both, upstream, "content_filter")
    begun = settled(held).spent_usd
    upstream.answers({**UNSAID, "model": "gpt-test", "usage": bodies.USAGE})
    response = ask(both)
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    record = both.record(response.headers["x-request-id"])
    first, last = record.attempts
    assert (first["status"], first["error_code"]) == (200, "content_filter")
    assert first["usage"]["input_tokens"] == bodies.USAGE["prompt_tokens"]
    assert Decimal(first["cost_usd"]) == EACH
    assert first["price_ids"] == [key.hex for key in record.price_ids]
    assert "cost_usd" not in last
    assert record.cost_usd == 2 * EACH
    assert response.headers["x-tollgate-cost-usd"] == f"{2 * EACH:.12f}"
    eventually(lambda: settled(held).spent_usd == begun + 2 * EACH, what="both to be charged")


def test_an_answer_that_says_nothing_is_the_answer_where_nothing_else_is_left(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    priced(both)
    ruled_at_once(both, upstream, "content_filter")
    for provider in (upstream, spare):
        provider.answers({**UNSAID, "model": "gpt-test", "usage": bodies.USAGE})
    response = ask(both)
    assert response.status_code == 200
    assert response.json()["choices"][0]["finish_reason"] == "content_filter"
    record = both.record(response.headers["x-request-id"])
    assert (record.status, record.error_code, record.cost_usd) == (200, "", 2 * EACH)


def test_a_stream_that_says_nothing_begins_anew_elsewhere(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    ruled_at_once(both, upstream, "content_filter")
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}}]}
    chunk["choices"][0]["finish_reason"] = "content_filter"  # type: ignore[index]  # a plain JSON value
    for provider in (upstream, spare):
        provider.streams_raw([bodies.event(chunk), b"data: [DONE]\n\n"])
    refused = ask(both, stream=True)
    assert '"finish_reason":"content_filter"' in refused.text.replace(": ", ":")
    assert refused.headers["content-type"].startswith("text/event-stream")
    assert refused.text.endswith("data: [DONE]\n\n")
    assert refused.headers["x-tollgate-attempts"] == "2"
    upstream.streams_raw([bodies.event(chunk), b"data: [DONE]\n\n"])
    answered = ask(both, stream=True)
    assert '"content":"Hel' in answered.text.replace(": ", ":")
    assert answered.headers["x-tollgate-attempts"] == "2"


def test_a_stream_that_is_an_error_from_its_beginning_is_charged_for_what_it_told(
    acme: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    for label, provider in (("first", upstream), ("second", spare)):
        acme.add_route("claude", provider.url, provider="anthropic", label=label)
    from apps.providers.prices.actions import price_set
    from tests.support.governed import LONG_AGO
    from tests.support.tenant import ACTOR

    price_set(
        organization=acme.organization,
        provider="anthropic",
        model="claude",
        prices={"input": Decimal(100), "output": Decimal(1000)},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    upstream.streams_raw([messages.start() + messages.named(messages.error("overloaded_error", "Overloaded"))])
    spare.streams_raw([messages.start() + b"".join([*messages.text_block("Hello"), *messages.end()])])
    body = {"model": "claude", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    response = acme.http().post("/v1/messages", json=body)
    assert "message_stop" in response.text
    record = acme.record(response.headers["x-request-id"])
    first, _last = record.attempts
    assert (first["status"], first["error_code"]) == (529, "overloaded_error")
    assert first["usage"] == {"input_tokens": 9, "output_tokens": 1, "cache_read_tokens": 0, "cache_write_5m_tokens": 0}
    assert Decimal(first["cost_usd"]) == Decimal("0.0019")
    assert record.cost_usd == Decimal("0.0019") + Decimal("0.0009") + Decimal(record.output_tokens) / 1000
    assert run_recompute() == 0


def run_recompute() -> int:
    """How many amounts of today's records do not come out again."""
    from datetime import timedelta

    from django.utils.timezone import now

    from apps.policies.record_stream import fetch_rows, record_stream
    from apps.providers.prices.recompute import NamedSheets, Totals, compare

    found = compare(record_stream(now() - timedelta(hours=1), now()), NamedSheets(fetch_rows), Totals())
    return len(list(found))


def test_an_attempt_that_told_nothing_costs_nothing(both: Tenant, upstream: FakeProvider) -> None:
    priced(both)
    eventually(lambda: ask(both).headers.get("x-tollgate-cost-usd"), what="the price")
    upstream.fails(503)
    response = ask(both)
    record = both.record(response.headers["x-request-id"])
    assert len(record.attempts) == 2
    assert all("usage" not in attempt for attempt in record.attempts)
    assert record.cost_usd == EACH
