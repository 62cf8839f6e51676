"""What admission has taken for a call."""

from apps.gateway.counters.counters import Counters
from apps.gateway.governance.estimates import OUTPUT_USUAL, Typical
from apps.providers.usage import Usage, token_sum


class Hold:
    """Given back or spent by `settle`, once, whatever ends the call."""

    __slots__ = ("_attempt", "_counters", "_request_id", "_typical", "_worst", "amount")

    def __init__(
        self,
        counters: Counters | None,
        request_id: str,
        amount: int,
        typical: Typical | None,
        *,
        attempt: int = 0,
        worst: int = 0,
    ) -> None:
        """`amount`: nano-USD. Without counters nothing was taken. `attempt`: what of it is held for each attempt that answers;
        `worst`: the most that one can cost."""
        self._counters, self._request_id, self._typical = counters, request_id, typical
        self.amount = amount
        self._attempt, self._worst = attempt, worst

    @property
    def usual_output(self) -> int:
        """Output tokens that calls of this kind usually have, as far as is known."""
        return OUTPUT_USUAL if self._typical is None else self._typical.output()

    async def reaches(self, spent: int, times: int) -> bool:
        """Have enough held for `times` attempts beside those that have cost `spent` (nano-USD) already.

        False: a budget has no room for it, and nothing more is held. Raises CountersUnavailable.
        """
        more = spent + self._attempt * times - self.amount
        if self._counters is None or more <= 0:
            return True
        worst = spent + self._worst * times - self.amount
        if not await self._counters.hold_more(self._request_id, amount=more, worst=worst):
            return False
        self.amount += more
        return True

    def settle(self, usage: Usage, cost: int) -> None:
        """Replace what was held by what was used; `cost` in nano-USD. Later calls change nothing."""
        counters, self._counters = self._counters, None
        if counters is None:
            return
        counters.settle(self._request_id, cost=cost, tokens=total_tokens(usage))
        if self._typical is not None and usage.output is not None and not usage.estimated:
            self._typical.learn(cost, usage.output)


class Unasked(Hold):
    """A call that was let through while the store was away: its budgets are to be built anew, at once and when it has ended."""

    __slots__ = ("_budgets", "_forgotten")

    def __init__(self, budgets: set[str], forgotten: set[str]) -> None:
        """`budgets`: their keys, which are put into `forgotten`."""
        super().__init__(None, "", 0, None)
        self._budgets, self._forgotten = budgets, forgotten
        forgotten |= budgets

    def settle(self, usage: Usage, cost: int) -> None:
        """Its record is written: what it cost is the ledger's to tell."""
        del usage, cost
        budgets, self._budgets = self._budgets, set()
        self._forgotten |= budgets


NO_HOLD = Hold(None, "", 0, None)


def total_tokens(usage: Usage) -> int:
    """All tokens of a call, in and out, as limits of tokens a minute count them."""
    return token_sum(usage)
