"""How deep a JSON text is nested, against a reader that goes through it letter by letter."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.gateway.json_depth import is_deeper_than

# Strings that look like structure: what a quick count would be taken in by.
TEXTS = st.text(st.sampled_from('[]{}"\\/,:u0 é\n'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=40,
)


def depth_of(value: Any) -> int:
    """How many arrays and objects enclose the innermost, by walking what has been decoded."""
    match value:
        case list():
            return 1 + max(map(depth_of, value), default=0)
        case dict():
            return 1 + max(map(depth_of, value.values()), default=0)
        case _:
            return 0


@settings(max_examples=500, deadline=None)
@given(VALUES, st.booleans(), st.integers(0, 8), st.sampled_from([None, 1, "\t"]))
def test_the_depth_is_that_of_the_decoded_value(value: Any, plain: bool, limit: int, indent: int | str | None) -> None:
    body = json.dumps(value, ensure_ascii=plain, indent=indent).encode()
    assert is_deeper_than(body, limit) == (depth_of(value) > limit)


@pytest.mark.parametrize("limit", [1, 128])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]":', "}]")])
def test_the_limit_itself_is_allowed_and_one_more_is_not(limit: int, opening: str, closing: str) -> None:
    levels = depth_of(json.loads(opening + "0" + closing))
    times = limit // levels
    at_limit = opening * times + "0" + closing * times
    assert not is_deeper_than(at_limit.encode(), times * levels)
    assert is_deeper_than(f"[{at_limit}]".encode(), times * levels)


def test_many_brackets_beside_each_other_are_not_deep() -> None:
    assert not is_deeper_than(json.dumps([[]] * 1000).encode(), 2)
    assert not is_deeper_than(json.dumps(["[" * 1000, "{" * 1000]).encode(), 1)


def test_more_brackets_than_any_honest_request_has_are_too_many() -> None:
    assert is_deeper_than(b"[" + b"[]," * 1_000_000 + b"[]]", 128)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.text(st.sampled_from('[]{}"\\ a'), max_size=60).map(str.encode), st.integers(0, 5))
def test_what_is_no_json_at_all_is_no_error(junk: bytes, limit: int) -> None:
    assert is_deeper_than(junk, limit) in (True, False)


@pytest.mark.timeout(20)  # a reader that starts over at every quote would take hours
@pytest.mark.parametrize("end", [b"", b"\\", b'\\"'])
def test_a_string_that_never_ends_is_read_once(end: bytes) -> None:
    assert is_deeper_than(b"[" * 200 + b'"' + b'\\"' * 2_000_000 + end, 128)
