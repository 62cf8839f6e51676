"""Taking from limits and budgets, and settling: one round trip to the store before a call, none awaited after it.

What a running call holds is leased: this process renews its leases while it lives (heart.py), so that a dead one's holds free
themselves. A settlement that the store did not confirm is kept and sent again; the ledger is the truth in any case.
"""

import asyncio
import re
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.core.errors import CountersUnavailable
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.store.connection import StoreAway, StoreRefusal, arguments, command
from apps.gateway.store.store import Store, prepared
from apps.policies.counters import scripts
from apps.policies.counters.plan import Request

log = get_logger(__name__)

_KEPT = 100_000  # settlements kept for a store that is away; more, and the oldest wait for the next rebuild
_BUDGETS = re.compile(rb"(?<=\r\n)tg:b:[^\r]+")  # the budgets' keys in a packed command
_ADMIT_MORE, _SETTLE_MORE = 6, 6  # arguments that differ from call to call


class Packed:
    """A Request's scripts, packed for the wire up to what differs from call to call."""

    __slots__ = ("admit", "request", "settle")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.admit = prepared(scripts.ADMIT, request.admit_keys, request.admit_args, _ADMIT_MORE)
        self.settle = prepared(scripts.SETTLE, request.settle_keys, request.settle_args, _SETTLE_MORE)


@dataclass(slots=True)
class Taken:
    """What a running call has taken."""

    packed: Packed
    amount: int  # nano-USD held
    tokens: int
    renewed_at: float  # monotonic seconds
    is_certain: bool = False  # the store has said so


class Verdict(msgspec.Struct, frozen=True):
    """What the store said. `refused`: "", requests, tokens, concurrency or budget; `which`: the place or budget, from 0.

    `state`: per place what is left of requests and of tokens, in 1/60000, and running requests; per budget spent and held, in
    nano-USD.
    """

    refused: str
    which: int
    state: list[int]


class Unbuilt(Exception):
    """These budgets (positions from 0) have no counters yet: they are to be built from the ledger first."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = positions
        super().__init__()


class Counters:
    """This process's side of the store. `running` is what its calls hold now, by request id."""

    def __init__(self, store: Store, lease: float) -> None:
        self.store = store
        self.running: dict[str, Taken] = {}
        self.lease_ms = round(lease * 1000)
        self._lease = b"%d" % self.lease_ms
        self._unsettled: deque[bytes] = deque(maxlen=_KEPT)

    @property
    def unsettled(self) -> int:
        """Settlements that wait for the store."""
        return len(self._unsettled)

    async def admit(self, packed: Packed, request_id: str, *, amount: int, worst: int, tokens: int) -> Verdict:
        """Take everything or nothing. Amounts in nano-USD: `amount` to hold, `worst` the most the call can cost.

        Raises Unbuilt, and CountersUnavailable when the store does not answer.
        """
        store = self.store
        id_ = request_id.encode()
        question = packed.admit + b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(id_), id_, len(self._lease), self._lease)
        question += _numbers(amount, worst, tokens) + arguments((store.run_id,))
        try:
            answer = store.send(question)
            # Renewed and settled from here on, whatever becomes of the call.
            self.running[request_id] = Taken(packed, amount, tokens, time.monotonic())
            told: list[Any] = await self._answered(answer, question)
        except (StoreAway, StoreRefusal) as why:
            if self.running.pop(request_id, None) is not None:
                # If anything was taken, it is to be given back.
                self._keep(self._settlement(packed, id_, 0, tokens, 0))
            raise CountersUnavailable from why
        except asyncio.CancelledError:
            # The client has gone, or we stop: whether anything was taken is not known.
            if self.running.pop(request_id, None) is not None:
                self._send(self._settlement(packed, id_, 0, tokens, 0), again=True)
            raise
        if told[0] == 1:
            self.running[request_id].is_certain = True
            return Verdict("", 0, told[1:])
        del self.running[request_id]
        if told[0] == 2:
            raise Unbuilt([position - 1 for position in told[1:]])
        return Verdict(told[1], told[2] - 1, told[3:])

    async def hold_more(self, request_id: str, *, amount: int, worst: int) -> bool:
        """Hold more for a running call, in all its budgets or in none: nano-USD, as in `admit`. False: a budget has no room.

        Raises CountersUnavailable when the store does not answer.
        """
        taken = self.running.get(request_id)
        if taken is None:
            return False
        request, store = taken.packed.request, self.store
        args: list[str | int] = [request_id, amount, worst, store.run_id, *request.more_args]
        try:
            is_held = bool(await store.run(scripts.HOLD_MORE, request.more_keys, args))
        except (StoreAway, StoreRefusal) as why:
            raise CountersUnavailable from why
        if is_held:
            taken.amount += amount
        return is_held

    async def _answered(self, answer: asyncio.Future[Any], question: bytes) -> Any:
        try:
            return await answer
        except StoreRefusal as why:
            if not why.is_forgotten_script:
                raise
        await self.store.load_scripts()
        return await self.store.send(question)

    def settle(self, request_id: str, *, cost: int, tokens: int) -> None:
        """Replace what a call took by what it used: nano-USD, and tokens as limits count them. Nothing is waited for."""
        taken = self.running.pop(request_id, None)
        if taken is None:
            return
        id_ = request_id.encode()
        self._send(self._settlement(taken.packed, id_, cost, taken.tokens, tokens), again=False)

    def settle_again(self) -> None:
        """The store is back: send what it did not confirm."""
        waiting, self._unsettled = self._unsettled, deque(maxlen=_KEPT)
        for settlement in waiting:
            self._send(settlement, again=True)

    def _settlement(self, packed: Packed, id_: bytes, cost: int, taken: int, used: int) -> bytes:
        """The command, but for its last two arguments: the store's run, and whether it is sent again."""
        return packed.settle + b"$%d\r\n%b\r\n" % (len(id_), id_) + _numbers(cost, taken, used)

    def _send(self, settlement: bytes, *, again: bool) -> None:
        ending = arguments((self.store.run_id, "1" if again else "0"))
        try:
            self.store.tell(settlement + ending, lambda _, why: self._failed(settlement, why))
        except StoreAway:
            self._keep(settlement)

    def _failed(self, settlement: bytes, why: StoreAway | StoreRefusal) -> None:
        if isinstance(why, StoreAway) or why.passes:
            self._keep(settlement)
        else:
            metrics.settlements_failed.inc()
            log.error("settlement_failed", why=str(why))
            self._forget(settlement)

    def _forget(self, settlement: bytes) -> None:
        """Have the budgets of a settlement that cannot be made built anew: the ledger has what it would have said."""
        if budgets := _BUDGETS.findall(settlement):
            with suppress(StoreAway):
                self.store.tell(command("DEL", *budgets), lambda *_: None)

    def _keep(self, settlement: bytes) -> None:
        if len(self._unsettled) == _KEPT:
            metrics.settlements_failed.inc()
        self._unsettled.append(settlement)


def _numbers(*values: int) -> bytes:
    out = b""
    for value in values:
        text = b"%d" % value
        out += b"$%d\r\n%b\r\n" % (len(text), text)
    return out
