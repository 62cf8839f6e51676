"""Two attempts at once: where the first byte is long in coming, a second route is asked as well, and the first that answers counts.

The other one is closed. Its provider was at work all the same, so it is charged: what it told, or else our estimate.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from apps.core.errors import FirstByteTimeout, GatewayError
from apps.gateway import metrics
from apps.gateway.attempts import Attempts
from apps.gateway.config import Timeouts
from apps.gateway.directory.views import Route
from apps.gateway.exchange import Attempt, Exchange
from apps.gateway.governance.call import Call
from apps.gateway.health.failure import REFUSED, RETRYABLE, Failure, failure_of
from apps.gateway.health.pacing import asked_to_wait
from apps.gateway.upstream.connection import Response

HEDGED = "hedged"  # a flag of records, and the error code of the attempt that was closed


def may_hedge(call: Call) -> bool:
    """Whether a second route may be asked: the policy says so, and the call may be made twice."""
    endpoint = call.target.endpoint
    return (
        bool(call.token.governor.policy.hedge_after)
        and len(call.routes) > 1
        and endpoint.repeatable
        and endpoint.made is None
        and endpoint.counted is None
        and call.form is None
        and call.keeping is None
    )


def times_at_once(call: Call) -> int:
    """How many attempts may be charged in full before it is known what any of them has cost."""
    return 2 if may_hedge(call) else 1


class FirstByte:
    """The limit of one attempt's first byte, in the place of the call's Watch, which both would share."""

    def __init__(self) -> None:
        self.timeout = asyncio.timeout(None)

    def begin(self, timeouts: Timeouts) -> None:
        """The request goes out: its answer is due."""
        self.timeout.reschedule(asyncio.get_running_loop().time() + min(timeouts.first_byte, timeouts.total))

    def sending(self) -> None:
        """Nothing: what comes in pieces is never sent twice."""


type Sending = Callable[[Attempt, FirstByte], Awaitable[Response]]


class Race:
    """One call's two attempts. `send` asks a provider; `failure_of_error` says what an error means of its route; `lost` charges."""

    def __init__(
        self,
        exchange: Exchange,
        attempts: Attempts,
        *,
        send: Sending,
        make: Callable[[Route], Attempt],
        failure_of_error: Callable[[Attempt, GatewayError], Failure | None],
        lost: Callable[[Attempt], None],
    ) -> None:
        """`make`: an attempt at a route."""
        self._exchange, self._attempts = exchange, attempts
        self._send, self._make = send, make
        self._failure_of_error, self._lost = failure_of_error, lost
        self._running: dict[asyncio.Task[Response], Attempt] = {}
        self._first: Attempt | None = None  # of those that run, the one that is not beside another

    async def run(self, attempt: Attempt, after: float) -> Response:
        """The answer that came first, of the attempt that is the exchange's last when this returns or raises.

        `attempt`: the one that begins. `after`: seconds until one that is alone gets another beside it. Raises GatewayError where
        both failed.
        """
        running = self._running
        self._first = attempt
        self._start(attempt)
        may_ask = True
        try:
            while True:
                patience = self._patience(after) if may_ask and len(running) == 1 else None
                done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    may_ask = self._ask_another()
                    continue
                for task in [each for each in running if each in done]:
                    if len(running) == 1 or _is_answer(task):
                        self._goes_on(running.pop(task))
                        return task.result()
                    self._fails(task)
        except asyncio.CancelledError:
            # The client has left, or we stop: the call ends with one of them, and the other is charged beside it.
            task, current = next(iter(running.items()))
            self._goes_on(current)
            self._close(task)
            raise
        finally:
            for task, loser in list(running.items()):
                self._close(task)
                loser.fail(HEDGED)
                self._lost(loser)

    def _patience(self, after: float) -> float:
        """Seconds until another route is asked beside the only one, which may have been slow for long."""
        (only,) = self._running.values()
        return max(0.0, after - (time.perf_counter_ns() - only.started) / 1e9)

    def _ask_another(self) -> bool:
        """The next route that works, beside the only one; False: there is none."""
        route = self._attempts.second()
        if route is None:
            return False
        second = self._make(route)
        self._exchange.attempts.append(second)
        if HEDGED not in self._exchange.flags:
            self._exchange.flags.append(HEDGED)
        self._start(second)
        return True

    def _start(self, attempt: Attempt) -> None:
        self._running[asyncio.create_task(self._open(attempt), name="hedged-attempt")] = attempt

    async def _open(self, attempt: Attempt) -> Response:
        """Ask, and wait for the first byte of the answer's body. Raises GatewayError."""
        first = FirstByte()
        response: Response | None = None
        try:
            async with first.timeout:
                response = await self._send(attempt, first)
                attempt.status = response.status
                await response.ready()
        except BaseException as exc:
            if response is not None:
                response.close()
            if isinstance(exc, TimeoutError):
                raise FirstByteTimeout from exc
            raise
        return response

    def _goes_on(self, attempt: Attempt) -> None:
        """It is the call's attempt from here on; the other one, if there is one, is over."""
        is_first = attempt is self._first
        listed = self._exchange.attempts
        if listed[-1] is not attempt:
            listed.remove(attempt)
            listed.append(attempt)
        if is_first:
            self._attempts.second_ends()
        else:
            self._attempts.second_goes_on()
        if HEDGED in self._exchange.flags:
            metrics.hedges.labels("first" if is_first else "second").inc()

    def _fails(self, task: asyncio.Task[Response]) -> None:
        """One of two has failed: the other goes on, and nobody need be told."""
        attempt = self._running.pop(task)
        is_first = attempt is self._first
        error = task.exception()
        failure: Failure | None
        if error is None:
            response = task.result()
            response.close()
            code = f"upstream_{response.status}"
            failure = _failure_of_answer(response, code)
        elif isinstance(error, GatewayError):
            code, failure = error.code, self._failure_of_error(attempt, error)
        else:
            raise error
        attempt.fail(code)
        if is_first:
            self._attempts.first_fails(failure)
            self._first = next(iter(self._running.values()))
        else:
            self._attempts.second_ends(failure)

    def _close(self, task: asyncio.Task[Response]) -> None:
        self._running.pop(task, None)
        task.add_done_callback(_forget)
        task.cancel()


def _is_answer(task: asyncio.Task[Response]) -> bool:
    """Whether it is an answer for the client, rather than a failure that another attempt may mend."""
    return task.exception() is None and task.result().status not in RETRYABLE | REFUSED


def _failure_of_answer(response: Response, code: str) -> Failure:
    if response.status in REFUSED:
        return Failure("refused", code, status=response.status)
    return failure_of(response.status, code, asked_to_wait(response.headers, time.time()))


def _forget(task: asyncio.Task[Response]) -> None:
    """Close what came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
