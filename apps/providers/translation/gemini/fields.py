"""Reading Gemini's objects: every field in either of its two spellings, null as absent, the wrong kind of value refused. Pure."""

import math
import re
from collections.abc import Mapping
from typing import Any

from apps.core.errors import InvalidValue
from apps.providers.translation.fields import json_bytes, wrong_type

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def spellings(*names: str) -> Mapping[str, str]:
    """For fields named in camel case: both spellings of each, and the one that they are read as."""
    return {spelled: name for name in names for spelled in (name, _CAPITAL.sub(r"_\1", name).lower())}


def fields(value: object, at: str, known: Mapping[str, str]) -> dict[str, Any]:
    """What an object says, under the names that `known` gives; others keep theirs. Raises BadRequest naming `at` or a field."""
    if not isinstance(value, dict):
        raise wrong_type(at, "an object")
    given: dict[str, Any] = {}
    for spelled, inner in value.items():
        if inner is None:
            continue
        name = known.get(spelled, spelled)
        if name in given:
            path = joined(at, name)
            raise InvalidValue(f"'{path}' is there in both of its spellings: keep one.", param=path)
        given[name] = inner
    return given


def unknown(given: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """The names that are not known, in order."""
    return [name for name in given if name not in known]


def joined(at: str, name: str) -> str:
    """The path of a field of the object at `at`."""
    return f"{at}.{name}" if at else name


def string(given: Mapping[str, Any], name: str, at: str) -> str:
    """A text; empty if it is absent. Raises InvalidType."""
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        path = joined(at, name)
        raise wrong_type(path, "a string")
    return value


def word(given: Mapping[str, Any], name: str, at: str) -> str:
    """One of an enumeration's words, in upper case; empty if it is absent or unspecified. Raises InvalidType."""
    said = string(given, name, at).upper()
    return "" if said.endswith("UNSPECIFIED") else said


def number(given: Mapping[str, Any], name: str, at: str) -> float | None:
    """A number. Raises InvalidType."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        path = joined(at, name)
        raise wrong_type(path, "a number")
    return value


def whole(given: Mapping[str, Any], name: str, at: str) -> int | None:
    """A whole number, which some clients write as 40.0. Raises InvalidType."""
    value = number(given, name, at)
    if value is None or isinstance(value, int):
        return value
    if not value.is_integer():
        path = joined(at, name)
        raise wrong_type(path, "a whole number")
    return int(value)


def boolean(given: Mapping[str, Any], name: str, at: str) -> bool | None:
    """True or false. Raises InvalidType."""
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        path = joined(at, name)
        raise wrong_type(path, "true or false")
    return value


def listed(given: Mapping[str, Any], name: str, at: str) -> list[Any]:
    """A list; one object alone stands for a list of it. Raises InvalidType."""
    value = given.get(name)
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        path = joined(at, name)
        raise wrong_type(path, "an array")
    return value


def strings(given: Mapping[str, Any], name: str, at: str) -> list[str]:
    """A list of texts. Raises InvalidType."""
    found = listed(given, name, at)
    if not all(isinstance(each, str) for each in found):
        path = joined(at, name)
        raise wrong_type(path, "an array of strings")
    return found


def json_text(value: object, at: str) -> str:
    """The value as JSON. Raises InvalidValue for what is nested too deeply."""
    return json_bytes(value, at).decode()
