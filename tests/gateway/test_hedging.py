"""A second route is asked where the first is slow: the first answer counts, the other is closed, both are charged and held."""

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, EACH, budget, priced, ruled, spent
from tests.support.provider import CLOSE, HANG, FakeProvider
from tests.support.tenant import Tenant, tenant

AFTER = 150  # milliseconds
RULES_KNOWN = 1.2  # seconds until every gateway goes by a new route
RECORDED = 0.6  # seconds after which what was asked is in the ledger
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts, and a short first byte timeout."""
    with GatewayProcess({"UPSTREAM_FIRST_BYTE_TIMEOUT": "1.5"}) as process:
        yield process


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider that serves the same model."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def both(patient: GatewayProcess, upstream: FakeProvider, spare: FakeProvider) -> Iterator[Tenant]:
    """gpt-test is served by `upstream` first, and by `spare`; a second route is asked after AFTER milliseconds."""
    with tenant(patient, upstream) as made:
        made.add_route("gpt-test", spare.url + "/v1", label="spare", priority=200)
        ruled(made, hedge_after=AFTER)
        priced(made)

        def holds() -> bool:
            upstream.reset()
            upstream.hangs()
            return ask(made).headers.get("x-tollgate-cost-usd", "") == f"{2 * EACH:.12f}"

        eventually(holds, what="the policy and the price")
        upstream.reset()
        spare.reset()
        yield made


def ask(made: Tenant, **fields: Any) -> httpx.Response:
    return made.http().post("/v1/chat/completions", json={**BODY, **fields})


def served(provider: FakeProvider) -> int:
    return len(provider.requests)


def test_a_quick_answer_is_asked_for_once(both: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    for _ in range(3):
        response = ask(both)
        assert response.headers["x-tollgate-attempts"] == "1"
    assert (served(upstream), served(spare)) == (3, 0)
    assert both.record(response.headers["x-request-id"]).flags == []


@pytest.mark.parametrize("stream", [False, True])
def test_where_the_first_is_slow_the_second_answers_and_both_are_charged(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider, stream: bool
) -> None:
    upstream.hangs()
    begun = time.monotonic()
    response = ask(both, stream=stream)
    assert AFTER / 1000 <= time.monotonic() - begun < 1
    assert response.status_code == 200
    assert "Hel" in response.text
    assert response.headers["x-tollgate-attempts"] == "2"
    assert upstream.hung_up.wait(2)
    record = both.record(response.headers["x-request-id"])
    lost, won = record.attempts
    assert (lost["credential"], lost["error_code"], lost["status"]) == ("fake provider", "hedged", None)
    assert (won["credential"], won["error_code"], won["status"]) == ("spare", "", 200)
    assert lost["usage"]["usage_estimated"] is True
    assert lost["usage"]["input_tokens"] > 0
    assert Decimal(lost["cost_usd"]) == EACH
    assert record.cost_usd == 2 * EACH
    assert record.flags == ["hedged"]
    assert record.credential.label == "spare"


def test_where_the_first_is_slow_but_quicker_than_the_second_it_answers(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    answer = threading.Event()
    body = b'{"choices":[{"message":{"content":"Slow"}}],"usage":{"prompt_tokens":9,"completion_tokens":2}}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    upstream.sends(answer, head + body)
    spare.hangs()
    done: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: done.append(ask(both)))
    caller.start()
    eventually(lambda: served(spare) == 1, timeout=2, what="the second attempt")
    answer.set()
    caller.join()
    (response,) = done
    assert "Slow" in response.text
    assert spare.hung_up.wait(2)
    record = both.record(response.headers["x-request-id"])
    assert [attempt["error_code"] for attempt in record.attempts] == ["hedged", ""]
    assert [attempt["credential"] for attempt in record.attempts] == ["spare", "fake provider"]
    assert record.cost_usd == 2 * EACH


def test_headers_alone_are_no_answer(both: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    upstream.sends(HEAD, HANG)
    response = ask(both, stream=True)
    assert response.headers["x-tollgate-provider"] == "openai_compatible"
    assert "Hel" in response.text
    assert served(spare) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 401])
def test_a_second_attempt_that_fails_leaves_the_first_to_answer(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider, status: int
) -> None:
    answer = threading.Event()
    upstream.sends(
        answer, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n", b'{"choices":[]}'
    )
    spare.fails(status)
    done: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: done.append(ask(both)))
    caller.start()
    eventually(lambda: served(spare) == 1, timeout=2, what="the second attempt")
    time.sleep(0.1)
    answer.set()
    caller.join()
    (response,) = done
    assert response.status_code == 200
    record = both.record(response.headers["x-request-id"])
    assert [attempt["status"] for attempt in record.attempts] == [status, 200]
    assert record.attempts[0]["error_code"] == f"upstream_{status}"
    assert "usage" not in record.attempts[0]
    assert record.cost_usd == EACH


def test_a_first_attempt_that_fails_late_leaves_the_second_to_answer(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    fail, answer = threading.Event(), threading.Event()
    upstream.sends(fail, CLOSE)
    spare.sends(
        answer, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n", b'{"choices":[]}'
    )
    done: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: done.append(ask(both)))
    caller.start()
    eventually(lambda: served(spare) == 1, timeout=2, what="the second attempt")
    fail.set()
    time.sleep(0.1)
    answer.set()
    caller.join()
    (response,) = done
    assert response.status_code == 200
    record = both.record(response.headers["x-request-id"])
    assert [attempt["error_code"] for attempt in record.attempts] == ["upstream_disconnected", ""]
    assert served(upstream) == 1


def test_where_the_second_fails_a_third_is_asked_beside_the_first(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    with FakeProvider() as third:
        both.add_route("gpt-test", third.url + "/v1", label="third", priority=300)
        time.sleep(RULES_KNOWN)
        upstream.hangs()
        spare.fails(503)
        began = time.monotonic()
        response = ask(both)
        assert time.monotonic() - began < 1.2  # before the first is given up
    assert response.status_code == 200
    record = both.record(response.headers["x-request-id"])
    assert [attempt["error_code"] for attempt in record.attempts] == ["hedged", "upstream_503", ""]
    assert record.attempts[-1]["credential"] == "third"
    assert record.flags == ["hedged"]
    assert record.cost_usd == 2 * EACH


def test_where_the_first_fails_the_second_has_its_time_before_a_third_is_asked(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    with FakeProvider() as third:
        both.add_route("gpt-test", third.url + "/v1", label="third", priority=300)
        time.sleep(RULES_KNOWN)
        fail = threading.Event()
        upstream.sends(fail, CLOSE)
        spare.hangs()
        done: list[httpx.Response] = []
        caller = threading.Thread(target=lambda: done.append(ask(both)))
        caller.start()
        eventually(lambda: served(spare) == 1, timeout=2, what="the second attempt")
        fail.set()
        caller.join()
        assert served(third) == 1
    record = both.record(done[0].headers["x-request-id"])
    codes = [attempt["error_code"] for attempt in record.attempts]
    assert codes == ["upstream_disconnected", "hedged", ""]
    first, second, last = record.attempts
    assert last["started_us"] - second["started_us"] >= AFTER * 1000 * 0.9
    assert first["started_us"] < second["started_us"]


def test_where_both_fail_the_call_goes_on_as_any_other(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    fail = threading.Event()
    upstream.sends(fail, CLOSE)
    spare.sends(fail, CLOSE)
    done: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: done.append(ask(both)))
    caller.start()
    eventually(lambda: served(spare) == 1, timeout=2, what="the second attempt")
    fail.set()
    caller.join()
    (response,) = done
    assert response.status_code == 200
    assert response.headers["x-tollgate-attempts"] == "3"
    assert served(upstream) + served(spare) == 3


def test_where_neither_answers_in_time_the_error_is_that_of_the_first_byte(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.hangs(always=True)
    spare.hangs(always=True)
    response = ask(both)
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "upstream_first_byte_timeout"
    record = both.record(response.headers["x-request-id"])
    assert [attempt["error_code"] for attempt in record.attempts] == ["upstream_first_byte_timeout"] * 3


def test_an_error_of_the_callers_is_an_answer(both: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    upstream.hangs()
    spare.fails(400, code="invalid_value")
    response = ask(both)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value")


def test_a_client_that_leaves_closes_both_and_pays_for_both(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.hangs()
    spare.hangs()
    before = len(both.records(1))
    with pytest.raises(httpx.ReadTimeout):
        both.http().post("/v1/chat/completions", json=BODY, timeout=0.6)
    assert upstream.hung_up.wait(2)
    assert spare.hung_up.wait(2)
    record = both.records(before + 1)[-1]
    assert record.status == 499
    assert sorted(attempt["error_code"] for attempt in record.attempts) == ["client_closed", "hedged"]
    assert record.cost_usd == 2 * EACH


def test_a_budget_must_have_room_for_both_attempts(both: Tenant, upstream: FakeProvider, spare: FakeProvider) -> None:
    from apps.policies.actions.budgets import budget_update
    from tests.support.tenant import ACTOR

    time.sleep(RECORDED)
    tight = budget(both, str(round(spent(both) + EACH * 3 / 2, 9)))
    eventually(lambda: ask(both).status_code == 402, what="the budget, which has room for one")
    time.sleep(RECORDED)
    budget_update(budget=tight, limit_usd=round(spent(both) + 2 * EACH, 9), actor=ACTOR)
    upstream.hangs()
    response = eventually(lambda: found if (found := ask(both)).status_code == 200 else None, what="the larger budget")
    assert response is not None
    record = both.record(response.headers["x-request-id"])
    assert record.cost_usd == 2 * EACH
    assert "over_hold" not in record.flags


def test_without_a_second_route_a_slow_one_is_waited_for(both: Tenant, upstream: FakeProvider) -> None:
    answer = threading.Event()
    both.add_model("single")
    eventually(lambda: ask(both, model="single").status_code == 200, what="the model")
    upstream.reset()
    upstream.sends(
        answer, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n", b'{"choices":[]}'
    )
    threading.Timer(0.5, answer.set).start()
    response = ask(both, model="single")
    assert (response.status_code, response.headers["x-tollgate-attempts"]) == (200, "1")


def test_a_route_that_does_not_work_is_not_asked_beside_another(
    both: Tenant, upstream: FakeProvider, spare: FakeProvider
) -> None:
    upstream.hangs()
    spare.fails(429, headers={"retry-after": "30"})
    upstream_answer = threading.Event()
    threading.Timer(0.4, upstream_answer.set).start()
    assert ask(both).status_code in {429, 504, 200}
    spare.reset()
    upstream.reset()
    upstream.sends(
        upstream_answer,
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n",
        b'{"choices":[]}',
    )
    assert ask(both).status_code == 200
    assert served(spare) == 0
