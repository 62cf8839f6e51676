"""A token's form tells a typing error from an unknown token, without a look-up."""

import re
from string import ascii_letters, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.services.tokens import LENGTH, PREFIX, masked, token_digest, token_generate, token_is_well_formed

ALPHABET = digits + ascii_letters
TOKENS = st.builds(token_generate)


def test_a_token_is_well_formed_and_never_the_same() -> None:
    made = {token_generate() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"tg_live_[0-9A-Za-z]{49}", token) and token_is_well_formed(token) for token in made)
    assert len({token_digest(token) for token in made}) == 1000


def test_every_letter_of_the_random_part_varies() -> None:
    columns = zip(*(token_generate()[len(PREFIX) :] for _ in range(400)), strict=True)
    # 62^43 exceeds 2^256 by little, so even the first letter takes most of its values.
    assert all(len(set(column)) > 2 for column in columns)


def test_a_typo_in_any_one_letter_is_detected() -> None:
    token = token_generate()
    for position in range(len(token)):
        for letter in ALPHABET + "_- \n":
            if letter != token[position]:
                assert not token_is_well_formed(token[:position] + letter + token[position + 1 :])


@settings(max_examples=200)
@given(TOKENS)
def test_two_neighbours_swapped_are_detected(token: str) -> None:
    for position in range(LENGTH - 1):
        swapped = token[:position] + token[position + 1] + token[position] + token[position + 2 :]
        assert swapped == token or not token_is_well_formed(swapped)


def test_a_part_of_a_token_or_more_than_one_is_detected() -> None:
    token = token_generate()
    for length in range(LENGTH):
        assert not token_is_well_formed(token[:length])
        assert not token_is_well_formed(token[length + 1 :])
    for more in (" ", "\n", "0", token):
        assert not token_is_well_formed(token + more)
        assert not token_is_well_formed(more + token)


@pytest.mark.parametrize(
    "foreign", ["", "sk-proj-0123456789abcdef", "tg_test_" + "0" * 49, "tg_live_", "tg_live_" + "é" * 49, "\x00"]
)
def test_another_systems_key_is_not_ours(foreign: str) -> None:
    assert not token_is_well_formed(foreign)


@given(st.text(max_size=80) | st.text(st.sampled_from(ALPHABET), min_size=49, max_size=49).map(PREFIX.__add__))
def test_nothing_made_up_is_well_formed(made_up: str) -> None:
    assert not token_is_well_formed(made_up)  # one in four billion would be


def test_what_is_shown_afterwards_is_the_hint_alone() -> None:
    token = token_generate()
    assert masked(token[-4:]) == f"tg_live_…{token[-4:]}"
