"""What a dialect is: everything that depends on which API a client speaks, as pure functions under the same names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.errors import GatewayError
from apps.providers.dialects.heads import Head
from apps.providers.usage import Answer

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A model, as lists show it."""

    name: str
    created: int  # Unix seconds
    owned_by: str
    context: int | None  # the most input tokens, where known
    longest: int | None  # the most output tokens, where known


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API's words. Heads go back only to the dialect that read them, so their type is its own affair."""

    name: str  # as in records

    # --- Requests ---

    # The body of a call to this endpoint. Raises BadRequest naming the field.
    read_head: Callable[[bytes, str], Head]
    # The same body with each field that is decided on once, as it was read.
    unambiguous: Callable[[bytes], bytes]
    # body, head, name: the same body asking for the model by another name.
    naming: Callable[[bytes, Any, str], bytes]
    # body, head, endpoint, cap, default: the same body with no more than `cap` output tokens asked for; where the dialect has
    # several names for it and the body has none, under `default`.
    capping_output: Callable[[bytes, Any, str, int, str], bytes]
    # The same body with a stream's usage asked for. For endpoints whose streams tell it only then.
    asking_for_usage: Callable[[bytes, Any], bytes]
    # A client's headers that pass on to the provider, and those it gets where the client sends none.
    to_upstream: tuple[bytes, ...]
    defaults: Headers
    # Where several headers carry different tokens, the one that counts; empty: none does.
    token_header: bytes = b""

    # --- Answers ---

    # Usage, model and tier of a whole answer. What cannot be read tells nothing.
    read_answer: Callable[[bytes], Answer]
    # kind ("requests", "tokens"), limit, remaining, milliseconds until all of it is there again, now (Unix seconds).
    limit_headers: Callable[[str, int, int, int, float], Headers]
    # Models by name, and the query of the request for them. Raises BadRequest.
    model_list: Callable[[Sequence[Listed], bytes], bytes]
    model_body: Callable[[Listed], bytes]

    # --- Errors ---

    # The status that clients of this dialect know for an error.
    status: Callable[[GatewayError], int]
    # error, request id.
    error_body: Callable[[GatewayError, str], bytes]
    # error, endpoint, number of events that have passed, request id: an error in the middle of a stream. Nothing follows it.
    error_event: Callable[[GatewayError, str, int, str], bytes]
