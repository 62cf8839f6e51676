"""Names like an unknown one: the likeliest first, few, and found in bounded time whatever is asked."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.directory.near import Neighbours

NAMES = ["gpt-4o", "gpt-4o-mini", "gpt-5-mini", "claude-haiku-4-5", "claude-sonnet-4-5", "fast"]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("gpt-4o-mni", "gpt-4o-mini"),
        ("GPT-4o", "gpt-4o"),
        ("gpt4o", "gpt-4o"),
        ("claude-haiku-4.5", "claude-haiku-4-5"),
        ("claude-4-5-sonnet", "claude-sonnet-4-5"),
        ("fats", "fast"),
    ],
)
def test_the_likeliest_is_first(asked: str, first: str) -> None:
    assert Neighbours(NAMES).of(asked)[0] == first


@pytest.mark.parametrize("asked", ["", "x", "whisper", "llama-3.3-70b"])
def test_nothing_is_like_what_is_altogether_different(asked: str) -> None:
    assert Neighbours(NAMES).of(asked) == []


@given(st.lists(st.text(max_size=20), max_size=30), st.text(max_size=300))
def test_what_is_found_is_a_name_and_there_are_few(names: list[str], asked: str) -> None:
    found = Neighbours(names).of(asked)
    assert set(found) <= set(names)
    assert len(found) <= 5


def test_the_work_is_bounded() -> None:
    names = Neighbours("gpt-" * 60 + str(number) for number in range(100_000))
    started = time.process_time()
    for _ in range(10):
        names.of("gpt-" * 60 + "x" * 1000)
    assert time.process_time() - started < 1, "ten times the worst case"
