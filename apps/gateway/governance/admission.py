"""May the call be made now: caps, price, limits and budgets; what it takes of them is held until it is settled."""

from apps.core.errors import CountersUnavailable, InvalidValue, ModelUnpriced, PolicyRefusal, TooManyInputTokens
from apps.core.logs import get_logger
from apps.gateway import metrics
from apps.gateway.counters.counters import Counters, Packed, Unbuilt, Verdict
from apps.gateway.directory.views import Route
from apps.gateway.exchange import Exchange
from apps.gateway.governance.builder import Builder
from apps.gateway.governance.call import Call
from apps.gateway.governance.estimates import Typical, bounds
from apps.gateway.governance.governor import Governor
from apps.gateway.governance.hold import NO_HOLD, Hold, Unasked
from apps.gateway.governance.refusals import budget_exceeded, limit_exceeded, limit_headers
from apps.gateway.hedging import times_at_once
from apps.gateway.store.connection import command
from apps.policies.decision import written

log = get_logger(__name__)

_BUILDS = 3  # times that a call waits for budgets to be built: a window may end meanwhile
_HELD_MAX = 10**15  # nano-USD that one call may hold, a million USD: sums of such stay exact in the store
_LEARNT_MAX = 10_000  # models of organizations whose usual cost is remembered
UNPRICED = "unpriced"
UNASKED = "counters_unasked"


class Admission:
    """The stage before money is spent."""

    def __init__(self, counters: Counters, builder: Builder) -> None:
        self._counters, self._builder = counters, builder
        self._typical: dict[tuple[str, str], Typical] = {}
        self._unasked: set[str] = set()  # budgets that calls have passed without asking

    async def admit(self, exchange: Exchange, call: Call) -> Hold:
        """Take what the call may need of limits and budgets, all or nothing.

        Raises TooManyInputTokens, ModelUnpriced, LimitExceeded, BudgetExceeded, CountersUnavailable.
        """
        governor = call.token.governor
        policy = governor.policy
        if policy.max_input_tokens is not None or policy.max_output_tokens is not None:
            _cap(call)
        if not governor.counts:
            if not call.target.endpoint.keeps and call.routes[0].sheet(exchange.arrived_at) is None:
                _note_unpriced(exchange, call, policy.unpriced, budgets=False)
            return NO_HOLD
        packed = governor.packed(exchange.end_user, exchange.tags, call.target.endpoint.takes)
        request = packed.request
        typical = self._typical_of(call)
        amount = worst = attempt = most = 0
        if request.budgets:
            if call.head.background:
                raise InvalidValue(
                    "'background' is not possible where a budget applies: what it costs is known only after the answer.",
                    param="background",
                )
            most = _worst(exchange, call)
            usual = typical.cost() if policy.hold_estimate == "typical" else None
            attempt = most if usual is None else min(usual, most)
            times = times_at_once(call)
            amount, worst = attempt * times, most * times
        elif not call.target.endpoint.keeps and call.routes[0].sheet(exchange.arrived_at) is None:
            _note_unpriced(exchange, call, policy.unpriced, budgets=False)
        if not request.places and not request.budgets:
            return NO_HOLD
        tokens = _tokens(call, typical) if any(place.tokens is not None for place in request.places) else 0
        try:
            verdict = await self._ask(exchange, call, packed, amount=amount, worst=worst, tokens=tokens)
        except CountersUnavailable:
            if policy.store_failure != "open":
                raise
            log.warning("counters_unasked", request_id=exchange.shown_id.decode())
            exchange.flags.append(UNASKED)
            exchange.decision = {"hold": 0, "tokens": 0, "unasked": True}
            return Unasked({each.key for each in request.budgets}, self._unasked)
        if not verdict.refused:
            # At once: whatever goes wrong from here on, somebody settles it.
            exchange.hold = Hold(self._counters, exchange.id, amount, typical, attempt=attempt, worst=most)
        exchange.id_headers += limit_headers(call.target.endpoint.dialect, request, verdict.state, exchange.arrived_at)
        exchange.decision = decision = written(
            request.places, request.budgets, verdict.state, hold=amount, tokens=tokens
        )
        if call.skipped:
            decision["skipped"] = call.skipped
        if not verdict.refused:
            return exchange.hold
        decision["refused"] = (verdict.refused, verdict.which)
        if verdict.refused == "budget":
            budget = request.budgets[verdict.which]
            metrics.limit_refusals.labels(budget.rule.scope, "budget").inc()
            raise budget_exceeded(budget, verdict, len(request.places), worst)
        place = request.places[verdict.which]
        metrics.limit_refusals.labels(place.scope, verdict.refused).inc()
        raise limit_exceeded(policy, place, verdict, tokens)

    def uncounted(self, exchange: Exchange, governor: Governor) -> Hold:
        """For what is under way though nothing was taken for it: its budgets are built anew, at once and when it has ended."""
        request = governor.packed(exchange.end_user, exchange.tags, exchange.endpoint.takes).request
        return Unasked({each.key for each in request.budgets}, self._unasked)

    def forget_unasked(self) -> None:
        """The store is back: budgets that calls have passed without asking are to be built anew. Raises StoreAway."""
        if self._unasked:
            keys = list(self._unasked)
            self._counters.store.tell(command("DEL", *keys), lambda *_: self._unasked.update(keys))
            self._unasked.clear()

    async def _ask(
        self, exchange: Exchange, call: Call, packed: Packed, *, amount: int, worst: int, tokens: int
    ) -> Verdict:
        for _ in range(_BUILDS):
            try:
                return await self._counters.admit(packed, exchange.id, amount=amount, worst=worst, tokens=tokens)
            except Unbuilt as unbuilt:
                budgets = packed.request.budgets
                await self._builder.build(
                    call.token.organization_id, [budgets[position] for position in unbuilt.positions]
                )
        raise CountersUnavailable

    def _typical_of(self, call: Call) -> Typical:
        key = (call.token.organization, call.model.name)
        known = self._typical.get(key)
        if known is None:
            if len(self._typical) >= _LEARNT_MAX:
                del self._typical[next(iter(self._typical))]
            known = self._typical[key] = Typical()
        return known


def _cap(call: Call) -> None:
    """Hold the call to its policy's caps. Raises TooManyInputTokens, PolicyRefusal."""
    policy = call.token.governor.policy
    most = policy.max_input_tokens
    if most is not None and (about := call.about_input) > most:
        raise TooManyInputTokens(
            f"The request has about {about} input tokens, and {policy.sources['max_input_tokens'].describe()} allows {most}: "
            "send less."
        )
    cap = policy.max_output_tokens
    if cap == 0 and (call.writes or call.target.endpoint.made is not None):
        raise PolicyRefusal(f"No output is allowed by {policy.sources['max_output_tokens'].describe()}.")
    if cap is None or not call.writes:
        return
    asked = call.head.output_cap(call.target.endpoint.name)
    if asked is None or asked > cap:
        call.output_cap = cap


def _worst(exchange: Exchange, call: Call) -> int:
    """Nano-USD that the call costs at most, whichever route answers, rounded up; 0 if its model may be called without a price.

    Where unpriced models are refused, routes without a price are left out. Raises ModelUnpriced if none has one, and InvalidValue
    where more is asked for than anybody can mean.
    """
    head = call.head
    cap = call.output_cap if call.output_cap is not None else head.output_cap(call.target.endpoint.name)
    made = call.target.endpoint.made
    priced: list[Route] = []
    worst = 0
    for route in call.routes:
        sheet = route.sheet(exchange.arrived_at)
        if sheet is None:
            continue
        most = (
            bounds(head, call.body, output=call.writes, output_cap=cap, context=route.context, longest=route.longest)
            if made is None
            else made.bounds(head, call.body)
        )
        pico = sheet.bound(
            input_tokens=most.input_tokens,
            output_tokens=most.output_tokens,
            tier=head.service_tier or "",
            audio=most.audio,
            images=most.images,
            pictures=most.pictures,
            characters=most.characters,
            seconds=most.seconds,
            searches=most.units if most.units and sheet.prices_searches else most.searches,
        )
        if pico is not None:
            worst = max(worst, -(-pico // 1000))
            priced.append(route)
    if len(priced) < len(call.routes):
        rule = call.token.governor.policy.unpriced
        if not priced or rule not in {"deny", "deny_with_budget"}:
            _note_unpriced(exchange, call, rule, budgets=True)
        else:
            left_out = [route for route in call.routes if route not in priced]
            call.skipped += tuple((route.credential.label, "its price is not known") for route in left_out)
            call.routes = tuple(priced)
    if worst > _HELD_MAX:
        raise InvalidValue(
            "This call could cost more than 1,000,000 USD, which no budget can hold: ask for fewer output tokens, answers ('n') "
            "or tool calls."
        )
    return worst


def _note_unpriced(exchange: Exchange, call: Call, rule: str, *, budgets: bool) -> None:
    """A model without a price is refused, or flagged, never taken for free without a word. Raises ModelUnpriced."""
    if call.target.endpoint.is_free:
        return
    if rule == "deny" or (rule == "deny_with_budget" and budgets):
        source = call.token.governor.policy.sources["unpriced"].describe()
        why = "a budget applies to this call" if rule == "deny_with_budget" else f"{source} wants it known"
        raise ModelUnpriced(
            f"The price of '{call.model.name}' is not known, and {why}: an operator can set one (manage.py set_price).",
            param="model",
        )
    if rule != "allow":
        exchange.flags.append(UNPRICED)


def _tokens(call: Call, typical: Typical) -> int:
    """Tokens that limits count for the call until it is over: its input, and the output it asks for or usually has."""
    about = call.about_input
    if not call.writes:
        return about
    cap = call.output_cap if call.output_cap is not None else call.head.output_cap(call.target.endpoint.name)
    return about + (typical.output() if cap is None else cap) * call.head.answers
