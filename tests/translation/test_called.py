"""Fields that are lost are named as the client calls them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import UnsupportedParameter
from apps.providers.translation import chat, gemini, messages, responses
from apps.providers.translation.called import called_by
from apps.providers.translation.losses import Losses
from apps.providers.translation.spoken import Spoken

EVERY = (chat.SPOKEN, responses.SPOKEN, messages.SPOKEN, gemini.SPOKEN)


@pytest.mark.parametrize(
    ("spoken", "field", "expected"),
    [
        (chat.SPOKEN, "stop", "stop"),
        (chat.SPOKEN, "tools[2].function.strict", "tools[2].function.strict"),
        (messages.SPOKEN, "stop", "stop_sequences"),
        (messages.SPOKEN, "tools[2].function.strict", "tools[2].strict"),
        (messages.SPOKEN, "messages[1].content[0]", "messages[1].content[0]"),
        (responses.SPOKEN, "reasoning_effort", "reasoning.effort"),
        (responses.SPOKEN, "tools[2].function.strict", "tools[2].strict"),
        (responses.SPOKEN, "messages[1].content[0]", "input"),
        (gemini.SPOKEN, "n", "generationConfig.candidateCount"),
        (gemini.SPOKEN, "messages[1].content[0]", "contents[1].parts[0]"),
        (gemini.SPOKEN, "messages[12]", "contents[12]"),
        (gemini.SPOKEN, "whatever", "whatever"),
    ],
)
def test_a_field_has_the_clients_name(spoken: Spoken, field: str, expected: str) -> None:
    assert called_by(spoken.name)(field) == expected


@pytest.mark.parametrize("spoken", EVERY, ids=lambda spoken: spoken.name)
@given(st.text(alphabet="mestool[0].function19x", max_size=40))
def test_a_name_is_made_once(spoken: Spoken, field: str) -> None:
    called = called_by(spoken.name)
    assert called(called(field)) == called(field)


def test_hints_and_refusals_are_named_alike() -> None:
    told, refused = Losses("warn", "it"), Losses("strict", "it")
    told.called = refused.called = called_by(messages.SPOKEN.name)
    told.hint("user")
    assert told.header == "metadata.user_id"
    with pytest.raises(UnsupportedParameter) as caught:
        refused.hint("user")
    assert caught.value.param == "metadata.user_id"
    assert "'metadata.user_id'" in caught.value.message
