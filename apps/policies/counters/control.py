"""What operators may do to the counters: see and release what running calls hold, and have budgets built anew."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import psycopg
import redis.asyncio
from django.conf import settings

from apps.audit.delivery import database
from apps.core.databases import libpq_url
from apps.orgs.models import Organization
from apps.policies.counters import keys, scripts
from apps.policies.counters.plan import Counted
from apps.policies.counters.reading import counted, rules_of, store
from apps.policies.counters.rebuild import rebuild, spent_in_ledger
from apps.policies.counters.scripts import Script
from apps.policies.models import Budget


@dataclass(frozen=True, slots=True)
class HoldState:
    """What one running call holds."""

    request_id: UUID
    organization_id: UUID
    token_id: UUID
    held_nano: int
    since: datetime
    lease_ends: datetime
    budgets: tuple[str, ...]  # their keys in the store


def holds(organization: Organization | None = None) -> list[HoldState]:
    """What running calls hold, oldest first, of one organization or of all. Raises redis.RedisError."""
    found = cast("dict[str, str]", store().hgetall(keys.HOLD))
    leases = dict(cast("list[tuple[str, float]]", store().zrange(keys.LEASE, 0, -1, withscores=True)))
    states = [_hold_state(request, taken, leases.get(request, 0.0)) for request, taken in found.items()]
    mine = [state for state in states if organization is None or state.organization_id == organization.pk]
    return sorted(mine, key=lambda state: state.since)


def release(request_id: UUID) -> bool:
    """Free what a call holds, before its lease ends; what it costs is still charged when it is known. False: it holds nothing.

    Raises redis.RedisError.
    """
    return bool(_eval(scripts.EXPIRE, [keys.LEASE, keys.HOLD, keys.EXPIRED], ["", 0, request_id.hex, -1]))


def forget_budgets(organization: Organization) -> int:
    """Have every budget of an organization built anew by its next call, as after an adjustment. Returns how many had counters.

    Raises redis.RedisError.
    """
    mine = {budget.hex for budget in Budget.objects.filter(organization=organization).values_list("pk", flat=True)}
    forgotten = 0
    for key in store().scan_iter(match="tg:b:*", count=1000):
        if key.split(":")[2] in mine and not key.endswith(":late"):
            forgotten += store().delete(key)
    return forgotten


def known_counters(budgets: Sequence[Budget]) -> list[Counted]:
    """Every counter that these budgets have or will have: one each, but for each holder of a policy's.

    The budgets that every end user has of their own are left out: who uses them is not known here.
    """
    now = time.time()
    return [
        counted(rule, now)
        for budget in budgets
        for rule in rules_of(budget)
        if not (rule.scope == "end_user" and rule.end_user == "*")
    ]


def rebuild_now(organization: Organization) -> int:
    """Build the counters of all budgets of an organization from the ledger. Returns how many.

    Calls wait meanwhile. Raises RebuildFailed, redis.RedisError, psycopg.Error.
    """
    budgets = known_counters(list(Budget.objects.filter(organization=organization, enabled=True)))
    return asyncio.run(_rebuild(organization.pk, budgets)) if budgets else 0


def ledger_now(organization: Organization, budgets: Sequence[Counted]) -> list[int]:
    """What the ledger says was spent, in nano-USD rounded up, one for each. Raises psycopg.Error."""
    return asyncio.run(_ledger(organization.pk, budgets))


async def _ledger(organization_id: UUID, budgets: Sequence[Counted]) -> list[int]:
    async with await _connect() as connection:
        return [(await spent_in_ledger(connection, organization_id, each))[0] for each in budgets]


async def _rebuild(organization_id: UUID, budgets: Sequence[Counted]) -> int:
    async with redis.asyncio.Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=5, protocol=2
    ) as client:
        run_id = (await client.info("server"))["run_id"]
        return await rebuild(_Port(client, run_id), _connect, organization_id, budgets, again=True)


async def _connect() -> psycopg.AsyncConnection[Any]:
    return await database(libpq_url(settings.DATABASE_URL))()


class _Port:
    """redis-py as a rebuild wants it."""

    def __init__(self, client: "redis.asyncio.Redis", run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run a script, whether or not the store knows it."""
        return await cast("Any", self._client.eval(script.source, len(keys), *keys, *map(str, args)))

    async def execute(self, *parts: str | int) -> Any:
        """Run a plain command; answers are lists and texts, as the store gives them."""
        pool: Any = self._client.connection_pool
        link = await pool.get_connection()
        try:
            await link.send_command(*parts)
            return await link.read_response()
        finally:
            await pool.release(link)


def _eval(script: Script, names: Sequence[str], args: Sequence[str | int]) -> Any:
    return store().eval(script.source, len(names), *names, *map(str, args))


def _hold_state(request: str, taken: str, lease: float) -> HoldState:
    at, amount, organization, token, _, budgets = taken.split(";")
    return HoldState(
        request_id=UUID(request),
        organization_id=UUID(organization),
        token_id=UUID(token),
        held_nano=int(amount),
        since=datetime.fromtimestamp(int(at) / 1000, UTC),
        lease_ends=datetime.fromtimestamp(lease / 1000, UTC),
        budgets=tuple(part.split("=", 1)[0] for part in budgets.split(",") if part),
    )
