"""Gemini's schemas, which are a part of OpenAPI's, as JSON Schema, which everybody else speaks. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.translation.fields import wrong_type, wrong_value
from apps.providers.translation.gemini.fields import joined, spellings

_DEPTH_MAX = 100

_RENAMED = {
    **spellings(
        "anyOf",
        "additionalProperties",
        "maxItems",
        "minItems",
        "maxLength",
        "minLength",
        "maxProperties",
        "minProperties",
        "propertyOrdering",
    ),
    "defs": "$defs",
    "ref": "$ref",
}
_LENGTHS = frozenset({"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"})


def json_schema(schema: object, at: str) -> dict[str, Any]:
    """A schema of either style as JSON Schema, its properties in the order that it wants. Raises BadRequest naming `at`."""
    if not isinstance(schema, dict):
        raise wrong_type(at, "a schema, which is an object")
    return _converted(schema, at, 0)


def _converted(schema: Mapping[str, Any], at: str, depth: int) -> dict[str, Any]:
    if depth > _DEPTH_MAX:
        raise wrong_value(at, f"it is nested more than {_DEPTH_MAX} levels deep")
    given = {_RENAMED.get(name, name): value for name, value in schema.items() if value is not None}
    ordering = given.pop("propertyOrdering", None)
    nullable = given.pop("nullable", None) is True
    example = given.pop("example", None)
    found: dict[str, Any] = {}
    for name, value in given.items():
        convert = _KEYWORDS.get(name)
        kept = value if convert is None else convert(value, at, depth)
        if kept is not None:
            found[name] = kept
    if found.get("format") == "enum":
        del found["format"]  # Google's word beside a list of values
    if example is not None:
        found.setdefault("examples", [example])
    properties = found.get("properties")
    if isinstance(ordering, list) and isinstance(properties, dict):
        first = [name for name in ordering if isinstance(name, str) and name in properties]
        found["properties"] = {name: properties[name] for name in [*first, *properties]}
    return _nullable(found) if nullable else found


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind, choices, values = schema.get("type"), schema.get("anyOf"), schema.get("enum")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        schema["type"] = [*kind, "null"]
    if isinstance(choices, list):
        schema["anyOf"] = [*choices, {"type": "null"}]
    if isinstance(values, list) and None not in values:
        schema["enum"] = [*values, None]
    return schema


def _kind(value: object, _at: str, _depth: int) -> object:
    if isinstance(value, list):
        return [each.lower() if isinstance(each, str) else each for each in value]
    if not isinstance(value, str):
        return value
    return None if value.upper() == "TYPE_UNSPECIFIED" else value.lower()


def _inner(value: object, at: str, depth: int) -> object:
    """A schema, or a list of them, or true or false, which stay."""
    if isinstance(value, dict):
        return _converted(value, at, depth + 1)
    if isinstance(value, list):
        return [_converted(each, at, depth + 1) if isinstance(each, dict) else each for each in value]
    return value


def _named(value: object, at: str, depth: int) -> object:
    """Schemas by name."""
    if not isinstance(value, dict):
        path = joined(at, "properties")
        raise wrong_type(path, "an object")
    return {name: _inner(each, at, depth) for name, each in value.items()}


def _length(value: object, _at: str, _depth: int) -> object:
    """Google writes them as texts, since they have 64 bits."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value


_KEYWORDS: dict[str, Callable[[object, str, int], object]] = {
    "type": _kind,
    "properties": _named,
    "$defs": _named,
    "definitions": _named,
    "items": _inner,
    "additionalProperties": _inner,
    "anyOf": _inner,
    "oneOf": _inner,
    "allOf": _inner,
    "not": _inner,
    "prefixItems": _inner,
    **dict.fromkeys(_LENGTHS, _length),
}
