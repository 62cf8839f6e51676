"""Gateways share what they learn of failing providers: one finds out, all know; one probes, and it is over for all."""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from apps.providers.health import shared
from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider
from tests.support.store import PrivateStore

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

BODY = {"model": "routed", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
COOL = 1.0
NOTICED = 0.7  # seconds within which a gateway has looked at what others told


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateStore]:
    """A store that may be killed, flushed and looked into."""
    with PrivateStore(durable=False) as store:
        yield store


@pytest.fixture(scope="module")
def two(django_db_setup: None, valkey: PrivateStore) -> Iterator[list[GatewayProcess]]:
    """Two gateways with one store, whose cooldowns are short."""
    variables = {"REDIS_URL": valkey.url, "ROUTE_COOLDOWN": str(COOL)}
    with GatewayProcess(variables) as one, GatewayProcess(variables) as other:
        yield [one, other]


@pytest.fixture
def spare() -> Iterator[FakeProvider]:
    """Another provider that serves the same model."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def alone(two: list[GatewayProcess], upstream: FakeProvider) -> "Iterator[Tenant]":
    """The model is served by `upstream` alone."""
    from tests.support.tenant import tenant

    with tenant(two[0], upstream) as made:
        made.add_model("routed")
        yield made


@pytest.fixture
def both(alone: "Tenant", spare: FakeProvider) -> "Tenant":
    """The model is served by `upstream` first, and by `spare`."""
    alone.add_route("routed", spare.url + "/v1", label="spare", priority=200)
    return alone


def ask(tenant: "Tenant", gateway: GatewayProcess, **fields: Any) -> httpx.Response:
    return tenant.http(gateway=gateway).post("/v1/chat/completions", json={**BODY, **fields})


def served(provider: FakeProvider) -> int:
    return len(provider.requests)


def shut(valkey: PrivateStore, tenant: "Tenant") -> shared.Shut | None:
    """What the store says of the tenant's own route."""
    field = shared.field_of(tenant.credential.pk.hex, "routed")
    value = valkey.client.hget(shared.SHUT, field)
    return None if value is None else shared.read(field, str(value))


def open_by(tenant: "Tenant", gateway: GatewayProcess, provider: FakeProvider) -> None:
    """Let the route fail until the gateway asks it last."""
    for _ in range(3):
        provider.fails(500)
        assert ask(tenant, gateway).status_code == 200


def test_what_one_gateway_finds_the_other_knows_within_a_second(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, spare: FakeProvider, valkey: PrivateStore
) -> None:
    one, other = two
    assert ask(both, other).headers["x-tollgate-attempts"] == "1"
    open_by(both, one, upstream)
    found = eventually(lambda: shut(valkey, both), timeout=1, what="the circuit in the store")
    assert found is not None
    assert (found.reason, found.cooldown) == ("failing", COOL)
    before = served(upstream)
    time.sleep(NOTICED)
    assert ask(both, other).headers["x-tollgate-attempts"] == "1"
    assert served(upstream) == before


def test_exactly_one_call_of_all_gateways_is_the_probe(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, spare: FakeProvider
) -> None:
    open_by(both, two[0], upstream)
    time.sleep(NOTICED)
    before = served(upstream)
    answers = threading.Event()
    upstream.sends(
        answers, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", always=True
    )
    stop = threading.Event()
    statuses: list[int] = []

    def call(gateway: GatewayProcess) -> None:
        with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {both.token}"}, timeout=20) as http:
            while not stop.is_set():
                statuses.append(http.post("/v1/chat/completions", json=BODY).status_code)

    callers = [threading.Thread(target=call, args=(gateway,)) for gateway in two for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        eventually(lambda: served(upstream) > before, what="a probe")
        time.sleep(3 * COOL)
        assert served(upstream) == before + 1
    finally:
        stop.set()
        answers.set()
        for caller in callers:
            caller.join()
    assert set(statuses) == {200}
    for gateway in two:
        eventually(
            lambda gateway=gateway: ask(both, gateway).headers["x-tollgate-provider"] and served(upstream) > before + 2,
            what="the route to be asked first again",
        )


def test_a_probe_that_fails_is_followed_by_a_longer_cooldown(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, valkey: PrivateStore
) -> None:
    open_by(both, two[0], upstream)
    upstream.fails(500, always=True)

    def cooled() -> float:
        assert ask(both, two[1]).status_code == 200
        found = shut(valkey, both)
        return 0.0 if found is None else found.cooldown

    eventually(lambda: cooled() >= 4 * COOL, timeout=15, what="the third cooldown")


def test_a_gateway_that_dies_with_the_right_to_probe_leaves_it_to_the_other(
    django_db_setup: None, both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, valkey: PrivateStore
) -> None:
    with GatewayProcess({"REDIS_URL": valkey.url, "ROUTE_COOLDOWN": str(COOL)}) as third:
        open_by(both, third, upstream)
        before = served(upstream)
        upstream.hangs()
        lease = shared.lease(both.credential.pk.hex, "routed")
        eventually(lambda: ask_soon(both, third) and served(upstream) > before, what="the third gateway's probe")
        assert valkey.client.exists(lease)
        third.kill()
    upstream.answers({"choices": []})
    eventually(
        lambda: ask(both, two[1]).status_code == 200 and served(upstream) > before + 1, timeout=15, what="a probe"
    )


def ask_soon(tenant: "Tenant", gateway: GatewayProcess) -> bool:
    """Ask, without waiting for longer than a moment."""
    try:
        tenant.http(gateway=gateway).post("/v1/chat/completions", json=BODY, timeout=0.3)
    except httpx.TimeoutException:
        pass
    return True


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_what_callers_do_wrong_never_counts_against_a_provider(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, valkey: PrivateStore, status: int
) -> None:
    for _ in range(6):
        upstream.fails(status)
        ask(both, two[0])
    assert shut(valkey, both) is None
    assert ask(both, two[0]).headers["x-tollgate-attempts"] == "1"
    assert served(upstream) == 7


def test_a_limit_holds_for_that_model_alone_and_for_as_long_as_the_provider_says(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, spare: FakeProvider, valkey: PrivateStore
) -> None:
    upstream.fails(429, headers={"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2s"})
    assert ask(both, two[0]).status_code == 200
    assert served(spare) == 1
    found = eventually(lambda: shut(valkey, both), timeout=1, what="the limit in the store")
    assert found is not None
    assert found.reason == "limited"
    assert 1 < found.until - time.time() <= 2
    assert ask(both, two[0], model="gpt-test").status_code == 200
    assert (served(upstream), served(spare)) == (2, 1)
    time.sleep(NOTICED)
    assert ask(both, two[1]).status_code == 200
    assert (served(upstream), served(spare)) == (2, 2)
    time.sleep(max(0.0, found.until - time.time()) + 0.1)
    for gateway in two:
        assert ask(both, gateway).status_code == 200
    assert (served(upstream), served(spare)) == (4, 2)


def test_the_only_route_is_asked_though_it_fails_but_once_by_each_call(
    alone: "Tenant", two: list[GatewayProcess], upstream: FakeProvider
) -> None:
    upstream.fails(500, always=True)
    assert ask(alone, two[0]).status_code == 500
    assert served(upstream) == 3
    for calls in (1, 2, 3):
        assert ask(alone, two[0]).status_code == 500
        assert served(upstream) == 3 + calls


def test_an_answer_of_the_only_route_ends_it_for_all(
    alone: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, valkey: PrivateStore
) -> None:
    for _ in range(3):
        upstream.fails(500)
    assert ask(alone, two[0]).status_code == 500
    assert eventually(lambda: shut(valkey, alone), timeout=1, what="the circuit in the store")
    time.sleep(NOTICED)
    assert ask(alone, two[1]).status_code == 200
    eventually(lambda: shut(valkey, alone) is None, timeout=1, what="the circuit to be closed")


def test_a_client_that_leaves_the_probe_does_not_end_it(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider
) -> None:
    open_by(both, two[0], upstream)
    before = served(upstream)
    upstream.hangs()
    eventually(lambda: ask_soon(both, two[0]) and served(upstream) > before, what="the probe that nobody waits for")
    upstream.fails(500, always=True)
    upstream.answers({"choices": []}, always=True)
    eventually(lambda: ask(both, two[0]).status_code == 200 and served(upstream) > before + 1, what="the next probe")


def test_a_credential_that_was_changed_is_asked_again_at_once(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, spare: FakeProvider, valkey: PrivateStore
) -> None:
    from apps.providers.actions import credential_rotate_secret
    from tests.support.tenant import ACTOR

    upstream.fails(401)
    assert ask(both, two[0]).status_code == 200
    for gateway in two:
        eventually(lambda gateway=gateway: ask(both, gateway).headers["x-tollgate-attempts"] == "1", timeout=2)
    before = served(upstream)
    assert ask(both, two[0]).status_code == 200
    assert served(upstream) == before
    credential_rotate_secret(credential=both.credential, secret="sk-new-0123456789abcdef", actor=ACTOR)
    for gateway in two:
        now = served(upstream)
        eventually(lambda gateway=gateway, now=now: ask(both, gateway) and served(upstream) > now, timeout=2)
    assert valkey.client.hget(shared.SHUT, shared.field_of(both.credential.pk.hex, "")) is None


def test_without_the_store_each_gateway_finds_out_and_recovers_by_itself(
    django_db_setup: None, upstream: FakeProvider, spare: FakeProvider
) -> None:
    from tests.support.tenant import tenant

    with (
        PrivateStore(durable=False) as valkey,
        GatewayProcess({"REDIS_URL": valkey.url, "ROUTE_COOLDOWN": str(COOL)}) as gateway,
        GatewayProcess({"REDIS_URL": valkey.url, "ROUTE_COOLDOWN": str(COOL)}) as other,
        tenant(gateway, upstream) as made,
    ):
        made.add_model("routed")
        made.add_route("routed", spare.url + "/v1", label="spare", priority=200)
        valkey.kill()
        open_by(made, gateway, upstream)
        before = served(upstream)
        assert ask(made, gateway).headers["x-tollgate-attempts"] == "1"
        assert served(upstream) == before
        upstream.fails(500)
        eventually(
            lambda: ask(made, gateway).status_code == 200 and served(upstream) == before + 1, what="its own probe"
        )
        assert ask(made, other).status_code == 200
        assert served(upstream) == before + 2  # which knows nothing of it

        valkey.start()  # it has forgotten everything, and is told
        eventually(lambda: shut(valkey, made), what="the circuit in the store that came back")
        time.sleep(NOTICED)
        now = served(upstream)
        assert ask(made, other).status_code == 200
        assert served(upstream) == now


def test_a_store_that_forgets_is_told_again(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, valkey: PrivateStore
) -> None:
    upstream.fails(429, headers={"retry-after": "8"})
    assert ask(both, two[0]).status_code == 200
    assert eventually(lambda: shut(valkey, both), timeout=1)
    time.sleep(1.1)  # seen by both
    valkey.flush()
    assert eventually(lambda: shut(valkey, both), timeout=2, what="the limit in the store")
    before = served(upstream)
    for gateway in two:
        assert ask(both, gateway).status_code == 200
    assert served(upstream) == before


def test_what_another_release_wrote_is_dropped(two: list[GatewayProcess], valkey: PrivateStore) -> None:
    valkey.client.hset(shared.SHUT, "something:else", orjson.dumps({"new": True}).decode())
    valkey.client.incr(shared.TURN)
    eventually(lambda: not valkey.client.hexists(shared.SHUT, "something:else"), timeout=3)


def test_failing_over_under_load_loses_no_call(
    both: "Tenant", two: list[GatewayProcess], upstream: FakeProvider, spare: FakeProvider
) -> None:
    """The first provider fails, recovers and fails again, in every way there is, while eight callers never rest."""
    stop = threading.Event()
    statuses: list[int] = []

    def call(gateway: GatewayProcess) -> None:
        with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {both.token}"}, timeout=20) as http:
            while not stop.is_set():
                statuses.append(http.post("/v1/chat/completions", json=BODY).status_code)

    callers = [threading.Thread(target=call, args=(gateway,)) for gateway in two for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for turn in range(6):
            time.sleep(0.7)
            match turn % 3:
                case 0:
                    upstream.fails(503, always=True)
                case 1:
                    upstream.answers("<html>", headers={"content-type": "text/html"}, status=502, always=True)
                case _:
                    upstream.answers({"choices": []}, always=True)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert set(statuses) == {200}
    assert served(spare) > 0
    both.records(len(statuses), timeout=20)
