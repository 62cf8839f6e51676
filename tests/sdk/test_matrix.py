"""Every official client, unmodified, against providers of every dialect: what docs/matrix.md promises, cell by cell."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.sdk.cells import Cell, cells
from tests.sdk.features import FEATURES
from tests.sdk.scenes import Client, Refused

if TYPE_CHECKING:
    from tests.support.tenant import Tenant


@pytest.mark.parametrize("cell", list(cells()), ids=str)
def test_cell(cell: Cell, tollgate: "Tenant", client_named: Callable[..., Client]) -> None:
    """What is kept is kept under a policy that refuses every loss; a hint is lost only where losses are told, as by default."""
    feature, loss = FEATURES[cell.feature], cell.loss
    if loss is None:
        feature.check(client_named(cell.client, strict=True), cell.model, cell.upstream)
        return
    if loss.is_hint:
        feature.check(client_named(cell.client), cell.model, cell.upstream)
    with pytest.raises(Refused) as caught:
        feature.check(client_named(cell.client, strict=loss.is_hint), cell.model, cell.upstream)
    assert caught.value.status == 400
    assert f"'{loss.param}'" in caught.value.message
