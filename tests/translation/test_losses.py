"""What a request loses is named in a header, whatever the client has called it, or refused."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import UnsupportedParameter
from apps.providers.translation.losses import Losses


@given(st.lists(st.text(max_size=200), max_size=50))
def test_no_name_can_break_a_header(fields: list[str]) -> None:
    losses = Losses("warn", "it")
    for field in [*fields, "a\r\nset-cookie: b=c", "x" * 5000]:
        losses.hint(field)
    assert losses.header.isascii()
    assert losses.header.isprintable()
    assert len(losses.header) < 4000
    assert len(losses.header.split(", ")) <= 32


def test_names_are_told_in_order_and_once() -> None:
    losses = Losses("warn", "it")
    for field in ("seed", "messages[2].cache_control", "seed"):
        losses.hint(field)
    assert losses.header == "seed, messages[2].cache_control"


@pytest.mark.parametrize(("mode", "hints", "meanings"), [("strict", False, False), ("warn", True, False)])
def test_what_is_not_borne_is_refused(mode: Literal["strict", "warn"], hints: bool, meanings: bool) -> None:
    for lose, is_borne in ((Losses.hint, hints), (Losses.meaning, meanings)):
        losses = Losses(mode, "it")
        if is_borne:
            lose(losses, "seed")
        else:
            with pytest.raises(UnsupportedParameter) as refused:
                lose(losses, "seed")
            assert refused.value.param == "seed"


def test_what_an_operator_drops_is_not_told() -> None:
    losses = Losses("drop", "it")
    losses.hint("seed")
    losses.meaning("logit_bias")
    assert losses.header == ""
    with pytest.raises(UnsupportedParameter):
        losses.impossible("messages[0]")
