"""What services keep with providers, as they ask for it: lists come from our table, everything else from where it is kept."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from apps.core.errors import GatewayError, InvalidValue, NoCredential, ObjectNotFound, ObjectsUnavailable, UpstreamError
from apps.core.logs import get_logger
from apps.gateway import stages
from apps.gateway.directory.models import Models
from apps.gateway.directory.views import Account, TokenView
from apps.gateway.dispatch import dispatch
from apps.gateway.exchange import Exchange
from apps.gateway.means import Means
from apps.gateway.objects.batches import create_batch
from apps.gateway.objects.calling import kept_call, listing_call, passing_query
from apps.gateway.objects.fetching import fetch
from apps.gateway.objects.files import create_file
from apps.gateway.objects.owners import BATCH, FILE, RESPONSE, Owned
from apps.gateway.objects.responses import is_over
from apps.gateway.relay.keeping import Keeping
from apps.gateway.relay.sending import JSON
from apps.gateway.surfaces import (
    BATCH_CREATE,
    BATCH_LIST,
    FILE_CONTENT,
    FILE_CREATE,
    FILE_LIST,
    RESPONSE_INPUT,
    Target,
)

log = get_logger(__name__)

_KINDS = {"/files": FILE, "/batches": BATCH, "/responses": RESPONSE}
_PAGE = {FILE: (1_000, 1_000), BATCH: (20, 100)}  # objects of a list: usually, at most
# Batches that are looked at again while they are listed: those under way, unless somebody has looked a moment ago.
_LOOKED_AT_MOST = 20
_LOOKED_AT_ONCE = 4
_LOOK_SECONDS = 5.0
_FRESH = 5.0  # seconds
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


async def serve_kept(exchange: Exchange, means: Means, token: TokenView, target: Target) -> None:
    """Answer a request for files, batches or stored responses. Raises GatewayError."""
    endpoint = target.endpoint
    if endpoint is FILE_CREATE:
        await create_file(exchange, means, token, target)
    elif endpoint is BATCH_CREATE:
        await create_batch(exchange, means, token, target)
    elif endpoint in (FILE_LIST, BATCH_LIST):
        await _list(exchange, means, token, target)
    else:
        await _pass(exchange, means, token, target)


def _kind(target: Target) -> str:
    return next(kind for start, kind in _KINDS.items() if target.endpoint.path.startswith(start))


# --- One object ---


async def _pass(exchange: Exchange, means: Means, token: TokenView, target: Target) -> None:
    if exchange.scope["method"] != "GET":
        await stages.read_body(exchange)  # clients send none, or an empty one
    kind = _kind(target)
    owned = await means.owners.find(token, kind, target.kept)
    if owned is None:
        raise ObjectNotFound(f"There is no {kind} '{target.kept}' that this service has made here.", param="id")
    exchange.model_asked = owned.model
    models = await stages.models_of(token, means.directory)
    account = models.credentials.get(owned.credential)
    if account is None:
        raise NoCredential(f"The credential that keeps this {kind} is switched off: an operator can enable it.")
    if owned.awaited and target.endpoint.method == "DELETE":
        await _pay_first(means, owned, account)
    query = passing_query(exchange.scope["query_string"])
    exchange.stream = kind == RESPONSE and _asked(exchange, "stream") == "true"
    call = kept_call(
        token, target, account, query=query, keeping=_keeping(means, target, owned, account), stream=exchange.stream
    )
    exchange.hold = await means.admission.admit(exchange, call)
    await dispatch(exchange, call, means.pool, means.health)


async def _pay_first(means: Means, owned: Owned, account: Account) -> None:
    """What is gone tells nobody what it has cost. Raises InvalidValue while that is not known yet, GatewayError."""
    status, found = await fetch(means.pool, account, "GET", f"/{owned.kind}s/{owned.upstream_id}")
    if status == 404:
        return
    if status != 200:
        raise UpstreamError(
            f"The provider answered with status {status} when it was asked how this {owned.kind} stands."
        )
    if not is_over(found.get("status")):
        raise InvalidValue(
            f"This {owned.kind} is still under way: cancel it, or wait until it is over, and delete it then.",
            param="id",
        )
    await means.payer.seen(owned, account, found)


def _keeping(means: Means, target: Target, owned: Owned, account: Account) -> Keeping | None:
    if target.endpoint in (FILE_CONTENT, RESPONSE_INPUT):
        return None
    return Gone(means, owned) if target.endpoint.method == "DELETE" else Seen(means, owned, account)


class Seen(Keeping):
    """The provider shows an object: how it stands is kept, and if it is over, it is paid for."""

    def __init__(self, means: Means, owned: Owned, account: Account) -> None:
        self._means, self._owned, self._account = means, owned, account

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """As Keeping's. The answer is not worth less for what cannot be noted of it: somebody will look again."""
        del exchange
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return
        if not isinstance(found, dict) or found.get("id") != self._owned.upstream_id:
            return
        try:
            if self._owned.kind == FILE:
                if found != self._owned.facts:
                    await self._means.owners.note(self._owned, found)
            else:
                await self._means.payer.seen(self._owned, self._account, found)
        except GatewayError as exc:
            log.warning("object_unnoted", object=self._owned.upstream_id, why=exc.code)

    async def refused(self, status: int) -> None:
        """As Keeping's: what the provider has no more, nobody has."""
        if status == 404 and not self._owned.awaited:
            await _forget(self._means, self._owned)


class Gone(Keeping):
    """An object is deleted."""

    def __init__(self, means: Means, owned: Owned) -> None:
        self._means, self._owned = means, owned

    async def whole(self, exchange: Exchange, body: bytes) -> None:
        """As Keeping's."""
        del exchange, body
        await _forget(self._means, self._owned)

    async def refused(self, status: int) -> None:
        """As Keeping's: it was gone already."""
        if status == 404:
            await _forget(self._means, self._owned)


async def _forget(means: Means, owned: Owned) -> None:
    try:
        await means.owners.delete(owned)
    except ObjectsUnavailable:
        log.warning("object_unnoted", object=owned.upstream_id, why="it is gone")  # the provider says so as well


# --- Lists ---


async def _list(exchange: Exchange, means: Means, token: TokenView, target: Target) -> None:
    kind = _kind(target)
    usual, most = _PAGE[kind]
    order = _asked(exchange, "order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidValue("Invalid value for 'order': use asc or desc.", param="order")
    after = _asked(exchange, "after")
    exchange.hold = await means.admission.admit(exchange, listing_call(token, target))
    owners = means.owners
    if after and await owners.find(token, kind, after) is None:
        raise ObjectNotFound(f"There is no {kind} '{after[:100]}' that this service has made here.", param="after")
    rows, has_more = await owners.page(
        token,
        kind,
        most=min(_number(exchange, "limit", usual), most),
        after=after,
        purpose=_asked(exchange, "purpose"),
        newest_first=order == "desc",
    )
    data = await _as_they_stand(means, token, rows) if kind == BATCH else [dict(row.facts) for row in rows]
    data = [
        {**facts, "id": row.upstream_id, "object": facts.get("object") or kind}
        for row, facts in zip(rows, data, strict=True)
    ]
    body = orjson.dumps(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": has_more,
        }
    )
    exchange.count_out(len(body))
    exchange.record(200)
    await exchange.answer(200, [*exchange.id_headers, JSON, (b"content-length", b"%d" % len(body))], body)


async def _as_they_stand(means: Means, token: TokenView, rows: list[Owned]) -> list[Mapping[str, Any]]:
    """Batches, those under way as the provider shows them now, as far as it answers in time."""
    models = await stages.models_of(token, means.directory)
    found = {row.id: row.facts for row in rows}
    now = datetime.now(UTC)
    stale = [row for row in rows if _is_under_way(row) and (now - row.checked_at).total_seconds() > _FRESH]
    slots = asyncio.Semaphore(_LOOKED_AT_ONCE)

    async def look(row: Owned) -> None:
        async with slots:
            facts = await _now(means, models, row)
        if facts:
            found[row.id] = facts

    looks = [asyncio.create_task(look(row)) for row in stale[:_LOOKED_AT_MOST]]
    if looks:
        _, late = await asyncio.wait(looks, timeout=_LOOK_SECONDS)
        for each in late:
            each.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
    return [found[row.id] for row in rows]


async def _now(means: Means, models: Models, row: Owned) -> dict[str, Any]:
    """The object as the provider shows it; empty if it does not."""
    account = models.credentials.get(row.credential)
    if account is None:
        return {}
    try:
        status, facts = await fetch(means.pool, account, "GET", f"/batches/{row.upstream_id}")
        if status != 200 or facts.get("id") != row.upstream_id:
            return {}
        await means.payer.seen(row, account, facts)
    except GatewayError as exc:
        log.warning("object_not_seen", object=row.upstream_id, why=exc.code)
        return {}
    return facts


def _is_under_way(row: Owned) -> bool:
    return row.awaited or row.facts.get("status") not in _ENDED


def _asked(exchange: Exchange, name: str) -> str:
    found = parse_qs(exchange.scope["query_string"].decode("latin-1")).get(name)
    return found[-1] if found else ""


def _number(exchange: Exchange, name: str, usual: int) -> int:
    text = _asked(exchange, name)
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or not int(text[:9]) > 0:
        raise InvalidValue(f"Invalid value for '{name}': use a whole number above 0.", param=name)
    return int(text[:9])
