"""What a request goes on from is lost under no policy: the answer would be to another question."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core.errors import UnsupportedParameter
from apps.gateway.surfaces import MESSAGES, RESPONSES
from apps.gateway.translation.text import TextTranslation
from apps.providers.translation.spoken import Shown
from apps.providers.translation.upstream import Upstream

ROUTE: Any = SimpleNamespace(upstream=Upstream(provider="anthropic", model="claude-haiku-4-5"))


def written(mode: str, **fields: Any) -> Any:
    body = json.dumps({"model": "m", "input": "More", **fields}).encode()
    shown = Shown(id="0" * 32, model="m", created=1, input_tokens=1)
    translation = TextTranslation(RESPONSES, body, "m", stream=False, shown=lambda: shown)
    return translation.write(ROUTE, MESSAGES, mode, None)


@pytest.mark.parametrize("mode", ["strict", "warn", "drop"])
@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
def test_what_a_request_goes_on_from_is_never_dropped(mode: str, field: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        written(mode, **{field: "resp_1"})
    assert caught.value.param == field


def test_what_else_has_no_words_is_dropped_where_a_policy_wants_it() -> None:
    body, lost = written("drop", background=True)
    assert json.loads(body)["messages"]
    assert lost == ""
    with pytest.raises(UnsupportedParameter):
        written("warn", background=True)
