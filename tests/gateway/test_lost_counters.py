"""Budgets and limits outlive what dies, a gateway or the store: nothing is overspent, nothing forgotten."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apps.policies.actions.budgets import Subject
from apps.policies.counters.control import forget_budgets, holds
from apps.policies.models import Budget
from apps.policies.selectors.budgets import budget_states
from tests.support.crowd import Ask, crowd, statuses
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY, EACH, ask, budget, priced, ruled, settled, spent
from tests.support.load import Load
from tests.support.provider import HANG, FakeProvider
from tests.support.store import PrivateStore, read_by_operators
from tests.support.tenant import Tenant, recorded_ids, tenant

LEASE = 2  # seconds


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateStore]:
    """A store that these tests may break."""
    with PrivateStore() as store:
        yield store


@pytest.fixture(scope="module")
def pair(
    django_db_setup: None, valkey: PrivateStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[GatewayProcess]]:
    """Two gateways on it, with one folder for their spools."""
    variables = {
        "REDIS_URL": valkey.url,
        "HOLD_LEASE": str(LEASE),
        "SPOOL_DIR": str(tmp_path_factory.mktemp("spool")),
    }
    with GatewayProcess(variables) as first, GatewayProcess(variables) as second:
        yield [first, second]


@pytest.fixture
def acme(pair: list[GatewayProcess], valkey: PrivateStore, upstream: FakeProvider, settings: Any) -> Iterator[Tenant]:
    """A tenant on these gateways."""
    with read_by_operators(valkey, settings), tenant(pair[0], upstream) as made:
        yield made


@contextmanager
def open_streams(acme: Tenant, gateway: GatewayProcess, count: int) -> Iterator[list[Iterator[str]]]:
    """Calls that have begun to answer, and go on when their provider does."""
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=gateway.url, timeout=30))
        found = []
        for _ in range(count):
            headers = {"authorization": f"Bearer {acme.token}"}
            body = {**BODY, "stream": True}
            reply = stack.enter_context(client.stream("POST", "/v1/chat/completions", json=body, headers=headers))
            assert reply.status_code == 200
            lines = reply.iter_lines()
            assert "Hel" in next(lines)
            found.append(lines)
        yield found


def answer_more(loads: tuple[Load, Load], count: int) -> None:
    """Wait until each has had so many more answers."""
    for enough in [load.has(count) for load in loads]:
        eventually(enough, timeout=20, what="answers")


# --- What the store forgets ---


def _flushed(valkey: PrivateStore, _: Tenant) -> None:
    valkey.flush()


def _restarted(valkey: PrivateStore, _: Tenant) -> None:
    valkey.kill()
    valkey.start()


def _begun_anew(valkey: PrivateStore, _: Tenant) -> None:
    valkey.kill()
    valkey.forget()
    valkey.start()


def _budgets_forgotten(_: PrivateStore, acme: Tenant) -> None:
    assert forget_budgets(acme.organization)  # as after an adjustment


@pytest.mark.parametrize("disturb", [_flushed, _restarted, _begun_anew, _budgets_forgotten])
def test_a_store_that_forgets_under_load_overspends_nothing_and_learns_all_again(
    disturb: Callable[[PrivateStore, Tenant], None],
    acme: Tenant,
    pair: list[GatewayProcess],
    valkey: PrivateStore,
    upstream: FakeProvider,
) -> None:
    priced(acme)
    made = budget(acme, "0.04")  # 400 calls
    token = budget(acme, "0.03", action="alert", subject=Subject("token", token=acme.token_row))
    go_on = threading.Event()
    for _ in range(6):
        upstream.streams("Hel", go_on, "lo")
    with open_streams(acme, pair[0], 3) as some, open_streams(acme, pair[1], 3) as more:
        with Load(pair[0].url, acme.token) as here, Load(pair[1].url, acme.token) as there:
            for _ in range(3):
                answer_more((here, there), 25)
                disturb(valkey, acme)
            since = len(here.refused), len(there.refused)
            eventually(
                lambda: all(load.refused[n:].count(402) > 10 for load, n in zip((here, there), since, strict=True)),
                timeout=20,
                what="the end of the budget",
            )
        assert set(here.refused + there.refused) <= {402, 503}
        assert not here.broken + there.broken
        assert len(here.answered + there.answered) == 394  # all that the open streams leave
        assert len(holds(acme.organization)) == 6
        (state,) = budget_states([made])
        assert (state.spent_usd, state.held_usd) == (394 * EACH, 6 * EACH)
        go_on.set()
        for lines in some + more:
            assert list(lines)[-2] == "data: [DONE]"
    eventually(lambda: spent(acme) == Decimal("0.04"), what="all records")
    assert settled(made).spent_usd == settled(token).spent_usd == Decimal("0.04")
    assert holds(acme.organization) == []


def test_running_calls_keep_their_slots_when_the_store_forgets(
    acme: Tenant, pair: list[GatewayProcess], valkey: PrivateStore, upstream: FakeProvider
) -> None:
    ruled(acme, concurrent_requests=3)
    go_on = threading.Event()
    for _ in range(3):
        upstream.streams("Hel", go_on, "lo")
    with open_streams(acme, pair[0], 3):
        assert ask(acme).status_code == 429
        valkey.flush()
        eventually(lambda: len(holds(acme.organization)) == 3, timeout=3, what="the slots of running calls")
        assert ask(acme).status_code == 429
        go_on.set()
    eventually(lambda: not holds(acme.organization), timeout=3)
    assert statuses(crowd([each.url for each in pair], [Ask(BODY, acme.token)] * 2)) == {200: 2}


def test_no_call_notices_that_the_store_forgot_its_scripts(
    acme: Tenant, pair: list[GatewayProcess], valkey: PrivateStore
) -> None:
    priced(acme)
    made = budget(acme, "1")
    assert ask(acme).status_code == 200
    valkey.client.script_flush()
    assert statuses(crowd([each.url for each in pair], [Ask(BODY, acme.token)] * 40)) == {200: 40}
    assert settled(made).spent_usd == 41 * EACH


# --- A gateway that dies ---


def test_what_a_killed_gateway_held_is_free_within_the_lease_and_what_it_answered_is_counted(
    acme: Tenant, pair: list[GatewayProcess], upstream: FakeProvider
) -> None:
    priced(acme)
    made = budget(acme, "0.03")  # 300 calls
    ruled(acme, concurrent_requests=30)
    for _ in range(10):
        upstream.streams("Hel", HANG)
    survivor, victim = pair
    with open_streams(acme, victim, 10):
        with Load(survivor.url, acme.token) as here, Load(victim.url, acme.token) as there:
            answer_more((there, here), 40)
            victim.kill()
            died = time.monotonic()
            eventually(here.has(20), timeout=5)
        assert len(holds(acme.organization)) >= 10
        eventually(lambda: not holds(acme.organization), timeout=LEASE + 3, what="an end of the dead one's holds")
        assert time.monotonic() - died < LEASE + 3
    try:
        upstream.reset()
        answered = set(here.answered + there.answered)
        eventually(
            lambda: answered <= set(recorded_ids(acme.organization.pk)), timeout=5, what="the dead one's records"
        )
        eventually(lambda: settled(made).spent_usd == spent(acme), timeout=3, what="counters like the ledger")
        # All slots are there again, and no more.
        gate = threading.Event()
        for _ in range(30):
            upstream.streams("Hel", gate, "lo")
        with open_streams(acme, survivor, 30):
            assert ask(acme).status_code == 429
            gate.set()
        left = int((Decimal("0.03") - settled(made).spent_usd) / EACH)
        assert left > 20
        assert statuses(crowd([survivor.url], [Ask(BODY, acme.token)] * 25))[200] == 25
        while ask(acme).status_code == 200:
            pass
        eventually(lambda: spent(acme) == Decimal("0.03"), what="the whole budget's records")
        assert settled(made).spent_usd == Decimal("0.03")
    finally:
        victim.start()


# --- A store that is away ---


@pytest.fixture
def free(pair: list[GatewayProcess], upstream: FakeProvider) -> Iterator[Tenant]:
    """A tenant without limits and budgets."""
    with tenant(pair[0], upstream) as made:
        yield made


def _gone(valkey: PrivateStore) -> None:
    valkey.kill()


def _back(valkey: PrivateStore) -> None:
    valkey.start()


def _silent(valkey: PrivateStore) -> None:
    valkey.halt()


def _speaks(valkey: PrivateStore) -> None:
    valkey.go_on()


@pytest.mark.parametrize(("leave", "come_back"), [(_gone, _back), (_silent, _speaks)])
def test_without_the_store_only_those_wait_who_have_limits_or_budgets(
    leave: Callable[[PrivateStore], None],
    come_back: Callable[[PrivateStore], None],
    acme: Tenant,
    free: Tenant,
    pair: list[GatewayProcess],
    valkey: PrivateStore,
    upstream: FakeProvider,
) -> None:
    priced(acme)
    made = budget(acme, "1")
    with tenant(pair[1], upstream) as lenient:
        priced(lenient)
        open_budget = budget(lenient, "1")
        ruled(lenient, store_failure="open")
        assert {ask(each).status_code for each in (acme, free, lenient)} == {200}
        go_on, go_on_later = threading.Event(), threading.Event()
        upstream.streams("Hel", go_on, "lo")
        with open_streams(acme, pair[0], 1) as (lines,):
            leave(valkey)
            try:
                began = time.monotonic()
                refused = ask(acme)
                assert time.monotonic() - began < 3
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "counters_unavailable")
                assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("1", "1000")
                assert refused.headers["x-should-retry"] == "true"
                began = time.monotonic()
                assert ask(free).status_code == 200
                assert ask(acme).status_code == 503
                assert time.monotonic() - began < 0.5  # it is known by now
                passed = [ask(lenient) for _ in range(5)]
                assert {each.status_code for each in passed} == {200}
                assert lenient.record(passed[0].headers["x-request-id"]).flags == ["counters_unasked"]
                go_on.set()  # what a call has cost meanwhile is not forgotten
                assert list(lines)[-2] == "data: [DONE]"
                upstream.streams("Hel", go_on_later, "lo")
                with open_streams(lenient, pair[1], 1) as (later,):
                    come_back(valkey)
                    eventually(lambda: ask(acme).status_code == 200, timeout=8, what="calls with budgets again")
                    eventually(lambda: ask(lenient).status_code == 200, timeout=8)
                    go_on_later.set()
                    list(later)
            finally:
                if not valkey.answers:
                    come_back(valkey)
        for each, its_budget in ((acme, made), (lenient, open_budget)):

            def agree(each: Tenant = each, its_budget: Budget = its_budget) -> bool:
                return settled(its_budget).spent_usd == spent(each)

            assert ask(each).status_code == 200
            eventually(agree, timeout=5, what="counters like the ledger")
            assert spent(each) > EACH
        assert {record.status for record in free.records()} == {200}


def test_a_budget_that_is_forgotten_while_it_is_built_is_built_again_and_its_call_answered(
    acme: Tenant, valkey: PrivateStore
) -> None:
    priced(acme)
    made = budget(acme, "5")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(ask(acme)))
    asking.start()

    def being_built() -> str | None:
        return next(
            (key for key in valkey.client.scan_iter(f"*{made.pk.hex}*", _type="hash") if valkey.client.hget(key, "r")),
            None,
        )

    key = eventually(being_built)
    assert key is not None
    valkey.client.delete(key)
    asking.join()
    assert answers[0].status_code == 200, answers[0].text
    assert settled(made).spent_usd == EACH
