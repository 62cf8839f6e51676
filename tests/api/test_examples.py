"""The schema's examples of bodies are sent as they are, and taken."""

import json
from typing import Any

import pytest

from apps.api.frame.examples import example_of, id_of
from apps.api.frame.operations import operation_of
from tests.api.conftest import Api
from tests.api.test_contract import every_operation, filled
from tests.api.world import furnish

WITH_BODIES = [
    (path, verb, view)
    for path, verb, view in every_operation()
    if operation_of(getattr(view, verb.lower())).takes is not None
]


@pytest.mark.parametrize(("path", "verb", "view"), WITH_BODIES, ids=lambda each: each if isinstance(each, str) else "")
def test_the_example_of_a_body_is_taken(
    path: str, verb: str, view: Any, acme: Any, staff: Api, api: Api, settings: Any
):
    settings.TENANCY = "multi"
    told, rows = operation_of(getattr(view, verb.lower())), furnish(acme)
    body = json.dumps(example_of(told.takes))
    for kind in ("service", "token", "policy"):
        body = body.replace(id_of(kind), rows[f"{kind}_id"])
    body = body.replace('"slug": "acme"', '"slug": "another"')  # the one that is taken here
    asks = staff if verb in view.staff_only else api

    answer = asks(verb, filled(path, rows), body, **({"If_Match": "*"} if told.needs_match else {}))

    assert answer.status_code == told.status, answer.text_seen
