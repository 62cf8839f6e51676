"""Why an attempt brought no answer, as far as it matters for what comes next."""

from dataclasses import dataclass
from typing import Literal

# failing: the provider's failure. limited: it takes no more for now. refused: it refuses the credential. content: what was asked,
# or its answer, is refused there and may not be elsewhere. request: nothing is held against the route.
type Kind = Literal["failing", "limited", "refused", "content", "request"]

# What may pass by itself: too many requests, conflicts and timeouts on the provider's side, and its own failures.
RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
REFUSED = frozenset({401, 402, 403})
_LIMITED = 429
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Failure:
    """`code`: of the error. `after`: seconds that the provider asks us to wait. `status`: HTTP's; 0: there was no answer.

    `takes_no_stream_options`: our own addition to the request is at fault. `lacks`: the server has no such endpoint.
    `refuses_betas`: what the client names in `anthropic-beta` and the server does not know.
    """

    kind: Kind = "failing"
    code: str = ""
    after: float | None = None
    status: int = 0
    takes_no_stream_options: bool = False
    lacks: str = ""
    refuses_betas: frozenset[str] = frozenset()

    @property
    def is_mended(self) -> bool:
        """Whether the same route answers what it is asked otherwise."""
        return self.takes_no_stream_options or bool(self.lacks) or bool(self.refuses_betas)


# How providers call, within an answer that has begun, what is not their failure.
_LIMITS = frozenset({"rate_limit_error", "rate_limit_exceeded", "too_many_requests", "RESOURCE_EXHAUSTED"})
_REQUESTS = frozenset(
    {
        "invalid_request_error",
        "invalid_request",
        "invalid_prompt",
        "request_too_large",
        "context_length_exceeded",
        "content_filter",
        "content_policy_violation",
        "INVALID_ARGUMENT",
        "FAILED_PRECONDITION",
    }
)


def failure_in_stream(code: str, status: int = 0) -> Failure:
    """What an error means that came as, or in, an answer of 200, by what the provider calls it."""
    if code in _LIMITS or status == _LIMITED:
        return Failure("limited", code, status=status)
    return Failure("request" if code in _REQUESTS else "failing", code, status=status)


def failure_of(status: int, code: str, after: float | None) -> Failure:
    """What a refusal with one of the RETRYABLE statuses means."""
    if status == _LIMITED:
        return Failure("limited", code, after, status)
    # A conflict is between calls, of which this one is the caller's.
    return Failure("request" if status == _CONFLICT else "failing", code, after, status)
