"""docs/matrix.md is what the cells say, and its tables name no cell that is not played."""

from tests.sdk.cells import LOSSES, UNASKED, cells
from tests.sdk.matrix import PAGE, render


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m tests.sdk.matrix --write"


def test_every_loss_that_is_declared_is_played() -> None:
    played = {(cell.dialect, cell.upstream.name, cell.feature) for cell in cells()}
    assert set(LOSSES) <= played
    assert not {(dialect, feature) for dialect, _, feature in played} & set(UNASKED)


def test_no_two_cells_have_one_name() -> None:
    names = [str(cell) for cell in cells()]
    assert len(set(names)) == len(names)
