"""What gateways tell each other of how providers fare: circuits that open and close, and who may send a probe.

Changes are told at once, without waiting for an answer; what others tell is looked at twice a second, beside the requests. While
the store is away, each process is on its own: it keeps what it knows, and sends its own probes.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterator

from apps.core.logs import get_logger
from apps.gateway.health.circuit import Circuit
from apps.gateway.health.health import Health
from apps.gateway.health.latency import Key
from apps.gateway.store.connection import StoreAway, StoreRefusal, command
from apps.gateway.store.store import Store
from apps.providers.health import shared
from apps.providers.health.shared import ABANDONED, CredentialNews, Shut

log = get_logger(__name__)

_EVERY = 0.5  # seconds between looks
_LEASE = 10_000  # milliseconds that a probe's lease lasts, unless it is renewed
_UNUSED_MOST = 60.0  # seconds after which the right to a probe is given back
_NEWS_AT_ONCE = 200


class Sharing:
    """The task beside the requests."""

    def __init__(self, health: Health, store: Store) -> None:
        self._health, self._store = health, store
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._run_id = ""
        self._turn = 0
        self._in_store: dict[Key, float] = {}  # what is open there, and since when this process knows (its clock)
        self._leases: dict[Key, float] = {}  # this process's, and since when it has had each
        health.told = self

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                if self._store.is_connected:
                    await self._look()
                else:
                    self._go_alone()
            except (StoreAway, StoreRefusal) as why:
                log.warning("health_unshared", why=str(why))
            except Exception:  # an error of ours must not end the looking, and with it every probe
                log.exception("health_unshared")
            self._health.forget_old()
            await asyncio.sleep(_EVERY)

    def stop(self) -> None:
        """Give back the right to probes: another process may send them at once."""
        for key in list(self._leases):
            self._give_back(key)

    # --- Telling ---

    def changed(self, key: Key, circuit: Circuit, *, probed: bool) -> None:
        """A circuit of this process opened or closed: tell the others, now."""
        if probed or not circuit.permit:
            self._give_back(key)
        if circuit.is_closed:
            self._forget(key)
        else:
            log.warning(
                "route_open",
                credential=key[0],
                label=self._health.labels.get(key[0], ("", ""))[0],
                model=key[1],
                reason=circuit.reason,
                code=circuit.code,
                seconds=round(circuit.cooldown, 3),
            )
            self._tell(key, circuit)

    def _tell(self, key: Key, circuit: Circuit) -> None:
        now, at = self._health.clock(), time.time()
        told = Shut(
            credential=key[0],
            model=key[1],
            until=at + circuit.until - now,
            cooldown=circuit.cooldown,
            reason=circuit.reason,
            code=circuit.code,
            version=circuit.version,
            at=at + circuit.since - now,
        )
        self._in_store[key] = now
        self._send(command("HSET", shared.SHUT, told.field, shared.written(told)))
        self._send(command("INCR", shared.TURN))

    def _forget(self, key: Key) -> None:
        if self._in_store.pop(key, None) is not None:
            log.info("route_closed", credential=key[0], model=key[1])
        self._send(command("HDEL", shared.SHUT, shared.field_of(*key)))
        self._send(command("INCR", shared.TURN))

    def _give_back(self, key: Key) -> None:
        if self._leases.pop(key, None) is not None:
            self._send(command("DEL", shared.lease(*key)))

    def _send(self, packed: bytes) -> None:
        """What the store does not take is told again once it is back: all that is open is."""
        try:
            self._store.tell(packed, lambda *_: self._lose_count())
        except StoreAway:
            self._lose_count()

    def _lose_count(self) -> None:
        self._run_id = ""

    # --- Looking ---

    async def _look(self) -> None:
        store = self._store
        if store.run_id != self._run_id:
            self._tell_again()
        await self._tell_news()
        asked_at = self._health.clock()
        turn = int(await store.execute("GET", shared.TURN) or 0)
        if turn < self._turn:  # the store has forgotten
            self._tell_again()
        if turn != self._turn:
            found = await store.execute("HGETALL", shared.SHUT)
            self._turn = turn
            self._take_in(dict(zip(found[::2], found[1::2], strict=True)), asked_at)
        await self._keep_leases()

    def _tell_again(self) -> None:
        self._run_id = self._store.run_id
        self._turn = 0
        self._in_store.clear()
        self._leases.clear()
        for key, circuit in self._health.circuits.items():
            circuit.permit = False
            if not circuit.is_closed and circuit.until + ABANDONED > self._health.clock():
                self._tell(key, circuit)

    async def _tell_news(self) -> None:
        news = self._health.news
        if not news:
            return
        batch = [news.popleft() for _ in range(min(len(news), _NEWS_AT_ONCE))]
        told = [
            shared.news_written(
                CredentialNews(credential=each.credential, model=each.model, status=each.status, at=each.at)
            )
            for each in batch
        ]
        try:
            await self._store.send(command("RPUSH", shared.NEWS, *told))
            await self._store.execute("LTRIM", shared.NEWS, -shared.NEWS_KEPT, -1)
        except (StoreAway, StoreRefusal):
            news.extendleft(reversed(batch))
            raise

    def _take_in(self, found: dict[str, str], asked_at: float) -> None:
        """What is open in the store, as it was when it was asked at that time."""
        health = self._health
        at, now = time.time(), health.clock()
        here: set[Key] = set()
        for field, value in found.items():
            shut = shared.read(field, value)
            if shut is None or shut.until + ABANDONED < at:
                self._send(command("HDEL", shared.SHUT, field))
                continue
            key = shut.credential, shut.model
            if key not in self._in_store and self._closed_since(key, asked_at):
                continue
            here.add(key)
            self._in_store.setdefault(key, now)
            health.learn(shut, now + min(shut.until - at, shut.cooldown))
        for key in [key for key, since in self._in_store.items() if key not in here and since < asked_at]:
            del self._in_store[key]
            if (circuit := health.circuits.get(key)) is not None:
                circuit.forget(now)

    def _closed_since(self, key: Key, asked_at: float) -> bool:
        """Whether this process has closed it after the store was asked."""
        circuit = self._health.circuits.get(key)
        return circuit is not None and circuit.is_closed and circuit.since >= asked_at

    # --- Probes ---

    def _waiting(self) -> Iterator[tuple[Key, Circuit]]:
        now = self._health.clock()
        for key, circuit in list(self._health.circuits.items()):
            if circuit.waits(now):
                yield key, circuit

    def _go_alone(self) -> None:
        """Without the store, this process may send its own probes."""
        self._lose_count()
        for _, circuit in self._waiting():
            circuit.permit = circuit.permit or circuit.wanted

    async def _keep_leases(self) -> None:
        now = self._health.clock()
        waiting = dict(self._waiting())
        for key, since in list(self._leases.items()):
            circuit = waiting.get(key)
            if circuit is None or (now > since + _UNUSED_MOST and not circuit.is_probed(now)):
                self._give_back(key)
                if circuit is not None:
                    circuit.permit = circuit.wanted = False
            elif not await self._store.execute("PEXPIRE", shared.lease(*key), _LEASE):
                self._leases.pop(key, None)
                circuit.permit = circuit.is_probed(now)
        for key, circuit in waiting.items():
            if circuit.wanted and key not in self._leases and not circuit.permit:
                taken = await self._store.execute("SET", shared.lease(*key), self._name, "NX", "PX", _LEASE)
                # Meanwhile it may have closed, or opened again.
                if taken and circuit.waits(self._health.clock()):
                    self._leases[key] = now
                    circuit.permit = True
                elif taken:
                    self._send(command("DEL", shared.lease(*key)))
