"""A client's JSON, read field by field: each of the type that it must have, or an error that names it. Pure."""

import re
from collections.abc import Collection
from typing import Any

from apps.core.errors import InvalidType, InvalidValue, MissingParameter
from apps.providers.translation.form import Json

_COUNT_MAX = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}", re.ASCII)


class Fields:
    """An object of the request and where it stands. null is absent everywhere."""

    __slots__ = ("json", "path")

    def __init__(self, json: Json, path: str = "") -> None:
        self.json = json
        self.path = path

    def named(self, name: str) -> str:
        """The JSON path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether the field is said."""
        return self.json.get(name) is not None

    def text(self, name: str) -> str:
        """A string; empty if absent. Raises InvalidType."""
        value = self.json.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there, though it may be empty. Raises MissingParameter, InvalidType."""
        if self.json.get(name) is None:
            raise self.missing(name)
        return self.text(name)

    def word(self, name: str, words: Collection[str]) -> str:
        """One of a few words; empty if absent. Raises InvalidType, InvalidValue."""
        value = self.text(name)
        if value and value not in words:
            raise self.impossible(name, f"use one of {', '.join(words)}")
        return value

    def boolean(self, name: str) -> bool | None:
        """Raises InvalidType."""
        value = self.json.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def number(self, name: str) -> float | None:
        """Any number, as it was written. Raises InvalidType."""
        value = self.json.get(name)
        if value is not None and type(value) not in (int, float):
            raise self.wrong(name, "a number")
        return value

    def count(self, name: str) -> int | None:
        """A whole number from 0. Raises InvalidType, InvalidValue."""
        value = self.json.get(name)
        if value is None:
            return None
        if type(value) is not int:
            raise self.wrong(name, "a whole number")
        if not 0 <= value <= _COUNT_MAX:
            raise self.impossible(name, f"use a whole number from 0 to {_COUNT_MAX}")
        return value

    def object(self, name: str) -> "Fields | None":
        """Raises InvalidType."""
        value = self.json.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, self.named(name))

    def objects(self, name: str) -> "list[Fields]":
        """An array of objects; empty if absent. Raises InvalidType."""
        value = self.json.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "an array of objects")
        path = self.named(name)
        for index, each in enumerate(value):
            if not isinstance(each, dict):
                raise InvalidType(f"Invalid type for '{path}[{index}]': expected an object.", param=f"{path}[{index}]")
        return [Fields(each, f"{path}[{index}]") for index, each in enumerate(value)]

    def texts(self, name: str) -> list[str]:
        """An array of strings; empty if absent. Raises InvalidType."""
        value = self.json.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "an array of strings")
        return value

    def missing(self, name: str) -> MissingParameter:
        """The error for a field that must be there."""
        param = self.named(name)
        return MissingParameter(f"Missing required parameter: '{param}'.", param=param)

    def wrong(self, name: str, expected: str) -> InvalidType:
        """The error for a field of another type."""
        param = self.named(name)
        return InvalidType(f"Invalid type for '{param}': expected {expected}.", param=param)

    def impossible(self, name: str, remedy: str) -> InvalidValue:
        """The error for a value of the right type that cannot be."""
        param = self.named(name)
        return InvalidValue(f"Invalid value for '{param}': {remedy}.", param=param)


class Notes:
    """What the reader meets and cannot keep, each kind of it once: as Request.left and Request.fatal."""

    __slots__ = ("_kinds", "fatal", "left")

    def __init__(self) -> None:
        self.left: list[str] = []
        self.fatal: dict[str, str] = {}
        self._kinds = set[str]()

    def leave(self, path: str, kind: str = "") -> None:
        """`path` is a hint that is lost; of a `kind` only the first is named, where there is one."""
        if not (kind and self._is_known(kind)):
            # A name out of nowhere may hold anything, and is told in a header.
            self.left.append(path if _NAME.fullmatch(path) else "(a field of another name)")

    def refuse(self, path: str, remedy: str, kind: str = "") -> None:
        """Without `path` the request means something else. `remedy`: a sentence."""
        if not (kind and self._is_known(kind)):
            self.fatal[path] = remedy

    def _is_known(self, kind: str) -> bool:
        known = kind in self._kinds
        self._kinds.add(kind)
        return known


def is_said(value: Any) -> bool:
    """Whether a value says anything: null, an empty list or object and false do not."""
    return value not in (None, [], {}, False)
