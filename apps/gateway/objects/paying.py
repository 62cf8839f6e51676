"""What is paid for when it is over: batches, and responses made in the background. Each is recorded once, by whichever process sees
its end first, in a record of its own; its budgets are then built anew from the ledger.

The record's id is chosen, and written down, before the record is. So whoever goes on after a process that died in between writes
the same record once more, which is then kept once.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import msgspec
import orjson

from apps.audit.spool import Spool
from apps.core.errors import GatewayError
from apps.core.logs import get_logger
from apps.gateway.config import GatewayConfig
from apps.gateway.directory.directory import Directory
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Account, Route
from apps.gateway.exchange import Attempt, Exchange
from apps.gateway.governance.admission import UNPRICED, Admission
from apps.gateway.objects.calling import route_to
from apps.gateway.objects.fetching import fetch, fetch_lines
from apps.gateway.objects.owners import BATCH, FILE, Facts, Owned, Owners
from apps.gateway.objects.responses import is_over, item_ids
from apps.gateway.surfaces import BATCH_SHOW, RESPONSES
from apps.gateway.upstream.pool import UpstreamPool
from apps.providers.prices.book import PriceBook
from apps.providers.prices.sheet import PriceSheet
from apps.providers.usage import Usage, openai_usage, read_answer, tier_name

log = get_logger(__name__)

PAID_LATER = "paid_later"  # the record's flag
_TIER = "batch"
_EVERY = 30.0  # seconds between looks for what is over
_AGAIN = 60.0  # seconds until an object is asked for again
_AT_ONCE = 20
_LINE_MOST = 32 * 1024 * 1024
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in {"tier", "estimated", "mismatch"})

# What each is recorded as. A batch takes of budgets what it has cost.
_PAID_AS = {BATCH: replace(BATCH_SHOW, takes="all", is_free=False)}


@dataclass(frozen=True, slots=True)
class Told:
    """What an object that is over has used."""

    usage: Usage | None
    model: str = ""
    has_answers: bool = False  # whether it has used anything at all


class Payer:
    """Records what objects have cost. `spool` is set once there is one."""

    def __init__(
        self, config: GatewayConfig, owners: Owners, directory: Directory, admission: Admission, pool: UpstreamPool
    ) -> None:
        self.spool: Spool | None = None
        self._config, self._owners, self._directory = config, owners, directory
        self._admission, self._pool = admission, pool

    # --- By itself ---

    async def run(self) -> None:
        """Look after what is still to be paid, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                for owned in await self._owners.awaited(every=_AGAIN, most=_AT_ONCE):
                    await self._look(owned)
            except GatewayError as exc:
                log.warning("objects_unpaid", why=exc.code)
            except Exception:
                log.exception("objects_unpaid")

    async def _look(self, owned: Owned) -> None:
        models = await self._directory.models(owned.organization_id)
        account = models.credentials.get(owned.credential)
        if account is None:
            return  # it is switched off: what the object costs is known when it is on again
        place = "batches" if owned.kind == BATCH else "responses"
        try:
            status, found = await fetch(self._pool, account, "GET", f"/{place}/{owned.upstream_id}")
        except GatewayError as exc:
            log.warning("object_not_seen", object=owned.upstream_id, why=exc.code)
            return
        if status == 404:
            log.error("object_lost_unpaid", object=owned.upstream_id, credential=account.credential.label)
            await self._owners.paid(owned)
        elif status == 200:
            await self.seen(owned, account, found)

    # --- When the provider has shown an object ---

    async def seen(self, owned: Owned, account: Account, found: Mapping[str, Any]) -> None:
        """Keep how it stands; if it is over and not paid for, record what it cost. Raises ObjectsUnavailable."""
        if owned.kind == BATCH:
            if dict(found) != owned.facts:
                await self._owners.note(owned, found)
            if found.get("status") in _ENDED:
                await self._own_files(owned, account, found)
                if owned.awaited:
                    await self._pay(owned, account, await self._batch_told(account, found))
        elif owned.awaited and is_over(found.get("status")):
            answer = read_answer(orjson.dumps(found))
            completed = found.get("status") == "completed"
            await self._pay(owned, account, Told(answer.usage, answer.model, completed), item_ids(found.get("output")))

    async def _own_files(self, owned: Owned, account: Account, found: Mapping[str, Any]) -> None:
        """The files that a batch has made belong to whom the batch belongs to."""
        ids = [
            each for name in ("output_file_id", "error_file_id") if isinstance(each := found.get(name), str) and each
        ]
        for each in ids:
            await self._owners.add_made_by(owned, FILE, each, partial(self._shown_file, account, each))

    async def _shown_file(self, account: Account, file: str) -> Facts:
        try:
            status, facts = await fetch(self._pool, account, "GET", f"/files/{quote(file, safe='')}")
        except GatewayError:
            status, facts = 0, {}
        return facts if status == 200 else {"id": file, "object": "file", "purpose": "batch_output"}

    async def _batch_told(self, account: Account, found: Mapping[str, Any]) -> Told:
        """The provider's sum, or else that of the answers in the file that the batch has made."""
        model = found.get("model")
        named = model if isinstance(model, str) else ""
        usage = found.get("usage")
        total = openai_usage(usage, tier=_TIER) if isinstance(usage, dict) else None
        if total is None and isinstance(file := found.get("output_file_id"), str):
            try:
                total = await self._summed(account, file)
            except (GatewayError, TimeoutError) as exc:
                log.warning("batch_output_unread", file=file, why=str(exc))
        counts = found.get("request_counts")
        return Told(total, named, isinstance(counts, dict) and bool(counts.get("completed")))

    async def _summed(self, account: Account, file: str) -> Usage | None:
        total: Usage | None = None
        async with aclosing(
            cast("Any", fetch_lines(self._pool, account, f"/files/{file}/content", _LINE_MOST))
        ) as lines:
            async for line in lines:
                if (usage := _line_usage(line)) is not None:
                    total = usage if total is None else _sum(total, usage)
        return total

    # --- The record ---

    async def _pay(self, owned: Owned, account: Account, told: Told, items: list[str] | None = None) -> None:
        spool = self.spool
        if spool is None:
            return
        claimed = await self._owners.claim(owned)
        if claimed is None:
            return  # another process is at it
        record_id, digest = claimed
        token = await self._directory.token(digest)
        models = await self._directory.models(owned.organization_id)
        if token is not None and (told.usage is not None or told.has_answers):
            exchange = self._exchange(owned, record_id, spool)
            exchange.token = token
            exchange.model_asked, exchange.model_served = owned.model, told.model
            attempt = Attempt(_route(models, account, owned), exchange.endpoint)
            attempt.status = 200
            exchange.attempts.append(attempt)
            exchange.usage = told.usage or exchange.usage
            if told.usage is None or attempt.route.sheet(exchange.arrived_at) is None:
                exchange.flags.append(UNPRICED)
            exchange.hold = self._admission.uncounted(exchange, token.governor)
            exchange.record(200)
        if items is not None and token is not None:
            await self._owners.note_items(token, owned.credential, owned.upstream_id, items)
        await self._owners.paid(owned)

    def _exchange(self, owned: Owned, record_id: UUID, spool: Spool) -> Exchange:
        place = "batches" if owned.kind == BATCH else "responses"
        path = f"/v1/{place}/{owned.upstream_id}"
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": (), "client": None}
        exchange = Exchange(scope, _nothing_comes, _nobody_hears, self._config, spool, record_id=record_id)
        exchange.endpoint = _PAID_AS.get(owned.kind, RESPONSES)
        exchange.end_user, exchange.tags = owned.end_user, tuple(owned.tags)
        exchange.flags.append(PAID_LATER)
        return exchange


def _route(models: Models, account: Account, owned: Owned) -> Route:
    """The account's way to the model, which has its prices; without them where nobody knows the model any more."""
    view = models.get(owned.model) if owned.model else None
    for route in view.routes if view is not None else ():
        if route.credential.id == owned.credential:
            return replace(route, book=_OneByOne(route.book)) if owned.kind == BATCH else route
    return route_to(account)


class _OneByOne(PriceBook):
    """A book whose prices do not depend on how much there is: a batch's figures are sums over its requests."""

    def __init__(self, book: PriceBook) -> None:
        super().__init__(())
        self._whole = book

    def sheet(self, provider: str, model: str, at: float, priced_as: str = "") -> PriceSheet | None:
        """Without the prices of long contexts."""
        found = self._whole.sheet(provider, model, at, priced_as)
        if found is None:
            return None
        rows = [row for row in found.rows if row.above == 0]
        return PriceSheet(rows, provider=found.provider, model=found.model)


class _Body(msgspec.Struct):
    usage: Any = None
    service_tier: Any = None


class _Answer(msgspec.Struct):
    body: _Body | None = None


class _Line(msgspec.Struct):
    response: _Answer | None = None


_decode_line = msgspec.json.Decoder(_Line).decode


def _line_usage(line: bytes) -> Usage | None:
    """Of one answer in a batch's file."""
    try:
        answer = _decode_line(line).response
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if answer is None or answer.body is None or not isinstance(answer.body.usage, dict):
        return None
    return openai_usage(answer.body.usage, tier=tier_name(answer.body.service_tier) or _TIER)


def _sum(first: Usage, second: Usage) -> Usage:
    both = {name: (getattr(first, name), getattr(second, name)) for name in _COUNTS}
    told = {name: (one or 0) + (other or 0) for name, (one, other) in both.items() if (one, other) != (None, None)}
    return msgspec.structs.replace(first, **told, mismatch=first.mismatch or second.mismatch)


async def _nothing_comes() -> Any:
    return {"type": "http.disconnect"}


async def _nobody_hears(_message: object) -> None:
    return None
