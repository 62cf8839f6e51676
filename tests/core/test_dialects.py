"""Every dialect answers every question, in its own words and with the same facts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import BudgetExceeded, ModelNotFound, TokenRevoked
from apps.gateway.streams import event_json, split_events
from apps.gateway.surfaces import CALLS
from apps.providers.dialects import DIALECTS
from apps.providers.dialects.dialect import Dialect, Listed
from apps.providers.kinds import KINDS

EACH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
MODEL = Listed("org/model-1", 1_767_225_600, "acme", 200_000, 64_000)


def test_the_dialects_are_those_that_providers_speak_and_endpoints_are_served_in() -> None:
    assert {kind.dialect for kind in KINDS.values()} == DIALECTS.keys()
    assert {call.dialect.name for call in CALLS} == DIALECTS.keys()


@EACH
def test_an_error_has_its_message_and_a_status_of_the_same_class(dialect: Dialect) -> None:
    for error in (
        TokenRevoked(),
        ModelNotFound("No such model."),
        BudgetExceeded("Spent.", details={"scope": "token"}),
    ):
        body = json.loads(dialect.error_body(error, "req_1"))
        assert error.message in body["error"]["message"]
        assert dialect.status(error) // 100 == error.status // 100


@EACH
@given(st.integers(0, 1000))
def test_an_error_event_is_one_event_that_ends(dialect: Dialect, events: int) -> None:
    for endpoint in (each for each in CALLS if each.dialect is dialect):
        event = dialect.error_event(TokenRevoked(), endpoint.name, events, "req_1")
        assert event.endswith((b"\n\n", b"\r\n\r\n"))
        assert len(split_events(event)) == 1
        assert "error" in json.dumps(dict(event_json(event)))


@EACH
def test_a_listed_model_has_its_name(dialect: Dialect) -> None:
    assert "org/model-1" in json.dumps(json.loads(dialect.model_body(MODEL)))
    assert json.dumps(json.loads(dialect.model_list([MODEL, MODEL], b""))).count("org/model-1") >= 2


@EACH
def test_no_header_with_a_secret_passes(dialect: Dialect) -> None:
    secret = {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"host", b"content-length"}
    assert not secret & {*dialect.to_upstream, *(name for name, _ in dialect.defaults)}
