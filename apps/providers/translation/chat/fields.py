"""Reading a client's JSON field by field: what is wrong is told by its path, and what nobody has read is known. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from apps.core.errors import InvalidType, InvalidValue, MissingParameter

_WHOLE_MAX = 1_000_000_000_000
_NAME_MAX = 64  # characters of a client's field name that are shown
_STRANGE = re.compile(r"[^A-Za-z0-9_.\[\]-]")


class Fields:
    """The fields of one JSON object. null is absent everywhere. Raises BadRequest naming the path."""

    __slots__ = ("_read", "_said", "path")

    def __init__(self, said: object, path: str = "") -> None:
        if not isinstance(said, dict):
            raise InvalidType(f"Invalid type for '{path}': expected an object.", param=path or None)
        self._said: dict[str, Any] = said
        self._read: set[str] = set()
        self.path = path

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> Any:
        """Whatever is there; None if nothing is."""
        self._read.add(name)
        return self._said.get(name)

    def text(self, name: str) -> str:
        """A string; empty if there is none."""
        value = self.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there, though it may be empty."""
        if self.get(name) is None:
            raise self.missing(name)
        return self.text(name)

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "a boolean")
        return value

    def whole(self, name: str, least: int | None = 0) -> int | None:
        """A whole number, not below `least`."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "a whole number")
        lowest = -(2**63) if least is None else least
        highest = 2**63 - 1 if least is None else _WHOLE_MAX
        if not lowest <= value <= highest:
            raise InvalidValue(
                f"Invalid value for '{self.at(name)}': use a whole number from {lowest} to {highest}.",
                param=self.at(name),
            )
        return value

    def number(self, name: str) -> float | None:
        """A number."""
        value = self.get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self.wrong(name, "a number")
        return value

    def items(self, name: str) -> list[Any]:
        """An array; empty if there is none."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "an array")
        return value

    def inner(self, name: str) -> "Fields | None":
        """An object."""
        value = self.get(name)
        return None if value is None else Fields(value, self.at(name))

    def required_inner(self, name: str) -> "Fields":
        """An object that must be there."""
        found = self.inner(name)
        if found is None:
            raise self.missing(name)
        return found

    def objects(self, name: str) -> "list[Fields]":
        """An array of objects; empty if there is none."""
        path = self.at(name)
        return [Fields(item, f"{path}[{place}]") for place, item in enumerate(self.items(name))]

    def unread(self) -> Iterator[str]:
        """The names of fields that say something and that nobody has asked for."""
        for name, value in self._said.items():
            if name not in self._read and value is not None:
                yield _STRANGE.sub("?", name[:_NAME_MAX])

    def wrong(self, name: str, expected: str) -> InvalidType:
        """The error for a field of another type than `expected`."""
        return InvalidType(f"Invalid type for '{self.at(name)}': expected {expected}.", param=self.at(name))

    def missing(self, name: str) -> MissingParameter:
        """The error for a field that is not there."""
        return MissingParameter(f"Missing required parameter: '{self.at(name)}'.", param=self.at(name))

    def impossible(self, name: str, remedy: str) -> InvalidValue:
        """The error for a value that is none of those that there are. `remedy`: as in "use auto or none"."""
        return InvalidValue(f"Invalid value for '{self.at(name)}': {remedy}.", param=self.at(name))


class Lost:
    """What a reader has no place for: each kind once, by the path where it was met first."""

    __slots__ = ("_kinds", "fatal", "left")

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self.left: list[str] = []
        self.fatal: dict[str, str] = {}

    def leave(self, path: str, kind: str = "") -> None:
        """`path` is left out: the request means about the same without it. `kind`: what it is one of, if there may be many."""
        if (kind or path) not in self._kinds:
            self._kinds.add(kind or path)
            self.left.append(path)

    def leave_unread(self, fields: Fields, kind: str = "") -> None:
        """Every field that nobody has asked for. `kind`: what `fields` is one of."""
        for name in fields.unread():
            self.leave(fields.at(name), f"{kind}.{name}" if kind else "")

    def refuse(self, path: str, remedy: str, kind: str = "") -> None:
        """Without `path` the request would mean something else. `remedy`: a sentence on what to do about it."""
        if (kind or path) not in self._kinds:
            self._kinds.add(kind or path)
            self.fatal[path] = remedy
