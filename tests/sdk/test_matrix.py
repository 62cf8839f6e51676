"""Every official client, unmodified, against providers of every dialect: what docs/matrix.md promises, cell by cell."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.sdk.cells import LOSSES, Cell, cells, model_of
from tests.sdk.clients import openai_chat, openai_responses
from tests.sdk.features import FEATURES, PAPER
from tests.sdk.scenes import ONE_CITY, Ask, Client, Refused

if TYPE_CHECKING:
    from tests.support.tenant import Tenant


@pytest.mark.timeout(400)  # the first of them waits for all providers to be added
@pytest.mark.parametrize("cell", list(cells()), ids=str)
def test_cell(cell: Cell, tollgate: "Tenant", client_named: Callable[..., Client]) -> None:
    """What is kept is kept under a policy that refuses every loss; a hint is lost only where losses are told, as by default."""
    feature, loss = FEATURES[cell.feature], cell.loss
    if loss is None:
        feature.check(client_named(cell.client, strict=True), cell.model, cell.upstream)
        return
    if loss.how == "unheeded":
        with pytest.raises(AssertionError):
            feature.check(client_named(cell.client, strict=True), cell.model, cell.upstream)
        return
    if loss.how == "hint":
        feature.check(client_named(cell.client), cell.model, cell.upstream)
    with pytest.raises(Refused) as caught:
        feature.check(client_named(cell.client, strict=loss.how == "hint"), cell.model, cell.upstream)
    if loss.how == "by it":
        assert (caught.value.status, caught.value.kind) in _ITS_REFUSALS
        assert loss.param in caught.value.message
    else:
        assert caught.value.status == 400
        assert f"'{loss.param}'" in caught.value.message


# How a client of chat tells that the provider has refused its request.
_ITS_REFUSALS = frozenset({(400, "BadRequestError"), (422, "UnprocessableEntityError")})
HINTS = [
    (openai_chat.request, "/v1/chat/completions", "chat", "document", {"document": PAPER}),
    (openai_responses.request, "/v1/responses", "responses", "document", {"document": PAPER}),
    (openai_responses.request, "/v1/responses", "responses", "tool", {"tool": True, "text": ONE_CITY}),
]


@pytest.mark.usefixtures("client_named")  # which makes the tenant's own token a strict one
@pytest.mark.parametrize(("request_of", "path", "dialect", "feature", "asked"), HINTS, ids=range(len(HINTS)))
def test_the_answer_names_the_hints_that_it_was_given_without(
    tollgate: "Tenant",
    request_of: Callable[[Ask], dict[str, Any]],
    path: str,
    dialect: str,
    feature: str,
    asked: dict[str, Any],
) -> None:
    body = request_of(Ask(model=model_of("gemini", "", ""), **asked))
    lenient = {"authorization": f"Bearer {tollgate.issue_token()[1]}"}
    answer = tollgate.http().post(path, json=body, headers=lenient)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tollgate-dropped"] == LOSSES[dialect, "gemini", feature].param
    assert tollgate.http().post(path, json=body).status_code == 400
