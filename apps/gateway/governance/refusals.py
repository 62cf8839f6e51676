"""What a call is told that a limit or a budget refuses, and the headers that tell every call how it stands."""

from datetime import UTC, datetime

from apps.core.errors import BudgetExceeded, LimitExceeded
from apps.gateway.counters.counters import Verdict
from apps.policies.counters.plan import NANO, Counted, Place, Request
from apps.policies.decision import UNITS
from apps.policies.effective import EffectivePolicy, Source
from apps.providers.dialects.dialect import Dialect

_KINDS = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "concurrency": "concurrent requests",
}
_SCOPES = {"token": "token", "service": "service", "organization": "organization", "end_user": "end user", "tag": "tag"}
_WINDOWS = {"day": "a day", "week": "a week", "month": "a month", "total": "in total"}
_SLOT_WAIT = 1000  # milliseconds: when a running request ends is not known

Headers = list[tuple[bytes, bytes]]


def limit_exceeded(policy: EffectivePolicy, place: Place, verdict: Verdict, tokens: int) -> LimitExceeded:
    """The refusal of a limit: which, whose, and when to come again."""
    kind = verdict.refused
    left, left_tokens, running = verdict.state[3 * verdict.which : 3 * verdict.which + 3]
    limit, wait = _wait(place, kind, left, left_tokens, tokens)
    rule = next(
        (each for each in policy.limits if (each.scope, each.subject, each.kind) == (place.scope, place.subject, kind)),
        None,
    )
    source = Source(rule.layer, rule.policy_name).describe() if rule is not None else "a policy"
    message = f"Limit reached: {source} allows this {_SCOPES[place.scope]} {limit} {_KINDS[kind]}"
    if kind == "tokens" and tokens > limit > 0:
        message += f", and this request alone counts as about {tokens}: ask for less, or for fewer output tokens."
    elif kind == "concurrency":
        message += f", and {running} are running. Try again when one has ended."
    else:
        message += f". Try again in {wait / 1000:.1f} s." if wait is not None else "."
    headers: Headers = []
    if wait is not None:
        headers = [(b"retry-after", b"%d" % -(-wait // 1000)), (b"retry-after-ms", b"%d" % wait)]
    error = LimitExceeded(
        message,
        kind=kind,
        headers=headers,
        details={"scope": place.scope, "kind": kind, "limit": limit},
    )
    error.retryable = None if wait is not None else False
    return error


def _wait(place: Place, kind: str, left: int, left_tokens: int, tokens: int) -> tuple[int, int | None]:
    """The limit, and milliseconds until there is room; None: never."""
    if kind == "concurrency":
        limit = place.concurrency or 0
        return limit, _SLOT_WAIT if limit else None
    limit, level, need = (
        (place.requests or 0, left, UNITS)
        if kind == "requests"
        else (place.tokens or 0, left_tokens, max(tokens * UNITS, 1))
    )
    if not limit or need > limit * UNITS:
        return limit, None
    return limit, max(1, -(-(need - level) // limit))


def budget_exceeded(budget: Counted, verdict: Verdict, places: int, amount: int) -> BudgetExceeded:
    """The refusal of a budget: whose, how much of it is gone, and when it begins anew. `amount`: nano-USD wanted."""
    spent, held = verdict.state[3 * places + 2 * verdict.which : 3 * places + 2 * verdict.which + 2]
    rule = budget.rule
    scope = rule.holder or rule.scope
    ends = budget.span.ends
    window = f"in {rule.rolling_days} days" if rule.rolling_days else _WINDOWS[rule.window]
    resets_at = None if ends == float("inf") else datetime.fromtimestamp(ends, UTC).isoformat().replace("+00:00", "Z")
    message = (
        f"Budget exceeded: the {_SCOPES[scope]}'s budget of {usd_text(rule.limit_nano)} USD {window} has no room for this call, "
        f"which may cost up to {usd_text(amount)} USD: {usd_text(spent)} USD are spent and {usd_text(held)} USD are held by "
        "running calls."
    )
    if resets_at:
        message += (
            f" It begins anew at {resets_at}." if not rule.rolling_days else f" Some of it returns at {resets_at}."
        )
    return BudgetExceeded(
        message,
        details={
            "scope": scope,
            "window": f"rolling:{rule.rolling_days}" if rule.rolling_days else rule.window,
            "budget_id": str(rule.id),
            "limit": usd_text(rule.limit_nano),
            "spent": usd_text(spent),
            "held": usd_text(held),
            "resets_at": resets_at,
        },
    )


def limit_headers(dialect: Dialect, request: Request, state: list[int], now: float) -> Headers:
    """How the caller stands, as its clients read it: of requests and of tokens, the limit that has least left."""
    requests = tokens = None
    for i, place in enumerate(request.places):
        left, left_tokens = state[3 * i], state[3 * i + 1]
        if place.requests is not None and (requests is None or left < requests[1]):
            requests = (place.requests, left)
        if place.tokens is not None and (tokens is None or left_tokens < tokens[1]):
            tokens = (place.tokens, left_tokens)
    headers: Headers = []
    if requests is not None:
        limit, left = requests
        headers += dialect.limit_headers("requests", limit, max(0, left // UNITS), _refilled(limit, left), now)
    if tokens is not None:
        limit, left = tokens
        headers += dialect.limit_headers("tokens", limit, max(0, left // UNITS), _refilled(limit, left), now)
    return headers


def _refilled(limit: int, left: int) -> int:
    """Milliseconds until all of a bucket is there again."""
    return -(-(limit * UNITS - left) // limit) if limit else 0


def usd_text(nano: int) -> str:
    """Nano-USD as USD, exact, with two decimals at least."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    whole, part = divmod(nano, NANO)
    decimals = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"
