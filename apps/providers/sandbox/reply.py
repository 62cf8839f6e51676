"""A finished answer, before anything is done to spoil it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from apps.providers.sandbox.errors import ApiError

CREATED = 1_767_225_600  # 2026-01-01T00:00:00Z, Unix seconds: the creation time of everything the sandbox makes
FINGERPRINT = "fp_sandbox"
STREAM_ERROR = "The server had an error while processing your request. The sandbox was asked to fail half-way."


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: a whole body, or a stream's events, each complete with its blank line."""

    status: int
    body: bytes = b""
    events: tuple[bytes, ...] | None = None
    error_event: Callable[[int], bytes] = lambda number: b""  # noqa: ARG005  # how the stream says that it failed after `number` events
    headers: Mapping[str, str] = MappingProxyType({})
    content_type: str = "application/json"

    @property
    def size(self) -> int:
        """Bytes of the body, or of all events."""
        return len(self.body) + sum(map(len, self.events or ()))


def whole(value: object, *, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status, orjson.dumps(value))


def refusal(error: ApiError) -> Reply:
    """An error as an answer."""
    return Reply(error.status, error.body, headers=error.headers)


def stream(events: list[bytes], error_event: Callable[[int], bytes]) -> Reply:
    """An event stream."""
    return Reply(200, events=tuple(events), error_event=error_event, content_type="text/event-stream; charset=utf-8")
