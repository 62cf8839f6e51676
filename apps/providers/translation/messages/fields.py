"""The fields of a request's JSON: every complaint names the path and the remedy. Pure."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter

type Json = dict[str, Any]

COUNT_MAX = 1_000_000_000
_KINDS_MAX = 64
_PLACES = re.compile(r"\[\d+\]")
# Arrays around a client's own JSON when its depth is tried: what others put around it fits into what orjson can write.
_AROUND = 100


class Fields:
    """One JSON object; `path` is how messages call it, empty at the top. A field that is null is absent."""

    __slots__ = ("json", "path")

    def __init__(self, json: Json, path: str = "") -> None:
        self.json, self.path = json, path

    def named(self, name: str) -> str:
        """How messages call the field."""
        return f"{self.path}.{name}" if self.path else name

    def text(self, name: str) -> str:
        """The field as text; empty if absent."""
        value = self.json.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise wrong_type(self.named(name), "a string")
        return value

    def required_text(self, name: str) -> str:
        """The field as text that is there and not empty."""
        value = self.text(name)
        if not value:
            raise missing(self.named(name), "a string")
        return value

    def flag(self, name: str) -> bool | None:
        """The field as true or false."""
        value = self.json.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong_type(self.named(name), "true or false")
        return value

    def count(self, name: str) -> int | None:
        """The field as a whole number that is not negative."""
        value = self.json.get(name)
        if value is None:
            return None
        if type(value) is not int:
            raise wrong_type(self.named(name), "a whole number")
        if not 0 <= value <= COUNT_MAX:
            raise wrong_value(self.named(name), f"use a whole number from 0 to {COUNT_MAX}")
        return value

    def number(self, name: str) -> float | None:
        """The field as a number."""
        value = self.json.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.named(name), "a number")
        return float(value)

    def inner(self, name: str) -> "Fields | None":
        """The field as an object."""
        value = self.json.get(name)
        return None if value is None else as_fields(value, self.named(name))

    def required_inner(self, name: str) -> "Fields":
        """The field as an object that is there."""
        found = self.inner(name)
        if found is None:
            raise missing(self.named(name), "an object")
        return found

    def items(self, name: str) -> list[Any]:
        """The field as an array; empty if absent."""
        value = self.json.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise wrong_type(self.named(name), "an array")
        return value

    def texts(self, name: str) -> list[str]:
        """The field as an array of strings."""
        found = self.items(name)
        for place, each in enumerate(found):
            if not isinstance(each, str):
                raise wrong_type(f"{self.named(name)}[{place}]", "a string")
        return found

    def free(self, name: str) -> Json | None:
        """The field as an object that is the client's own affair, but for its depth."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(self.named(name), "an object")
        nested: object = value
        for _ in range(_AROUND):
            nested = [nested]
        try:
            orjson.dumps(nested)
        except TypeError as exc:
            raise too_deep(self.named(name)) from exc
        return value

    def dumped(self, name: str) -> str:
        """The field as an object's JSON text; that of none if it is absent or empty."""
        value = self.json.get(name)
        if not value and (value is None or isinstance(value, dict)):
            return "{}"
        if not isinstance(value, dict):
            raise wrong_type(self.named(name), "an object")
        try:
            return orjson.dumps(value).decode()
        except TypeError as exc:
            raise too_deep(self.named(name)) from exc

    def others(self, known: frozenset[str]) -> Iterator[str]:
        """Names of fields that say something and are not among the known."""
        return (name for name, value in self.json.items() if name not in known and value is not None)


class Gathered:
    """What a request's reader meets and the canonical form has no place for, each kind of it once."""

    __slots__ = ("_left", "_refused", "fatal", "left")

    def __init__(self) -> None:
        self.left: list[str] = []
        self.fatal: dict[str, str] = {}
        self._left: set[str] = set()
        self._refused: set[str] = set()

    def leave(self, path: str) -> None:
        """It is lost, and the answer is about the same without it."""
        if _is_new(path, self._left):
            self.left.append(path)

    def refuse(self, path: str, remedy: str) -> None:
        """Without it the request means something else."""
        if _is_new(path, self._refused):
            self.fatal[path] = remedy


def _is_new(path: str, kinds: set[str]) -> bool:
    """Whether a path is of another kind than those before: the same fields, wherever they stand."""
    kind = _PLACES.sub("[]", path)
    if kind in kinds or len(kinds) >= _KINDS_MAX:
        return False
    kinds.add(kind)
    return True


def parsed(body: bytes) -> Fields:
    """The body's fields. Raises InvalidJson."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidJson(f"The request body is not valid JSON ({exc}): send a JSON object.") from exc
    if not isinstance(value, dict):
        raise InvalidJson("The request body must be a JSON object.")
    return Fields(value)


def as_fields(value: object, path: str) -> Fields:
    """An object that stands at `path`. Raises InvalidType."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object")
    return Fields(value, path)


def missing(path: str, expected: str) -> BadRequest:
    """The error of a field that must be there."""
    return MissingParameter(f"Missing required parameter: '{path}', {expected}.", param=path)


def wrong_type(path: str, expected: str) -> BadRequest:
    """The error of a field of another JSON type."""
    return InvalidType(f"Invalid type for '{path}': expected {expected}.", param=path)


def wrong_value(path: str, remedy: str) -> BadRequest:
    """The error of a field of an impossible value."""
    return InvalidValue(f"Invalid value for '{path}': {remedy}.", param=path)


def too_deep(path: str) -> BadRequest:
    """The error of JSON that nobody could write again."""
    return wrong_value(path, "it is nested too deeply, so make it flatter")
