"""Examples for the schema: of an answer, made from the fields of its shape; of a body, as its shape says.

A shape says in its `example` what its texts hold: `example = {"name": "Support chat"}`. What can be made from a field's type and
name alone (ids, times, switches, words to choose from) it need not say.
"""

import zlib
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from rest_framework import serializers

from apps.api.frame.fields import RequestId, Strict, Usd
from apps.api.frame.operations import Shape
from apps.core.ids import request_id, uuid7_floor

MOMENT, LATER = "2026-11-21T15:00:00Z", "2027-02-19T15:00:00Z"
_SAID = "example"


def id_of(kind: str) -> str:
    """The id of the one service, token … that all examples speak of."""
    return str(_id(kind))


def _id(kind: str) -> UUID:
    return UUID(int=uuid7_floor(datetime(2026, 11, 21, 15, tzinfo=UTC)).int | zlib.crc32(kind.encode()))


REQUEST = request_id(_id("request"))
_USUAL: dict[str, Any] = {"enabled": True, "is_active": True, "created_by": id_of("user")}


def example_of(shape: Shape) -> dict[str, Any]:
    """What a shape looks like, filled in. Raises NotImplementedError for one that does not say what it must."""
    if issubclass(shape, Strict):
        found: dict[str, Any] | None = getattr(shape, _SAID, None)
        if found is None:
            raise NotImplementedError(f"{shape.__name__} has no `example`")
        return found
    said: dict[str, Any] = {}
    for each in reversed(shape.__mro__):
        said |= vars(each).get(_SAID, {})
    return {
        name: said[name] if name in said else _value(shape, name, field)
        for name, field in shape().fields.items()
        if name in said or _is_always_there(shape, field)
    }


def _is_always_there(shape: Shape, field: Any) -> bool:
    """Whether every answer has it. A model's fields say of themselves whether they must be written, not whether they are there."""
    return field.required or field.read_only or issubclass(shape, serializers.ModelSerializer)


def _kind(shape: Shape) -> str:
    """Of what a shape is: `token` of TokenShown and of what is made of it."""
    shown = [each.__name__.removesuffix("Shown") for each in shape.__mro__ if each.__name__.endswith("Shown")]
    return shown[-1].lower()


def _value(shape: Shape, name: str, field: Any) -> Any:
    if name in _USUAL:
        return _USUAL[name]
    if field.allow_null:
        return None
    match field:
        case serializers.UUIDField():
            return id_of(_kind(shape) if name == "id" else name)
        case RequestId():
            return REQUEST
        case serializers.DateTimeField():
            return MOMENT
        case serializers.BooleanField():
            return False
        case serializers.ChoiceField():
            return next(iter(field.choices))
        case Usd():
            return "12.50"
        case serializers.ListSerializer():
            return [example_of(cast("Shape", type(field.child)))]
        case serializers.ListField():
            return []
        case serializers.Serializer():
            return example_of(type(field))
        case _:
            raise NotImplementedError(f"{shape.__name__} does not say in its `example` what {name} holds")
