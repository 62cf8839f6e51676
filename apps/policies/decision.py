"""What limits and budgets said of one call, as its record keeps it: numbers of that moment, to be explained later. Pure.

{"hold": nano-USD held, "tokens": taken from limits of tokens a minute,
 "places": [[scope, subject, requests a minute | null, left, tokens a minute | null, left, concurrent | null, running], …],
 "budgets": [[id, subject, limit, spent, held], …]      nano-USD; ids are 32 hexadecimal digits
 "refused": [kind, position]                            requests, tokens, concurrency (a place) or budget; absent if admitted
 "skipped": [[credential's label, reason], …]           routes that a policy did not leave; absent if none
 "unasked": true}                                       the store was away, and the policy lets calls pass then
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNITS = 60_000  # one request or token in a bucket


@dataclass(frozen=True, slots=True)
class LimitThen:
    """A limit as it was. For a call that was admitted: after it; for one that was refused: before."""

    scope: str
    subject: str
    kind: str  # requests, tokens or concurrency
    limit: int
    remaining: int
    reset_seconds: float
    refused: bool


@dataclass(frozen=True, slots=True)
class BudgetThen:
    """A budget as it was, in nano-USD; likewise after or before."""

    budget_id: str
    subject: str
    limit: int
    spent: int
    held: int
    refused: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole of it."""

    hold: int
    tokens: int
    limits: tuple[LimitThen, ...]
    budgets: tuple[BudgetThen, ...]
    skipped: tuple[tuple[str, str], ...]
    unasked: bool


def read_decision(raw: Mapping[str, Any]) -> Decision:
    """A record's `decision`."""
    kind, position = raw.get("refused", ("", -1))
    limits = []
    for index, place in enumerate(raw.get("places", ())):
        scope, subject, rpm, left, tpm, left_tokens, most, running = place
        here = index == position
        if rpm is not None:
            limits.append(_bucket(scope, subject, "requests", rpm, left, here and kind == "requests"))
        if tpm is not None:
            limits.append(_bucket(scope, subject, "tokens", tpm, left_tokens, here and kind == "tokens"))
        if most is not None:
            refused = here and kind == "concurrency"
            limits.append(LimitThen(scope, subject, "concurrency", most, max(0, most - running), 0.0, refused))
    budgets = tuple(
        BudgetThen(id_, subject, limit, spent, held, refused=kind == "budget" and index == position)
        for index, (id_, subject, limit, spent, held) in enumerate(raw.get("budgets", ()))
    )
    skipped = tuple((label, reason) for label, reason in raw.get("skipped", ()))
    return Decision(raw.get("hold", 0), raw.get("tokens", 0), tuple(limits), budgets, skipped, bool(raw.get("unasked")))


def written(
    places: Sequence[Any], budgets: Sequence[Any], state: Sequence[int], *, hold: int, tokens: int, refused: Any = None
) -> dict[str, Any]:
    """As a record keeps it. `places`, `budgets`: of apps.policies.counters.plan; `state`: the store's answer."""
    raw: dict[str, Any] = {
        "hold": hold,
        "tokens": tokens,
        "places": [
            (
                place.scope,
                place.subject,
                place.requests,
                state[3 * i],
                place.tokens,
                state[3 * i + 1],
                place.concurrency,
                state[3 * i + 2],
            )
            for i, place in enumerate(places)
        ],
        "budgets": [
            (each.rule.id.hex, each.subject, each.rule.limit_nano, state[j], state[j + 1])
            for each, j in zip(budgets, range(3 * len(places), len(state), 2), strict=True)
        ],
    }
    if refused is not None:
        raw["refused"] = refused
    return raw


def _bucket(scope: str, subject: str, kind: str, limit: int, left: int, refused: bool) -> LimitThen:  # noqa: FBT001 - as in the tuple
    reset = (limit * UNITS - left) / limit / 1000 if limit else 0.0
    return LimitThen(scope, subject, kind, limit, max(0, left // UNITS), reset, refused)
