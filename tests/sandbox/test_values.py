"""Values invented for JSON schemas are valid under them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.sandbox.errors import ApiError
from apps.providers.sandbox.values import value_for

NODE: Any = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "value": {"type": "integer"},
            },
            "required": ["next", "value"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "sandbox"),
        ({"type": "string"}, "sandbox"),
        ({"type": "string", "maxLength": 4}, "sand"),
        ({"type": "string", "minLength": 9}, "sandboxsa"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}$"}, "AB12"),
        ({"type": ["null", "string"]}, None),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"enum": ["x", "y"]}, "x"),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, [1, None]),
        ({"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a", "b"]}, {"a": 1.0, "b": "b"}),
        (
            {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 7}]}, 7),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1}, 0.05),
    ],
)
def test_a_value_satisfies_its_schema(schema: Any, value: Any) -> None:
    assert value_for(schema) == value


def test_a_recursive_schema_ends() -> None:
    value, depth = value_for(NODE), 0
    while value:
        value, depth = value["next"], depth + 1
    assert 1 <= depth < 10


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "https://example.com/schema"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "string", "pattern": "^x{7}y$"},
        {"type": "string", "pattern": "("},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "fruit"},
        {"type": "array", "items": {"type": "null"}, "minItems": 2, "uniqueItems": True},
        {"anyOf": [{"anyOf": [{"$ref": "#"}] * 20}] * 20},
        False,
        "string",
    ],
)
def test_a_schema_that_nothing_satisfies_is_refused(schema: Any) -> None:
    with pytest.raises(ApiError) as refused:
        value_for(schema)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json_schema")


@given(st.integers(-1000, 1000), st.integers(0, 50), st.integers(1, 9))
def test_bounds_of_integers_hold(low: int, width: int, step: int) -> None:
    schema = {"type": "integer", "minimum": low, "maximum": low + width, "multipleOf": step}
    possible = [number for number in range(low, low + width + 1) if number % step == 0]
    try:
        assert value_for(schema) in possible
    except ApiError:
        assert not possible
