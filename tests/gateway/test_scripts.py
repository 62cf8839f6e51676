"""The store's scripts against a plain model of them: whatever happens in whatever order, the counters say what is true.

Calls are admitted, hold more, are settled, settled twice, lost with their gateway with and without a record, released, charged
later; windows end, the store forgets everything or is restarted, budgets are built anew while calls go on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.policies.counters import keys, scripts
from apps.policies.counters.plan import BudgetRule, Counted, Place, Request, request
from apps.policies.counters.scripts import Script
from tests.support.store import PrivateStore

DAY = 86_400
UNIT = 60_000
ORGANIZATION = "0" * 32
TOKENS = ("a" * 32, "b" * 32)
LIVING, DEAD, ENDED = "living", "dead", "ended"

STEPS = (
    "admit", "admit", "admit", "more", "settle", "settle", "settle_again", "die_recorded", "die_unrecorded", "record", "hold_again",
    "expire", "expire_unknown", "charge", "release", "turn", "flush", "restart", "rebuild", "rebuild", "rebuild_all",
)  # fmt: skip


@pytest.fixture(scope="module")
def valkey() -> Iterator[PrivateStore]:
    """A store of these tests' own."""
    with PrivateStore(durable=False) as store:
        yield store


def rule(number: int, limit: int, window: str, token: int | None, *, days: int | None = None) -> BudgetRule:
    return BudgetRule(
        id=UUID(int=number),
        scope="organization" if token is None else "token",
        subject="-",
        subject_id=None,
        holder="",
        end_user="",
        tag="",
        window=window,
        rolling_days=days,
        timezone="UTC",
        limit_nano=limit,
        blocks=True,
    )


@dataclass(slots=True)
class Call:
    """One call: what it took, what became of it."""

    id: str
    request: Request
    amount: int
    tokens: int
    windows: dict[str, int]  # of its budgets, by key
    held_in: set[str]  # the budgets that count its hold
    holds: bool = True  # in tg:hold
    expired: bool = False  # in tg:expired
    gateway: str = LIVING
    cost: int | None = None  # as recorded in the ledger
    charged: frozenset[str] = frozenset()  # the budgets whose counters have its cost


class World:
    """The store, and what should be in it."""

    def __init__(self, store: PrivateStore, limits: list[int], room: list[int]) -> None:
        self.client: Any = store.client
        self.client.flushall()
        self.run = "run-0"
        self.day = 20_000
        self.began = time.monotonic()
        self.calls: list[Call] = []
        self.exceeds = False  # something was charged after its hold had been given back
        shared = Place("organization", ORGANIZATION, limits[0], limits[1] * 10, limits[2])
        self.places = [(shared, Place("token", token, limits[3], None, limits[4])) for token in TOKENS]
        org = [rule(1, room[0] * 10, "day", None), rule(2, room[1] * 10, "rolling", None, days=3)]
        self.rules = [(*org, rule(10 + number, room[2 + number] * 10, "total", number)) for number in range(2)]
        # What is in the store, by key. Levels of buckets in requests and tokens, as if nothing ever came back by time.
        self.levels: dict[str, list[int]] = {}
        self.built: dict[str, int] = {}  # budget → window

    # --- The store ---

    def eval(self, script: Script, names: list[str], args: list[Any]) -> Any:
        return self.client.eval(script.source, len(names), *names, *map(str, args))

    def asked(self, who: int, day: int | None = None) -> Request:
        at = (self.day if day is None else day) * DAY + 100
        return request(ORGANIZATION, TOKENS[who], self.places[who], self.rules[who], at=at)

    @property
    def counted(self) -> dict[str, Counted]:
        return {each.key: each for who in range(2) for each in self.asked(who).budgets}

    # --- What should be ---

    def is_current(self, each: Counted, window: int) -> bool:
        """Whether what was spent in that window counts in the one that the store has."""
        now = self.built[each.key]
        days = each.rule.rolling_days
        return window > now - days if days else window == now

    def spent(self, each: Counted) -> int:
        return sum(
            call.cost or 0
            for call in self.calls
            if each.key in call.charged and self.is_current(each, call.windows[each.key])
        )

    def held(self, each: Counted) -> int:
        return sum(
            call.amount
            for call in self.calls
            if call.holds
            and each.key in call.held_in
            and (each.rule.rolling_days or call.windows[each.key] == self.built[each.key])
        )

    def running(self, key: str) -> int:
        return sum(1 for call in self.calls if call.holds and key in call.request.admit_keys)

    def in_ledger(self, each: Counted) -> dict[int, int]:
        """By window, what the ledger has of a budget."""
        found: dict[int, int] = {}
        for call in self.calls:
            if call.cost is not None and each.key in call.windows:
                window = call.windows[each.key]
                found[window] = found.get(window, 0) + call.cost
        days = each.rule.rolling_days
        return {
            w: usd for w, usd in found.items() if (each.window - days < w <= each.window if days else w == each.window)
        }

    def check(self) -> None:
        """The store has what it should have."""
        for key, each in self.counted.items():
            kept = self.client.hgetall(key)
            if key not in self.built:
                assert kept.get("e") != self.run
                continue
            numbers = (int(kept["s"]), int(kept["h"]))
            assert numbers == (self.spent(each), self.held(each)), key
            assert min(numbers) >= 0
            if each.rule.rolling_days:
                assert sum(int(value) for name, value in kept.items() if name[0] == "d") == numbers[0]
            if not self.exceeds:
                assert sum(numbers) <= each.rule.limit_nano, key
        for key in {each for who in range(2) for each in self.asked(who).admit_keys[2:4]}:
            assert int(self.client.hget(key, "c") or 0) == self.running(key)
        assert set(self.client.hkeys(keys.HOLD)) == {call.id for call in self.calls if call.holds}
        assert set(self.client.hkeys(keys.EXPIRED)) == {call.id for call in self.calls if call.expired}

    # --- What happens ---

    def admit(self, who: int, amount: int, tokens: int, *, late: bool = False) -> Call | None:
        asked = self.asked(who, self.day - 1 if late else None)
        id_ = f"{len(self.calls):032x}"
        said = self.eval(
            scripts.ADMIT, [*asked.admit_keys], [*asked.admit_args, id_, 10**7, amount, amount, tokens, self.run]
        )
        refused = self.refusal(asked, amount, tokens)
        if refused is not None:
            assert said[:3] == [0, *refused]
            return None
        unbuilt = [number for number, each in enumerate(asked.budgets, 1) if each.key not in self.built]
        if unbuilt:
            assert said == [2, *unbuilt]
            return None
        assert said[0] == 1
        held_in = {each.key for each in asked.budgets if each.rule.rolling_days or self.built[each.key] == each.window}
        for place, key in zip(asked.places, asked.admit_keys[2:], strict=False):
            level = self.levels.setdefault(key, [place.requests or 0, place.tokens or 0])
            level[0], level[1] = level[0] - 1, min(level[1], place.tokens or 0) - tokens
        call = Call(id_, asked, amount, tokens, {each.key: each.window for each in asked.budgets}, held_in)
        self.calls.append(call)
        return call

    def refusal(self, asked: Request, amount: int, tokens: int) -> list[Any] | None:
        # A question turns the windows of what it asks even where it is refused.
        for each in asked.budgets:
            if each.key in self.built:
                self.built[each.key] = max(self.built[each.key], each.window)
        for number, (place, key) in enumerate(zip(asked.places, asked.admit_keys[2:], strict=False), 1):
            requests, left = self.levels.get(key, [place.requests or 0, place.tokens or 0])
            left = min(left, place.tokens or 0)
            if place.requests is not None and requests < 1:
                return ["requests", number]
            if place.tokens is not None and (left < tokens or left <= 0):
                return ["tokens", number]
            if place.concurrency is not None and self.running(key) >= place.concurrency:
                return ["concurrency", number]
        for number, each in enumerate(asked.budgets, 1):
            there = self.spent(each) + self.held(each) if each.key in self.built else 0
            if there + amount > each.rule.limit_nano or each.rule.limit_nano == 0:
                return ["budget", number]
        return None

    def hold_more(self, call: Call, amount: int) -> None:
        """Another attempt is to follow one that was charged."""
        asked = call.request
        args = [call.id, amount, amount, self.run, *asked.more_args]
        said = self.eval(scripts.HOLD_MORE, asked.more_keys, args)
        here = [
            each
            for each in asked.budgets
            if each.key in call.held_in and each.key in self.built
            if each.rule.rolling_days or call.windows[each.key] == self.built[each.key]
        ]
        is_known = call.holds and all(each.key in self.built for each in asked.budgets)
        has_room = all(self.spent(each) + self.held(each) + amount <= each.rule.limit_nano for each in here)
        assert said == int(is_known and has_room)
        if said:
            call.amount += amount

    def settle(self, call: Call, cost: int, used: int, *, again: bool = False) -> None:
        call.cost = cost = cost if call.cost is None else call.cost
        names, args = [*call.request.settle_keys], [*call.request.settle_args]
        said = self.eval(scripts.SETTLE, names, [*args, call.id, cost, call.tokens, used, self.run, int(again)])
        assert said == 1
        for place, key in zip(call.request.places, call.request.admit_keys[2:], strict=False):
            if key in self.levels and place.tokens is not None:
                self.levels[key][1] += call.tokens - used
        self.charge_counters(call)
        call.holds = call.expired = False
        call.gateway = ENDED

    def charge_counters(self, call: Call) -> None:
        """Its cost goes to those of its budgets that are built, and have not got it from the ledger."""
        keys_ = frozenset(key for key in call.windows if key in self.built and key not in call.charged)
        call.charged |= keys_

    def settle_twice(self, call: Call) -> None:
        names, args = [*call.request.settle_keys], [*call.request.settle_args]
        said = self.eval(scripts.SETTLE, names, [*args, call.id, call.cost or 0, call.tokens, 0, self.run, 1])
        assert said == 0

    def expire(self, call: Call, cost: int, *, any_lease: int = 0) -> None:
        where = [keys.LEASE, keys.HOLD, keys.EXPIRED]
        assert self.eval(scripts.EXPIRE, where, [self.run, 1, call.id, cost]) == []  # its lease is not over
        self.client.zadd(keys.LEASE, {call.id: 1})
        assert self.eval(scripts.EXPIRE, where, [self.run, 1 - any_lease, call.id, cost]) == [call.id]
        call.holds = False
        if cost >= 0:
            self.charge_counters(call)
        else:
            call.expired = True

    def charge(self, call: Call) -> None:
        """Its record has come after all; or it never will."""
        cost = -1 if call.cost is None else call.cost
        assert self.eval(scripts.SPEND_EXPIRED, [keys.EXPIRED], [call.id, cost, self.run]) == 1
        call.expired = False
        if cost > 0:
            self.charge_counters(call)

    def flush(self) -> None:
        self.client.flushall()
        self.levels.clear()
        self.built.clear()
        for call in self.calls:
            call.charged = frozenset()
            call.expired = False
            if call.gateway == DEAD:
                call.holds = False
        self.hold_again()

    def restart(self) -> None:
        """With what is on its disk: only its run is another."""
        self.run = f"run-{int(self.run[4:]) + 1}"
        self.built.clear()
        for call in self.calls:
            call.charged = frozenset()
        self.hold_again()

    def hold_again(self, *, unrecorded: bool = False) -> None:
        """The living put back what they hold: what the store has lost, or has taken for expired."""
        for call in self.calls:
            if call.gateway == LIVING and (call.cost is None or not unrecorded):
                taken = f"{call.amount};{call.request.blob}"
                self.eval(scripts.HOLD_AGAIN, [keys.LEASE, keys.HOLD, keys.EXPIRED], [10**7, call.id, taken])
                if not call.holds:
                    call.held_in = set(call.windows)
                call.holds, call.expired = True, False

    def rebuild(self, between: int, *, again: bool) -> None:
        counted = self.counted
        name = "a-rebuild"
        where = [keys.REBUILD, keys.PROCS, keys.SINCE, *counted]
        said = self.eval(scripts.REBUILD_BEGIN, where, [name, self.run, int(again)])
        expected = [n for n, key in enumerate(counted, 1) if again or key not in self.built]
        assert said[1:] == [len(expected), *expected]
        mine = [list(counted.values())[number - 1] for number in expected]
        for each in mine:
            self.built.pop(each.key, None)
            for call in self.calls:
                call.charged -= {each.key}
        if mine:
            assert self.admit(0, 10, 10) is None or not self.asked(0).budgets
        snapshot = {each.key: self.in_ledger(each) for each in mine}
        recorded = {call.id for call in self.calls if call.cost is not None}
        late = []
        for number, call in enumerate([call for call in self.calls if call.gateway == LIVING]):
            if between >> number & 1:  # it ends now: recorded after the ledger was read
                self.settle(call, call.amount // 2, call.tokens)
                late.append(call)
        for each in mine:
            self.end(each, name, snapshot[each.key], recorded, set())
        for each in mine:
            self.built[each.key] = each.window
            for call in self.calls:
                if each.key in call.windows and call.cost is not None and (call.id in recorded or call in late):
                    call.charged |= {each.key}
                if call.id in recorded:
                    call.held_in -= {each.key}
        self.client.hdel(keys.REBUILD, name)

    def end(self, each: Counted, name: str, sums: dict[int, int], recorded: set[str], asked: set[str]) -> None:
        days = sums if each.rule.rolling_days else {}
        args = [name, self.run, each.window, each.rule.rolling_days or 0, sum(sums.values()), 600, len(days)]
        args += [part for pair in days.items() for part in pair]
        args += [part for id_ in sorted(asked) for part in (id_, int(id_ in recorded))]
        said = self.eval(scripts.REBUILD_END, [each.key, keys.HOLD, keys.EXPIRED], args)
        if said[0] == 2:
            assert not set(said[1:]) & asked
            self.end(each, name, sums, recorded, asked | set(said[1:]))
            return
        assert said == [1]

    # --- One step of a story ---

    def step(self, what: str, a: int, b: int) -> None:
        def one(*wanted: bool) -> Call | None:
            found = [call for call, fits in zip(self.calls, wanted, strict=True) if fits]
            return found[a % len(found)] if found else None

        living = [call.gateway == LIVING for call in self.calls]
        match what:
            case "admit":
                self.admit(a % 2, 10 * (1 + b % 4), 10 * (1 + a % 3), late=b % 7 == 6)
            case "more" if call := one(*(each.gateway == LIVING and each.cost is None for each in self.calls)):
                self.hold_more(call, 10 * (1 + b % 4))
            case "settle" if call := one(*living):
                self.settle(call, call.amount * (b % 11) // 10, call.tokens // 10 * (b % 13))
            case "settle_again" if call := one(*(each.gateway == ENDED for each in self.calls)):
                self.settle_twice(call)
            case "die_recorded" if call := one(*(each.gateway == LIVING and each.holds for each in self.calls)):
                call.gateway = DEAD
                call.cost = call.amount * (b % 11) // 10 if call.cost is None else call.cost
            case "record" if call := one(*living):  # its settlement is on its way
                call.cost = call.amount * (b % 11) // 10 if call.cost is None else call.cost
            case "hold_again":
                self.hold_again(unrecorded=True)
            case "die_unrecorded" if call := one(*living):
                call.gateway = DEAD
            case "expire" if call := one(*(each.gateway == DEAD and each.holds for each in self.calls)):
                self.expire(call, -1 if call.cost is None else call.cost)
            case "expire_unknown" if call := one(*(each.gateway == DEAD and each.holds for each in self.calls)):
                self.expire(call, -1)
                self.exceeds = self.exceeds or call.cost is not None
            case "charge" if call := one(*(each.expired and each.gateway == DEAD for each in self.calls)):
                self.charge(call)
            case "release" if call := one(*(each.gateway == LIVING and each.holds for each in self.calls)):
                self.expire(call, -1, any_lease=1)
                self.exceeds = True
            case "turn":
                self.day += 1
            case "flush":
                self.flush()
            case "restart":
                self.restart()
            case "rebuild" | "rebuild_all":
                self.rebuild(b, again=what == "rebuild_all")
        self.check()


@settings(max_examples=200, deadline=None)
@given(
    limits=st.lists(st.sampled_from([15, 15, 15, 5, 2, 0]), min_size=5, max_size=5),
    room=st.lists(st.sampled_from([30, 30, 30, 8, 3, 0]), min_size=4, max_size=4),
    story=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99), st.integers(0, 99)), min_size=10, max_size=60),
)
@example(
    limits=[15] * 5, room=[30] * 4, story=[("admit", 0, 0), ("record", 0, 5), ("rebuild_all", 0, 0), ("settle", 0, 0)]
)
@example(limits=[15] * 5, room=[30] * 4, story=[("admit", 0, 0), ("release", 0, 0), ("hold_again", 0, 0)])
def test_the_counters_say_what_is_true_whatever_happens(
    valkey: PrivateStore, limits: list[int], room: list[int], story: list[tuple[str, int, int]]
) -> None:
    world = World(valkey, limits, room)
    world.rebuild(0, again=False)
    for what, a, b in story:
        world.step(what, a, b)
    # Whatever it was, the ledger puts it right.
    world.rebuild(0, again=True)
    world.check()


def test_near_its_limit_a_budget_asks_for_the_worst_that_a_call_can_cost(valkey: PrivateStore) -> None:
    world = World(valkey, [100] * 5, [10, 30, 30, 30])  # the first budget's limit is 100
    world.rebuild(0, again=False)
    asked = world.asked(0)

    def admit(id_: str, amount: int, worst: int) -> list[Any]:
        args = [*asked.admit_args, id_, 10**7, amount, worst, 10, world.run]
        found: list[Any] = world.eval(scripts.ADMIT, [*asked.admit_keys], args)
        return found[:3] if found[0] == 0 else found[:1]

    assert admit("a", 80, 80) == [1]
    assert admit("b", 5, 20) == [1]
    assert admit("c", 5, 20) == [1]
    assert admit("d", 5, 20) == [0, "budget", 1]  # above 90 in a hundred
    assert admit("e", 5, 5) == [1]
    more = [*asked.more_keys], ["b", 1, 6, world.run, *asked.more_args]
    assert world.eval(scripts.HOLD_MORE, *more) == 0
    assert world.eval(scripts.SETTLE, [*asked.settle_keys], [*asked.settle_args, "a", 0, 10, 10, world.run, 0]) == 1
    assert world.eval(scripts.HOLD_MORE, *more) == 1
