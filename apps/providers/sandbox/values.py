"""A value for a JSON schema: small, fixed, and valid, so that structured output and tool arguments parse."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from apps.providers.sandbox.errors import ApiError

_DEPTH = 32  # levels of nesting; a schema that needs more to be satisfied is recursive without a way out
_BRANCH = 8  # from this level on, what is optional is left out, so that recursive schemas end
_MOST_VALUES = 20_000  # in one answer, tried alternatives included

_FORMATS: Mapping[str, str] = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "sandbox.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://sandbox.example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Tried in this order against a `pattern`, which we do not otherwise understand.
_WORDS = "sandbox Sandbox SANDBOX s S ab AB abc ABC abcd ABCD a1 A1 AB12 ABC-123 sand_box sand-box @sandbox /sandbox"
_NUMBERS = "0 1 12 123 1234 12345 123456 1234567890 1.0 1.0.0 v1.0.0 12:00 #ffffff +15550100 555-0100 $1.00"
_CANDIDATES = (*_WORDS.split(), *_NUMBERS.split(), *_FORMATS.values())


def value_for(schema: object, *, name: str = "sandbox") -> Any:
    """A value that satisfies `schema`; `name`, the field's, is what free text says.

    Understands what OpenAI's structured outputs accept: types, enum, const, anyOf, oneOf, allOf, $ref and $defs, number
    and length bounds, formats, common patterns. Raises ApiError 400 for a schema it finds no value for.
    """
    return _Inventor(schema).value(schema, name, 0)


def _no_value(reason: str) -> ApiError:
    message = f"Invalid schema: the sandbox could not invent a value, because {reason}."
    return ApiError(400, message, param="response_format", code="invalid_json_schema")


class _Inventor:
    def __init__(self, root: object) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: object, name: str, depth: int) -> Any:
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            raise _no_value("it is too large or refers to itself without an end")
        if schema is True or schema == {}:
            return name
        if not isinstance(schema, dict):
            raise _no_value(f"the schema of {name!r} is not an object")
        schema = self._flat(schema, depth)
        if "const" in schema:
            return schema["const"]
        if isinstance(options := schema.get("enum"), list) and options:
            return options[0]
        for word in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(word), list) and branches:
                return self._first(branches, schema, word, name, depth)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            # The last resort of a recursive schema is null.
            kind = "null" if depth >= _BRANCH and "null" in kinds else (kinds[0] if kinds else None)
        else:
            kind = kinds
        match kind or _guessed(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return _string(schema, name)
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return True
            case "null":
                return None
            case other:
                raise _no_value(f"the type of {name!r} is {other!r}")

    def _flat(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """The schema with its references followed and its allOf merged in."""
        if depth > _DEPTH:
            raise _no_value("its allOf is nested too deep")
        for _ in range(_DEPTH):
            if isinstance(reference := schema.get("$ref"), str):
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = {**self._referred(reference), **rest}
            elif isinstance(parts := schema.get("allOf"), list):
                merged = {key: value for key, value in schema.items() if key != "allOf"}
                for part in parts:
                    merged = _merged(merged, self._flat(part, depth + 1) if isinstance(part, dict) else {})
                schema = merged
            else:
                return schema
        raise _no_value("its references lead in a circle")

    def _referred(self, reference: str) -> dict[str, Any]:
        target: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else []:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or key not in target:
                raise _no_value(f"{reference!r} leads nowhere")
            target = target[key]
        if not reference.startswith("#") or not isinstance(target, dict):
            raise _no_value(f"{reference!r} leads nowhere")
        return target

    def _first(self, branches: list[Any], schema: dict[str, Any], word: str, name: str, depth: int) -> Any:
        common = {key: value for key, value in schema.items() if key != word}
        nulls_first = depth >= _BRANCH
        ordered = sorted(branches, key=lambda branch: _is_null(branch) != nulls_first)
        refusal: ApiError | None = None
        for branch in ordered:
            try:
                return self.value(_merged(common, branch) if isinstance(branch, dict) else branch, name, depth + 1)
            except ApiError as exc:
                refusal = refusal or exc
        raise refusal or _no_value(f"{name!r} has no alternatives")

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        required = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        wanted = list(properties) if depth < _BRANCH else [name for name in properties if name in required]
        names = [*wanted, *(name for name in required if name not in properties)]
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems")
        items = [self.value(part, name, depth + 1) for part in first] if isinstance(first, list) else []
        least, most = _whole(schema, "minItems", 0), _whole(schema, "maxItems", 1_000)
        if least > 1_000:
            raise _no_value(f"{name!r} needs more than 1000 items")
        wanted = least if depth >= _BRANCH else min(max(least, 1, len(items)), most)
        if "items" not in schema or schema["items"] is False:
            wanted = max(least, len(items))
        while len(items) < wanted:
            items.append(self._item(schema, items, name, depth))
        return items

    def _item(self, schema: dict[str, Any], before: list[Any], name: str, depth: int) -> Any:
        item = self.value(schema.get("items", {}), name, depth + 1)
        if not schema.get("uniqueItems") or item not in before:
            return item
        options = schema["items"].get("enum", []) if isinstance(schema["items"], dict) else []
        for other in (*options, *_variations(item, len(before))):
            if other not in before:
                return other
        raise _no_value(f"the items of {name!r} cannot be unique")


def _is_null(branch: object) -> bool:
    return isinstance(branch, dict) and branch.get("type") == "null"


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    both = {**first, **second}
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        both["properties"] = {**first["properties"], **second["properties"]}
    if isinstance(first.get("required"), list) and isinstance(second.get("required"), list):
        both["required"] = [*first["required"], *second["required"]]
    return both


def _guessed(schema: dict[str, Any]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if {"minimum", "maximum", "multipleOf"} & schema.keys() else "string"


def _variations(item: object, count: int) -> Iterator[object]:
    if isinstance(item, str):
        yield f"{item}-{count + 1}"
    elif isinstance(item, bool):
        yield not item
    elif isinstance(item, int | float):
        yield item + count


def _whole(schema: dict[str, Any], key: str, default: int) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) and value >= 0 else default


def _string(schema: dict[str, Any], name: str) -> str:
    least, most = _whole(schema, "minLength", 0), _whole(schema, "maxLength", 1_000_000)
    if least > 1_000_000 or least > most:
        raise _no_value(f"{name!r} has impossible lengths")
    pattern, form = schema.get("pattern"), schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    plain = (name * (least // max(len(name), 1) + 1))[: max(least, min(len(name), most))]
    if not isinstance(pattern, str):
        return plain
    try:
        expression = re.compile(pattern)
    except re.error:
        raise _no_value(f"the pattern of {name!r} is not a regular expression") from None
    for candidate in (plain, *_CANDIDATES):
        if least <= len(candidate) <= most and expression.search(candidate):
            return candidate
    raise _no_value(f"it knows no text that matches the pattern {pattern!r} of {name!r}")


def _bound(schema: dict[str, Any], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(schema: dict[str, Any], *, whole: bool) -> int | float:
    step = _bound(schema, "multipleOf") or (1 if whole else 0.5)
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")

    def fits(number: float) -> bool:
        return not (
            (low is not None and number < low)
            or (above is not None and number <= above)
            or (high is not None and number > high)
            or (below is not None and number >= below)
            or (whole and number != int(number))
        )

    lowest = max((bound for bound in (low, above) if bound is not None), default=None)
    highest = min((bound for bound in (high, below) if bound is not None), default=None)
    start = 1 if lowest is None and (highest is None or highest > 1) else lowest if lowest is not None else highest
    assert start is not None  # noqa: S101  # one of the two bounds is set when 1 is not the start
    first = math.ceil(start / step)
    for multiple in (first, first + 1, first - 1, 0):
        number = multiple * step
        if fits(number):
            return int(number) if whole else number
    if not whole and "multipleOf" not in schema and lowest is not None and highest is not None:
        middle = (lowest + highest) / 2
        if fits(middle):
            return middle
    raise _no_value("a number's bounds leave nothing between them")
