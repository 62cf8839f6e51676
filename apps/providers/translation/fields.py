"""A client's JSON read field by field: what is wrong is told by its path, and what has no place is gathered. Pure."""

import re
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation.form import Json
from apps.providers.translation.losses import shown

COUNT_MAX = 1_000_000_000
_WHOLE_LEAST, _WHOLE_MOST = -(2**63), 2**63 - 1
_KINDS_MAX = 64
_PLACES = re.compile(r"\[\d+\]")
# Arrays and objects that may be put around a client's own JSON, of the 254 that orjson writes; as many are left for itself.
_AROUND = 100
_SURELY_FLAT = 254 - _AROUND


class Fields:
    """One JSON object; `path` is how messages call it, empty at the top. A field that is null is absent.

    What it gives is of the type that is asked for. Raises BadRequest naming the field for what is not.
    """

    __slots__ = ("json", "path")

    def __init__(self, json: Json, path: str = "") -> None:
        self.json, self.path = json, path

    def named(self, name: str) -> str:
        """The JSON path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the field says anything."""
        return self.json.get(name) is not None

    def others(self, known: AbstractSet[str]) -> Iterator[str]:
        """Names of fields that say something and are not among the known."""
        return (name for name, value in self.json.items() if name not in known and value is not None)

    # --- Texts ---

    def text(self, name: str) -> str:
        """A string; empty if absent."""
        value = self.json.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there, though it may be empty."""
        if self.json.get(name) is None:
            raise self.missing(name)
        return self.text(name)

    def filled_text(self, name: str) -> str:
        """A string that must be there and say something."""
        value = self.text(name)
        if not value:
            raise self.missing(name)
        return value

    def word(self, name: str, words: Collection[str]) -> str:
        """One of a few words; empty if absent."""
        value = self.text(name)
        if value and value not in words:
            raise self.impossible(name, f"use one of {', '.join(words)}")
        return value

    def texts(self, name: str) -> list[str]:
        """An array of strings; empty if absent."""
        found = self.items(name)
        for place, each in enumerate(found):
            if not isinstance(each, str):
                raise wrong_type(f"{self.named(name)}[{place}]", "a string")
        return found

    # --- Numbers and flags ---

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value = self.json.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def number(self, name: str) -> float | None:
        """A number, as it was written."""
        value = self.json.get(name)
        if value is not None and type(value) not in (int, float):
            raise self.wrong(name, "a number")
        return value

    def count(self, name: str) -> int | None:
        """A whole number from 0 to COUNT_MAX."""
        return self.whole(name, 0, COUNT_MAX)

    def whole(self, name: str, least: int = _WHOLE_LEAST, most: int = _WHOLE_MOST) -> int | None:
        """A whole number from `least` to `most`, which some clients write as 40.0."""
        value = self.json.get(name)
        if value is None:
            return None
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise self.wrong(name, "a whole number")
        if not least <= value <= most:
            raise self.impossible(name, f"use a whole number from {least} to {most}")
        return value

    # --- Objects and arrays ---

    def inner(self, name: str) -> "Fields | None":
        """An object."""
        value = self.json.get(name)
        return None if value is None else as_fields(value, self.named(name))

    def required_inner(self, name: str) -> "Fields":
        """An object that must be there."""
        found = self.inner(name)
        if found is None:
            raise self.missing(name)
        return found

    def items(self, name: str) -> list[Any]:
        """An array; empty if absent."""
        value = self.json.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "an array")
        return value

    def objects(self, name: str) -> "list[Fields]":
        """An array of objects; empty if absent."""
        path, found = self.named(name), self.items(name)
        for place, each in enumerate(found):
            if not isinstance(each, dict):
                raise wrong_type(f"{path}[{place}]", "an object")
        return [Fields(each, f"{path}[{place}]") for place, each in enumerate(found)]

    def free(self, name: str) -> Json | None:
        """An object that is the client's own affair, such as a JSON Schema, but for its depth."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        require_flat(value, self.named(name))
        return value

    # --- What is wrong with them ---

    def missing(self, name: str) -> BadRequest:
        """The error of a field that must be there."""
        return missing(self.named(name))

    def wrong(self, name: str, expected: str) -> BadRequest:
        """The error of a field of another type."""
        return wrong_type(self.named(name), expected)

    def impossible(self, name: str, remedy: str) -> BadRequest:
        """The error of a value of the right type that cannot be. `remedy`: as in "use auto or none"."""
        return wrong_value(self.named(name), remedy)


class Unkept:
    """What a reader meets and its request has no place for, each kind of it once: Request.left and Request.fatal.

    Of one kind are the same fields, wherever they stand in their arrays, unless the reader has a `kind` that tells better.
    """

    __slots__ = ("_left", "_refused", "fatal", "left")

    def __init__(self) -> None:
        self.left: list[str] = []
        self.fatal: dict[str, str] = {}
        self._left: set[str] = set()
        self._refused: set[str] = set()

    def leave(self, path: str, kind: str = "") -> None:
        """`path` is lost, and the answer is about the same without it."""
        if _is_new(kind or path, self._left):
            self.left.append(shown(path))

    def leave_others(self, fields: Fields, known: AbstractSet[str]) -> None:
        """Every field that says something and is not among the known is lost."""
        if not fields.json.keys() <= known:
            for name in fields.others(known):
                self.leave(fields.named(name))

    def refuse(self, path: str, remedy: str, kind: str = "") -> None:
        """Without `path` the request means something else. `remedy`: a sentence on what to do about it."""
        if _is_new(kind or path, self._refused):
            self.fatal[shown(path)] = remedy


def _is_new(path: str, kinds: set[str]) -> bool:
    kind = _PLACES.sub("[]", path)
    if kind in kinds or len(kinds) >= _KINDS_MAX:
        return False
    kinds.add(kind)
    return True


def parsed(body: bytes) -> Fields:
    """The fields of a body. Raises InvalidJson."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidJson(f"The request body is not valid JSON ({exc}): send a JSON object.") from exc
    if not isinstance(value, dict):
        raise InvalidJson("The request body must be a JSON object.")
    return Fields(value)


def as_fields(value: object, path: str) -> Fields:
    """The object that stands at `path`. Raises InvalidType."""
    if not isinstance(value, dict):
        raise wrong_type(path, "an object")
    return Fields(value, path)


def json_bytes(value: object, path: str) -> bytes:
    """JSON of what stands at `path`. Raises InvalidValue for what is nested too deeply."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        raise too_deep(path) from exc


def require_flat(value: object, path: str) -> None:
    """What stands at `path` must leave room for what others put around it. Raises InvalidValue."""
    written = json_bytes(value, path)
    if written.count(b"{") + written.count(b"[") > _SURELY_FLAT:
        for _ in range(_AROUND):
            value = [value]
        json_bytes(value, path)


def is_said(value: object) -> bool:
    """Whether a value says anything: null, an empty list or object and false do not."""
    return value not in (None, [], {}, False)


def missing(path: str) -> BadRequest:
    """The error of a field that must be there."""
    return MissingParameter(f"Missing required parameter: '{path}'.", param=path)


def wrong_type(path: str, expected: str) -> BadRequest:
    """The error of a field of another JSON type."""
    return InvalidType(f"Invalid type for '{path}': expected {expected}.", param=path)


def wrong_value(path: str, remedy: str) -> BadRequest:
    """The error of a field of the right type with an impossible value."""
    return InvalidValue(f"Invalid value for '{path}': {remedy}.", param=path)


def too_deep(path: str) -> BadRequest:
    """The error of JSON that nobody could write again."""
    return wrong_value(path, "it is nested too deeply, so make it flatter")
