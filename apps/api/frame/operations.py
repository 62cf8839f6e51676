"""What one verb of one path takes and gives: read by the view that serves it and by the schema that describes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers

type Shape = type[serializers.Serializer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One verb of one path."""

    summary: str
    takes: Shape | None = None  # the body
    query: Shape | None = None
    gives: Shape | None = None  # None: no body
    status: int = 200
    paged: bool = False  # `gives` is one of many
    needs_match: bool = False  # If-Match must be there
    text: Mapping[str, Callable[[], str]] = field(
        default_factory=dict
    )  # content types other than JSON, with an example

    @property
    def creates(self) -> bool:
        """Whether an Idempotency-Key makes it safe to repeat."""
        return self.status == 201


def operation[**P, R](summary: str, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say what a handler takes and gives. `options`: the fields of Operation."""
    found = Operation(summary=summary, **options)

    def note(handler: Callable[P, R]) -> Callable[P, R]:
        handler.operation = found  # type: ignore[attr-defined]  # read by operation_of
        return handler

    return note


def operation_of(handler: Any) -> Operation | None:
    """What a handler takes and gives; None: nothing was said."""
    found: Operation | None = getattr(handler, "operation", None)
    return found
