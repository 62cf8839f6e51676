"""A client's JSON, read field by field: what is wrong is named by its path, and what has no place once for each kind."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BadRequest, InvalidJson, InvalidType, InvalidValue, MissingParameter
from apps.providers.translation.fields import COUNT_MAX, Fields, Unkept, parsed, require_flat
from tests.translation.strategies import json_values

READERS: dict[str, Callable[[Fields, str], Any]] = {
    "text": Fields.text,
    "required_text": Fields.required_text,
    "filled_text": Fields.filled_text,
    "word": lambda fields, name: fields.word(name, ("a", "b")),
    "texts": Fields.texts,
    "flag": Fields.flag,
    "number": Fields.number,
    "count": Fields.count,
    "whole": Fields.whole,
    "inner": Fields.inner,
    "required_inner": Fields.required_inner,
    "items": Fields.items,
    "objects": Fields.objects,
    "free": Fields.free,
}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("kind", "value", "error", "message"),
    [
        ("text", 5, InvalidType, "Invalid type for 'a[0].x': expected a string."),
        ("required_text", None, MissingParameter, "Missing required parameter: 'a[0].x'."),
        ("filled_text", "", MissingParameter, "Missing required parameter: 'a[0].x'."),
        ("word", "c", InvalidValue, "Invalid value for 'a[0].x': use one of a, b."),
        ("texts", "a", InvalidType, "Invalid type for 'a[0].x': expected an array."),
        ("texts", ["a", 5], InvalidType, "Invalid type for 'a[0].x[1]': expected a string."),
        ("flag", 1, InvalidType, "Invalid type for 'a[0].x': expected true or false."),
        ("number", True, InvalidType, "Invalid type for 'a[0].x': expected a number."),
        ("count", 1.5, InvalidType, "Invalid type for 'a[0].x': expected a whole number."),
        ("count", True, InvalidType, "Invalid type for 'a[0].x': expected a whole number."),
        ("count", -1, InvalidValue, f"Invalid value for 'a[0].x': use a whole number from 0 to {COUNT_MAX}."),
        ("count", 1e300, InvalidValue, f"Invalid value for 'a[0].x': use a whole number from 0 to {COUNT_MAX}."),
        ("inner", [], InvalidType, "Invalid type for 'a[0].x': expected an object."),
        ("required_inner", None, MissingParameter, "Missing required parameter: 'a[0].x'."),
        ("objects", [{}, 5], InvalidType, "Invalid type for 'a[0].x[1]': expected an object."),
        ("free", 5, InvalidType, "Invalid type for 'a[0].x': expected an object."),
        ("free", nested(200), InvalidValue, "Invalid value for 'a[0].x': it is nested too deeply, so make it flatter."),
    ],
)
def test_what_is_wrong_is_named_by_its_path(kind: str, value: object, error: type[BadRequest], message: str) -> None:
    with pytest.raises(error) as caught:
        READERS[kind](Fields({"x": value}, "a[0]"), "x")
    assert caught.value.message == message
    assert caught.value.param in ("a[0].x", "a[0].x[1]")


@given(kind=st.sampled_from(sorted(READERS)), value=json_values(st.sampled_from(["a", "b", "x"])))
def test_any_value_is_of_the_type_asked_for_or_a_mistake_with_a_name(kind: str, value: Any) -> None:
    try:
        READERS[kind](Fields({"x": value}), "x")
    except BadRequest as exc:
        named = exc.param or ""
    else:
        return
    assert named.startswith("x")


@pytest.mark.parametrize("kind", sorted(set(READERS) - {"required_text", "filled_text", "required_inner"}))
def test_null_is_absent(kind: str) -> None:
    assert READERS[kind](Fields({"x": None}), "x") == READERS[kind](Fields({}), "x")
    assert not Fields({"x": None}).has("x")
    assert list(Fields({"x": None, "y": 0}).others(frozenset())) == ["y"]


def test_whole_numbers_may_be_written_with_a_point() -> None:
    found = Fields({"x": 40.0}).count("x")
    assert (found, type(found)) == (40, int)


def test_a_clients_own_json_leaves_room_for_what_is_around_it() -> None:
    flat = {"a": [{}] * 1000, "b": "[{" * 1000}
    assert Fields({"x": flat}).free("x") == flat
    assert Fields({"x": nested(150)}).free("x") == nested(150)
    for depth in (160, 253, 900):
        with pytest.raises(InvalidValue):
            require_flat(nested(depth), "x")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"[" * 3000])
def test_a_body_is_an_object(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        parsed(body)


def test_what_has_no_place_is_named_once_for_each_kind() -> None:
    unkept = Unkept()
    for place in range(3):
        unkept.leave(f"messages[{place}].mood")
        unkept.refuse(f"messages[{place}].content[{place + 1}]", "Leave it out.")
        unkept.refuse(f"input[{place}]", "Send it.", f"kind {place % 2}")
    assert unkept.left == ["messages[0].mood"]
    assert list(unkept.fatal) == ["messages[0].content[1]", "input[0]", "input[1]"]


def test_what_is_refused_and_what_is_left_at_one_place_are_both_named() -> None:
    unkept = Unkept()
    unkept.leave("messages[0].content[0]")
    unkept.refuse("messages[0].content[1]", "Leave it out.")
    assert (unkept.left, list(unkept.fatal)) == (["messages[0].content[0]"], ["messages[0].content[1]"])


@given(st.dictionaries(st.text(max_size=150), st.just(1), max_size=100))
def test_names_out_of_nowhere_can_break_nothing(said: dict[str, Any]) -> None:
    unkept = Unkept()
    unkept.leave_others(Fields(said, "a"), frozenset({"known"}))
    for path in [*said]:
        unkept.refuse(path, "Leave it out.")
    told = [*unkept.left, *unkept.fatal]
    assert all(len(path) <= 100 and path.isascii() and path.isprintable() and "," not in path for path in told)
    assert len(unkept.left) <= 64
    assert len(unkept.fatal) <= 64
