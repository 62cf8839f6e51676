"""Limits on the wire: as many pass as may, over processes; what is refused takes nothing; clients are told when to come again."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import openai
import pytest

from apps.policies.counters.control import holds
from apps.policies.counters.reading import limit_states
from apps.policies.effective import Limit
from tests.support import bodies
from tests.support.crowd import Ask, crowd, statuses
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, ask, ruled
from tests.support.provider import CLOSE, HANG
from tests.support.tenant import Tenant


@pytest.fixture(scope="module")
def second(gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    """Another gateway beside the common one, which takes the end user from a header."""
    with GatewayProcess({"END_USER_HEADER": "x-end-user"}) as process:
        yield process


def remaining(tenant: Tenant, scope: str, kind: str, limit: int) -> int:
    """What the store has left of a limit of the tenant's token, service or organization."""
    subject = {"token": tenant.token_row, "service": tenant.service, "organization": tenant.organization}[scope]
    states = limit_states([Limit(scope, subject.pk.hex, kind, limit, scope, "")])
    assert states is not None
    return states[0].remaining


@contextmanager
def running(tenant: Tenant, *gateways: GatewayProcess) -> Iterator[list[httpx.Response]]:
    """One stream on each of these gateways, begun; the provider says how they go on."""
    with ExitStack() as stack:
        replies = []
        for gateway in gateways:
            client = stack.enter_context(httpx.Client(base_url=gateway.url, timeout=20))
            headers = {"authorization": f"Bearer {tenant.token}"}
            call = client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}, headers=headers)
            reply = stack.enter_context(call)
            assert reply.status_code == 200
            replies.append(reply)
        yield replies


# --- Requests a minute ---


def test_as_many_requests_pass_as_the_limit_says_on_two_processes_together(
    acme: Tenant, second: GatewayProcess
) -> None:
    ruled(acme, requests_per_minute=20)
    answers = crowd([acme.gateway.url, second.url], [Ask(BODY, acme.token)] * 60)
    assert statuses(answers) == {200: 20, 429: 40}
    assert len(acme.upstream.requests) == 20
    refused = next(answer for answer in answers if answer.status == 429)
    error = refused.json["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert (error["scope"], error["kind"], error["limit"]) == ("token", "requests", 20)
    assert "the token's own rules" in error["message"]
    assert error["message"].rstrip(").").endswith(refused.headers["x-request-id"])
    assert "x-should-retry" not in refused.headers


def test_who_waits_as_long_as_told_is_let_through_and_asking_too_early_costs_nothing(acme: Tenant) -> None:
    ruled(acme, requests_per_minute=120)
    crowd([acme.gateway.url], [Ask(BODY, acme.token)] * 120)
    refused = next(found for found in iter(lambda: ask(acme), None) if found.status_code == 429)
    for _ in range(10):
        again = ask(acme)
        if again.status_code == 429:
            assert int(again.headers["retry-after-ms"]) <= int(refused.headers["retry-after-ms"]) <= 500
            refused = again
        else:
            refused = next(found for found in iter(lambda: ask(acme), None) if found.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    threading.Event().wait(int(refused.headers["retry-after-ms"]) / 1000)
    assert ask(acme).status_code == 200


def test_the_official_client_waits_and_succeeds(acme: Tenant) -> None:
    ruled(acme, requests_per_minute=120)
    assert statuses(crowd([acme.gateway.url], [Ask(BODY, acme.token)] * 125))[429]
    client = acme.client(max_retries=4)
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-test", messages=[{"role": "user", "content": "Hi"}]
    )
    assert raw.parse().choices[0].message.content == "Hello"
    assert raw.headers["x-ratelimit-limit-requests"] == "120"
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(10):
            acme.client().chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize("rule", ["requests_per_minute", "tokens_per_minute", "concurrent_requests"])
def test_a_limit_of_0_lets_nothing_pass_and_asks_nobody_to_come_again(acme: Tenant, rule: str) -> None:
    ruled(acme, **{rule: 0})
    refused = ask(acme)
    assert refused.status_code == 429
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert "retry-after-ms" not in refused.headers
    assert not acme.upstream.requests


# --- Tokens a minute ---


def test_tokens_that_were_only_estimated_are_given_back(acme: Tenant) -> None:
    ruled(acme, tokens_per_minute=1000)  # a call takes some 430 until its 11 are known
    assert [ask(acme, max_tokens=400).status_code for _ in range(10)] == [200] * 10
    eventually(lambda: remaining(acme, "token", "tokens", 1000) >= 885, what="what the last one gave back")
    assert remaining(acme, "token", "tokens", 1000) < 930


def test_running_calls_have_the_tokens_that_they_may_need(acme: Tenant) -> None:
    ruled(acme, tokens_per_minute=1000)
    go_on = threading.Event()
    acme.upstream.streams("Hel", go_on, "lo")
    with acme.http().stream("POST", "/v1/chat/completions", json={**BODY, "stream": True, "max_tokens": 700}) as reply:
        assert int(reply.headers["x-ratelimit-remaining-tokens"]) < 300
        refused = ask(acme, max_tokens=400)
        assert refused.status_code == 429
        assert refused.json()["error"]["kind"] == "tokens"
        assert int(refused.headers["retry-after-ms"]) < 60_000
        go_on.set()
        reply.read()
    eventually(lambda: ask(acme, max_tokens=400).status_code == 200, timeout=2)


def test_a_call_that_used_more_than_was_left_delays_the_next(acme: Tenant) -> None:
    ruled(acme, tokens_per_minute=1000)
    usage = {"prompt_tokens": 1000, "completion_tokens": 2000, "total_tokens": 3000}
    acme.upstream.answers(bodies.completion(usage=usage))
    assert ask(acme).status_code == 200
    refused = eventually(lambda: (found := ask(acme)).status_code == 429 and found, timeout=2)
    assert 118 <= int(refused.headers["retry-after"]) <= 125  # 2000 of debt and the call's own, at 1000 a minute
    assert refused.headers["x-ratelimit-remaining-tokens"] == "0"


def test_a_request_larger_than_the_limit_is_told_so(acme: Tenant) -> None:
    ruled(acme, tokens_per_minute=100)
    refused = ask(acme, max_tokens=500)
    assert refused.status_code == 429
    assert refused.headers["x-should-retry"] == "false"
    assert "this request alone counts as about" in refused.json()["error"]["message"]


# --- At once ---


def test_slots_are_shared_by_processes_and_freed_by_every_end_of_a_call(acme: Tenant, second: GatewayProcess) -> None:
    ruled(acme, concurrent_requests=3)

    def is_full() -> bool:
        found = [ask(acme, gateway=gateway) for gateway in (acme.gateway, second)]
        return [(each.status_code, each.headers.get("retry-after")) for each in found] == [(429, "1")] * 2

    def is_free() -> bool:
        return remaining(acme, "token", "concurrency", 3) == 3 and not holds(acme.organization)

    go_on = threading.Event()
    for _ in range(3):
        acme.upstream.streams("Hel", go_on, "lo")
    with running(acme, acme.gateway, second, second) as replies:
        assert is_full()
        go_on.set()
        assert all(reply.read().endswith(b"data: [DONE]\n\n") for reply in replies)
    eventually(is_free, timeout=2, what="slots after streams' ends")

    for _ in range(3):
        acme.upstream.streams("Hel", HANG)
    with running(acme, acme.gateway, second, second):
        assert is_full()
    eventually(is_free, timeout=2, what="slots after clients' leaving")

    for _ in range(3):
        acme.upstream.streams("Hel", CLOSE)
    with running(acme, acme.gateway, second, second) as replies:
        for reply in replies:
            reply.read()
    eventually(is_free, timeout=2, what="slots after streams broke off")

    acme.upstream.fails(500)
    acme.upstream.fails(429)
    acme.upstream.sends(CLOSE)
    assert [ask(acme).status_code for _ in range(4)] == [500, 429, 502, 200]
    eventually(is_free, timeout=2, what="slots after errors of the provider")
    assert statuses(crowd([acme.gateway.url, second.url], [Ask(BODY, acme.token)] * 3)) == {200: 3}


def test_of_many_at_once_no_more_run_than_may(acme: Tenant, second: GatewayProcess) -> None:
    ruled(acme, "organization", concurrent_requests=5)
    go_on = threading.Event()
    acme.upstream.streams("Hel", go_on, "lo", always=True)

    def answer_five() -> None:
        eventually(lambda: len(acme.upstream.requests) >= 5)
        go_on.set()

    provider = threading.Thread(target=answer_five)
    provider.start()
    answers = crowd([acme.gateway.url, second.url], [Ask({**BODY, "stream": True}, acme.token)] * 40)
    provider.join()
    found = statuses(answers)
    assert set(found) == {200, 429}
    assert found[200] >= 5
    assert max(_overlapping(acme)) <= 5


def _overlapping(tenant: Tenant) -> list[int]:
    """How many calls ran upstream while each of them began, by their records."""
    records = [record for record in tenant.records(40) if record.attempts]
    spans = [
        (begun := record.created_at.timestamp() + record.attempts[0]["started_us"] / 1e6,
         begun + record.attempts[0]["total_us"] / 1e6)
        for record in records
    ]  # fmt: skip
    return [sum(1 for begun, ended in spans if begun <= at < ended) for at, _ in spans]


# --- Several places ---


def test_limits_of_several_places_take_all_or_nothing(acme: Tenant, second: GatewayProcess) -> None:
    ruled(acme, "token", requests_per_minute=30, concurrent_requests=40, tokens_per_minute=100_000)
    ruled(acme, "service", requests_per_minute=25)
    ruled(acme, "organization", requests_per_minute=10)
    answers = crowd([acme.gateway.url, second.url], [Ask(BODY, acme.token)] * 60)
    assert statuses(answers) == {200: 10, 429: 50}
    assert {answer.json["error"]["scope"] for answer in answers if answer.status == 429} == {"organization"}
    # Of the others only what passed was taken (and a request or two have come back since).
    assert 20 <= remaining(acme, "token", "requests", 30) <= 24
    assert 15 <= remaining(acme, "service", "requests", 25) <= 19
    assert remaining(acme, "token", "concurrency", 40) == 40
    assert remaining(acme, "token", "tokens", 100_000) >= 100_000 - 10 * 11


def test_the_tokens_of_a_service_share_its_limit(acme: Tenant) -> None:
    ruled(acme, "service", requests_per_minute=6)
    _, other = acme.issue_token()
    answers = crowd([acme.gateway.url], [Ask(BODY, acme.token)] * 6 + [Ask(BODY, other)] * 6)
    assert statuses(answers) == {200: 6, 429: 6}


# --- End users ---


def test_each_end_user_has_limits_of_its_own_whatever_names_it(acme: Tenant, second: GatewayProcess) -> None:
    ruled(acme, "organization", end_user_requests_per_minute=4, requests_per_minute=60)
    asks = {
        "anna": Ask({**BODY, "user": "anna"}, acme.token),
        "bert": Ask({**BODY, "safety_identifier": "bert"}, acme.token),
        "carl": Ask({**BODY, "user": "anna"}, acme.token, {"x-end-user": "carl"}),
    }
    for name, one in asks.items():
        answers = crowd([second.url], [one] * 10)
        assert statuses(answers) == {200: 4, 429: 6}, name
        assert {answer.json["error"]["scope"] for answer in answers if answer.status == 429} == {"end_user"}
    assert statuses(crowd([acme.gateway.url], [asks["anna"]])) == {429: 1}  # the same anna there
    assert statuses(crowd([acme.gateway.url], [asks["carl"]])) == {429: 1}  # where the header says nothing: anna
    assert statuses(crowd([second.url], [Ask(BODY, acme.token)] * 6)) == {
        200: 6
    }  # nobody named: the other limits alone
    assert 60 - 18 <= remaining(acme, "organization", "requests", 60) <= 60 - 14  # refusals took nothing from it


# --- Headers ---


def test_every_answer_tells_how_limits_stand(acme: Tenant) -> None:
    ruled(acme, requests_per_minute=6, tokens_per_minute=10_000)
    ruled(acme, "organization", requests_per_minute=100)
    acme.upstream.fails(500)
    found = [ask(acme), ask(acme), ask(acme, stream=True)]
    found += [ask(acme) for _ in range(4)]
    assert [each.status_code for each in found] == [500, 200, 200, 200, 200, 200, 429]
    names = [
        f"x-ratelimit-{what}-{kind}" for kind in ("requests", "tokens") for what in ("limit", "remaining", "reset")
    ]
    for number, each in enumerate(found):
        assert [name for name in names if name not in each.headers] == []
        assert each.headers["x-ratelimit-limit-requests"] == "6"
        assert each.headers["x-ratelimit-remaining-requests"] == str(max(0, 5 - number))
        assert each.headers["x-ratelimit-limit-tokens"] == "10000"
        assert 9_000 < int(each.headers["x-ratelimit-remaining-tokens"]) < 10_000
    assert _seconds(found[0].headers["x-ratelimit-reset-requests"]) == pytest.approx(10, abs=0.5)
    assert _seconds(found[-1].headers["x-ratelimit-reset-requests"]) == pytest.approx(60, abs=3)


def test_a_providers_own_limit_headers_do_not_pass_for_ours(acme: Tenant) -> None:
    ruled(acme, requests_per_minute=60)
    theirs = {"x-ratelimit-limit-requests": "99999", "x-ratelimit-remaining-tokens": "5"}
    acme.upstream.answers(bodies.completion(), headers=theirs)
    answer = ask(acme)
    assert answer.headers["x-ratelimit-limit-requests"] == "60"
    assert "x-ratelimit-remaining-tokens" not in answer.headers


def _seconds(text: str) -> float:
    """OpenAI's spelling of a time: 12ms, 8.64s, 1m30s."""
    if text.endswith("ms"):
        return float(text[:-2]) / 1000
    minutes, _, rest = text.rpartition("m")
    return int(minutes or 0) * 60 + float(rest[:-1])
