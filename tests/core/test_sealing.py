"""Secrets at rest open where they were sealed, with the key they were sealed with, unaltered; and nowhere else."""

import dataclasses
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.ids import uuid7
from apps.core.sealing import Keyring, Place, SealingError

HERE = Place("providers_credential", uuid7(), "sealed_secret", uuid7())
SECRET = "sk-upstream-0123456789abcdef"
RING = Keyring.parse(Keyring.generate())


@given(st.text())
def test_a_sealed_secret_opens_where_it_was_sealed(secret: str) -> None:
    assert RING.open(RING.seal(secret, HERE), HERE) == secret


@pytest.mark.parametrize(
    "elsewhere",
    [
        dataclasses.replace(HERE, table="orgs_user"),
        dataclasses.replace(HERE, row=uuid7()),
        dataclasses.replace(HERE, column="other_secret"),
        dataclasses.replace(HERE, organization=uuid7()),
        dataclasses.replace(HERE, organization=None),
    ],
    ids=["table", "row", "column", "organization", "installation"],
)
def test_a_value_moved_to_another_place_does_not_open(elsewhere: Place) -> None:
    sealed = RING.seal(SECRET, HERE)
    with pytest.raises(SealingError, match="altered, moved"):
        RING.open(sealed, elsewhere)
    assert RING.open(sealed, HERE) == SECRET


def test_what_belongs_to_the_installation_does_not_open_as_an_organizations() -> None:
    installation = dataclasses.replace(HERE, organization=None)
    sealed = RING.seal(SECRET, installation)
    assert RING.open(sealed, installation) == SECRET
    for organization in (UUID(int=0), HERE.organization):
        with pytest.raises(SealingError):
            RING.open(sealed, dataclasses.replace(HERE, organization=organization))


def test_one_changed_byte_anywhere_is_found_out() -> None:
    sealed = RING.seal(SECRET, HERE)
    for position in range(len(sealed)):
        for change in (0x01, 0x80, 0xFF):
            altered = bytearray(sealed)
            altered[position] ^= change
            with pytest.raises(SealingError):
                RING.open(bytes(altered), HERE)


def test_a_value_cut_short_or_drawn_out_does_not_open() -> None:
    sealed = RING.seal(SECRET, HERE)
    for length in range(len(sealed)):
        with pytest.raises(SealingError):
            RING.open(sealed[:length], HERE)
    with pytest.raises(SealingError):
        RING.open(sealed + b"\x00", HERE)


@settings(max_examples=300)
@given(st.binary(max_size=80))
def test_bytes_that_were_never_sealed_are_refused_in_our_words(junk: bytes) -> None:
    with pytest.raises(SealingError):
        RING.open(junk, HERE)


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert len({RING.seal(SECRET, HERE) for _ in range(100)}) == 100
    assert SECRET.encode() not in RING.seal(SECRET, HERE)


def test_after_a_rotation_old_values_open_and_new_ones_need_the_new_key() -> None:
    old, new = Keyring.generate("old"), Keyring.generate("new")
    before, during, after = Keyring.parse(old), Keyring.parse(f"{new},{old}"), Keyring.parse(new)
    sealed_before, sealed_during = before.seal(SECRET, HERE), during.seal(SECRET, HERE)

    assert (before.key_id_of(sealed_before), during.key_id_of(sealed_during)) == ("old", "new")
    assert during.open(sealed_before, HERE) == during.open(sealed_during, HERE) == SECRET
    assert after.open(sealed_during, HERE) == SECRET
    with pytest.raises(SealingError, match="'old', which SEALING_KEYS does not hold"):
        after.open(sealed_before, HERE)


def test_another_key_of_the_same_id_does_not_open_and_the_error_keeps_the_secret() -> None:
    sealed = RING.seal(SECRET, HERE)
    with pytest.raises(SealingError, match="another key of the same id") as caught:
        Keyring.parse(Keyring.generate()).open(sealed, HERE)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "k1",
        "k1:",
        ":" + Keyring.generate().partition(":")[2],
        "k1:c2hvcnQ=",
        "k1:not base64!",
        "k1:ünïcode",
        "x" * 33 + ":" + Keyring.generate().partition(":")[2],
        Keyring.generate("k1") + "," + Keyring.generate("k1"),
        Keyring.generate("k1") + ",",
    ],
)
def test_sealing_keys_that_are_none_are_refused(raw: str) -> None:
    with pytest.raises(ValueError):
        Keyring.parse(raw)


@given(st.text(st.characters(exclude_characters=":,", exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=32))
def test_a_key_may_have_any_id_up_to_32_characters(key_id: str) -> None:
    ring = Keyring.parse(Keyring.generate(key_id))
    sealed = ring.seal(SECRET, HERE)
    assert ring.key_id_of(sealed) == key_id
    assert ring.open(sealed, HERE) == SECRET
