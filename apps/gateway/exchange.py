"""One request on its way through the gateway: what was asked, what was found out, what was sent; and its record, written once."""

import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from apps.audit.record import clean_text
from apps.audit.spool import Spool, SpoolFull
from apps.core.clients import client_address
from apps.core.errors import GatewayError
from apps.core.ids import uuid7_time
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.config import GatewayConfig
from apps.gateway.directory.views import Route, TokenView
from apps.gateway.governance.hold import NO_HOLD, Hold
from apps.gateway.server import CLIENT, Client
from apps.gateway.surfaces import UNKNOWN, Endpoint
from apps.providers.prices.money import usd
from apps.providers.prices.sheet import Cost
from apps.providers.usage import Usage, to_columns
from apps.providers.usage.attempts import usage_facts
from apps.providers.usage.columns import MISMATCH_FLAG

log = get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_NOTHING_USED = Usage()
_NO_COST = Cost(None, ())
_ID_MASK = ~((0xF000 << 64) | (0xC000 << 48)) & ((1 << 128) - 1)
_ID_VERSION = (0x7000 << 64) | (0x8000 << 48)


class Attempt:
    """One call upstream. Times in nanoseconds of the monotonic clock."""

    __slots__ = (
        "asks_for_usage",
        "cost",
        "ended",
        "error",
        "is_sent",
        "lost",
        "pause",
        "request_id",
        "route",
        "spares_usage",
        "started",
        "status",
        "unsaid_betas",
        "usage",
        "way",
    )

    def __init__(
        self, route: Route, way: Endpoint, *, spares_usage: bool = False, unsaid_betas: frozenset[str] = frozenset()
    ) -> None:
        self.route = route
        self.spares_usage = spares_usage  # its provider may have refused this call for being asked to tell usage
        self.unsaid_betas = unsaid_betas  # names in `anthropic-beta` that its provider does not know
        self.way = way  # the endpoint that the provider is asked at
        self.started = time.perf_counter_ns()
        self.ended = 0
        self.lost = ""  # what the request has lost in translation, as the client is told
        self.is_sent = False  # the provider may have begun to work, and to charge
        self.asks_for_usage = False  # of a stream, though the client did not
        self.status: int | None = None
        self.pause: float | None = None  # seconds that the provider asks us to wait
        self.usage: Usage | None = None  # what it told before it failed, where another one followed
        self.cost: Cost | None = None  # of that
        self.error = ""
        self.request_id = ""

    def end(self) -> None:
        """Upstream has nothing more to say, or nobody listens any more."""
        if not self.ended:
            self.ended = time.perf_counter_ns()

    def fail(self, code: str) -> None:
        """It has ended without an answer, for this reason unless one is known already."""
        self.end()
        self.error = self.error or code


class Exchange:
    """The facts of one request, gathered as they become known. `record` writes them, once, whatever ended it."""

    __slots__ = (
        "_address",
        "_id",
        "_recorded",
        "_spool",
        "arrived_at",
        "attempts",
        "body_size",
        "bytes_out",
        "client",
        "config",
        "cost_usd",
        "decision",
        "end_user",
        "endpoint",
        "events",
        "failed",
        "first_byte_at",
        "flags",
        "headers",
        "hold",
        "id_headers",
        "is_inside_event",
        "is_told",
        "model_asked",
        "model_served",
        "receive",
        "scope",
        "send",
        "sent_head",
        "shown_id",
        "started",
        "stream",
        "tags",
        "token",
        "usage",
    )

    def __init__(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
        config: GatewayConfig,
        spool: Spool,
        *,
        record_id: UUID | None = None,
    ) -> None:
        """`record_id`: chosen before, for a record that may be written more than once; its time is the request's."""
        self.started = time.perf_counter_ns()
        self.scope, self.receive, self.send = scope, receive, send
        self.config, self._spool = config, spool
        if record_id is None:
            self.arrived_at = time.time()
            number = (int(self.arrived_at * 1000) << 80) | int.from_bytes(os.urandom(10))
            self._id = f"{number & _ID_MASK | _ID_VERSION:032x}"  # a version 7 UUID, as apps.core.ids makes them
        else:
            self.arrived_at = uuid7_time(record_id).timestamp()
            self._id = record_id.hex
        self.shown_id = b"req_" + self._id.encode()
        # Both names, as OpenAI's and Anthropic's SDKs look for them.
        self.id_headers: Headers = [(b"x-request-id", self.shown_id), (b"request-id", self.shown_id)]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.client: Client | None = scope.get(CLIENT)  # None under another server than ours
        self.endpoint: Endpoint = UNKNOWN
        self.token: TokenView | None = None
        self.model_asked = ""
        self.model_served = ""
        self.end_user = ""
        self.stream = False
        self.body_size = 0
        self.usage: Usage = _NOTHING_USED
        self.is_told = False  # of that, the provider has told something
        self.attempts: list[Attempt] = []
        self.first_byte_at = 0
        self.bytes_out = 0
        self.sent_head = False
        self.events = 0  # of a stream that broke off, so that its error event is numbered
        self.is_inside_event = False  # it broke off in the middle of an event
        self.tags: tuple[str, ...] = ()
        self.flags: list[str] = []  # what an operator should know of this call
        self.decision: dict[str, object] | None = None  # what limits and budgets said (apps.policies.decision)
        self.cost_usd: str | None = None  # known once it is recorded; None: nothing of it has a price
        self.hold: Hold = NO_HOLD  # settled when the record is written
        self.failed = False  # known once it is recorded: its answer is an error, or ends in one
        self._address: str | None = None
        self._recorded = False

    def beside(self, endpoint: Endpoint) -> "Exchange":
        """Another call of the same client within this one, with a record of its own, which names this one as the client's id."""
        other = Exchange(self.scope, self.receive, self.send, self.config, self._spool)
        other.headers = {**self.headers, b"x-client-request-id": self.shown_id}
        other.endpoint = endpoint
        other.token, other.end_user, other.tags = self.token, self.end_user, self.tags
        return other

    @property
    def id(self) -> str:
        """The request's id, 32 hexadecimal digits."""
        return self._id

    def forget_usage(self) -> None:
        """Nothing of what was used is this record's to tell."""
        self.usage = _NOTHING_USED

    @property
    def address(self) -> str | None:
        """The client's address, through trusted proxies; None where there is none."""
        if self._address is None:
            client = self.scope.get("client")
            self._address = client_address(
                client[0] if client else None, self.header(b"x-forwarded-for"), self.config.trusted_proxies
            )
        return self._address

    def leave(self, attempt: Attempt) -> None:
        """Another attempt follows this one, which is charged if its provider has told what it used."""
        if self.is_told:
            attempt.usage = self.usage
        self.usage, self.is_told = _NOTHING_USED, False
        self.model_served = ""

    def spent(self) -> int:
        """Nano-USD that its attempts have cost, the last one included, as far as their providers have told; rounded up."""
        told = [attempt for attempt in self.attempts[:-1] if attempt.usage is not None]
        if not told and not self.is_told:
            return 0
        pico = sum(self._charged(attempt).pico or 0 for attempt in told)
        sheet = self.attempts[-1].route.sheet(self.arrived_at)
        if self.is_told and sheet is not None:
            pico += sheet.cost(self.usage).pico or 0
        return -(-pico // 1000)

    def header(self, name: bytes) -> str:
        """A request header as text; empty if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer. Its record must have been written before."""
        self.sent_head = True
        client = self.client
        if client is not None and client.is_reading and self.scope["method"] != "HEAD":
            client.answer(status, headers, body)
            return
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def count_out(self, size: int) -> None:
        """`size` bytes of the answer's body leave now."""
        self.bytes_out += size
        if not self.first_byte_at:
            self.first_byte_at = time.perf_counter_ns()

    def record(self, status: int, error: GatewayError | None = None, upstream_code: str = "") -> None:
        """Write the record and settle what the call holds, before the last byte of the answer leaves. Only the first call counts.

        `error`: ours. `upstream_code`: what the provider called its own. From here on `cost_usd` says what it has cost. Never
        raises: an answer is not worth less for it.
        """
        if self._recorded:
            return
        self._recorded = True
        self.failed = status != 200 or error is not None or bool(upstream_code)
        now = time.perf_counter_ns()
        code = error.recorded_as if error is not None else upstream_code
        upstream = 0
        for attempt in self.attempts:
            attempt.end()
            upstream += attempt.ended - attempt.started
        total = now - self.started
        first = self.first_byte_at - self.started if self.first_byte_at else None
        gateway = max(0, total - upstream)
        metrics.observe(
            self.endpoint.name,
            status,
            error.code if error is not None else "upstream" if code else "",
            stream=self.stream,
            total=total / 1e9,
            first_byte=None if first is None else first / 1e9,
            gateway=gateway / 1e9,
        )
        cost = self._cost()
        before = [self._charged(attempt) for attempt in self.attempts[:-1] if attempt.usage is not None]
        pico = cost.pico
        if any(each.pico is not None for each in before):
            pico = sum(each.pico or 0 for each in before) + (pico or 0)
        facts = self._facts(status, code, total, upstream, gateway, first)
        if pico is not None:
            self.cost_usd = usd(pico)
        facts["cost_usd"], facts["price_ids"] = self.cost_usd, cost.price_ids if cost.pico is not None else ()
        spent = -(-(pico or 0) // 1000)
        if spent > self.hold.amount and self.decision is not None and self.hold.amount:
            self.flags.append("over_hold")
        payload = orjson.dumps(facts)
        try:
            self._spool.append(payload)
        except (SpoolFull, ValueError) as exc:
            metrics.records_lost.inc()
            # The log is the last place it can be kept in; it holds no secret.
            log.error("record_lost", request_id=self.shown_id.decode(), why=str(exc), record=payload.decode())
        # After the record: what a budget counts as spent is in the ledger, or on its way there.
        self.hold.settle(self.usage, spent)

    def _cost(self) -> Cost:
        """What the call cost; no amount where nothing was used. What has no price is flagged, and left out of the amount."""
        usage = self.usage
        if usage is _NOTHING_USED or not self.attempts:
            return _NO_COST
        if usage.mismatch:
            self.flags.append(MISMATCH_FLAG)
        sheet = self.attempts[-1].route.sheet(self.arrived_at)
        if sheet is None:
            return _NO_COST  # admission has said what becomes of such calls
        cost = sheet.cost(usage)
        if cost.missing and "unpriced" not in self.flags:
            self.flags.append("unpriced")
        if cost.unknown_tier:
            self.flags.append("unknown_tier")
        return cost

    def _charged(self, attempt: Attempt) -> Cost:
        """What an attempt cost that another one followed."""
        sheet = attempt.route.sheet(self.arrived_at)
        if sheet is None or attempt.usage is None:
            return _NO_COST
        cost = sheet.cost(attempt.usage)
        if cost.missing and "unpriced" not in self.flags:
            self.flags.append("unpriced")
        attempt.cost = cost
        return cost

    def _facts(
        self, status: int, code: str, total: int, upstream: int, gateway: int, first: int | None
    ) -> dict[str, object]:
        token, usage, scope = self.token, self.usage, self.scope
        last = self.attempts[-1] if self.attempts else None
        credential = last.route.credential if last is not None else None
        return {
            "id": self._id,
            "created_at": datetime.fromtimestamp(self.arrived_at, UTC),
            "organization_id": token.organization if token is not None else None,
            "service_id": token.service if token is not None else None,
            "token_id": token.token if token is not None else None,
            "credential_id": credential.id if credential is not None else None,
            "endpoint": self.endpoint.name,
            "dialect": self.endpoint.dialect.name,
            "method": clean_text(scope["method"], 8),
            "path": clean_text(scope["path"], 300),
            "model_asked": clean_text(self.model_asked, 255),
            "model_served": clean_text(self.model_served, 255)
            or (last.route.upstream_model if last is not None and last.status == 200 else ""),
            "provider": credential.provider if credential is not None else "",
            "stream": self.stream,
            "status": status,
            "error_code": clean_text(code, 64),
            **to_columns(usage),
            "first_byte_us": None if first is None else first // 1000,
            "total_us": total // 1000,
            "upstream_us": upstream // 1000,
            "gateway_us": gateway // 1000,
            "bytes_in": self.body_size,
            "bytes_out": self.bytes_out,
            "client_address": self.address,
            "user_agent": clean_text(self.header(b"user-agent"), 300),
            "end_user": self.end_user,
            "tags": self.tags,
            "flags": self.flags,
            "decision": self.decision,
            "client_request_id": clean_text(self.header(b"x-client-request-id"), 200),
            "upstream_request_id": last.request_id if last is not None else "",
            "attempts": [self._attempt(attempt) for attempt in self.attempts],
        }

    def _attempt(self, attempt: Attempt) -> dict[str, object]:
        """An attempt as the record has it; one that was charged beside the last with what it used and cost."""
        credential = attempt.route.credential
        facts: dict[str, object] = {
            "credential_id": credential.id,
            "credential": credential.label,
            "provider": credential.provider,
            "model": attempt.route.upstream_model,
            "endpoint": attempt.way.name,
            "status": attempt.status,
            "error_code": attempt.error,
            "started_us": (attempt.started - self.started) // 1000,
            "total_us": (attempt.ended - attempt.started) // 1000,
            "upstream_request_id": attempt.request_id,
        }
        if credential.hosted:
            facts["hosted"] = True
        if attempt.usage is not None:
            facts["usage"] = usage_facts(attempt.usage)
            if (cost := attempt.cost) is not None and cost.pico is not None:
                facts["cost_usd"], facts["price_ids"] = usd(cost.pico), cost.price_ids
        return facts
